"""One record as labelled matrices: what is drawn of each field, before any drawing.

A field over time gives one picture per head, its rows along the field's own axis (slots, words, channels) and its
columns along time; a field without an axis of its own gives one picture with a row per head. A field that is a matrix
at each time is drawn at the chosen time. The memory matrix is drawn both ways: at the chosen time, and over all times
with the words of a slot below each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memviz.dashboards.fieldview import FieldView, Values, pictures, views
from memviz.dashboards.frames import order_of, record_scale
from memviz.dashboards.tiles import scale_of
from memviz.dashboards.visdom.place import Offer, Place, head_count
from memviz.errors import MemvizError
from memviz.fields import FINAL_PREFIX, INITIAL_PREFIX, MODEL, READ_MODES, bare_name, lookup

Array = NDArray[np.floating]

SEED_ORDER = ("memory", "link_matrix", "precedence_weights", "read_weights", "write_weights", "usage")
"""The six panes of the DNC that first streamed to Visdom; they come first."""

MAX_HEADS = 8
"""Heads of one field that are drawn at once; choosing a head shows any of them."""

_AXIS_WORDS = {
    "slot_to": "slot, to",
    "slot_from": "slot, from",
    "input_channel": "channel",
    "output_channel": "channel",
    "read_head": "read head",
    "write_head": "write head",
}


@dataclass(frozen=True, slots=True)
class Axis:
    """Rows or columns of a picture: what they are, and names for each where numbers would not do."""

    name: str
    names: tuple[str, ...] = ()
    per: int = 1
    """How many rows make one unit of the axis: the words of a slot, where rows are words of slots."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One matrix to draw.

    Attributes:
        key: what tells it from the other pictures of an environment, and stays the same from record to record.
        name: full name of the field.
        title: the field, and the head where there are several.
        label: the same in the words of the trace.
        values: exact values, [row, column].
        rows: what the rows are.
        columns: what the columns are.
        kind: how it is drawn (memviz.fields.Kind).
        scale: values of the two ends of the colour scale.
        derived: computed from other fields rather than recorded.
        when: in words, when it is not about all times: "at time 20", "before the first time".
    """

    key: str
    name: str
    title: str
    label: str
    values: Array
    rows: Axis
    columns: Axis
    kind: str
    scale: tuple[float, float]
    derived: bool = False
    when: str = ""

    @property
    def over_time(self) -> bool:
        """Whether columns are times."""
        return self.columns.name == "time"

    @property
    def bad(self) -> NDArray[np.bool_]:
        """Where a value is no number and should be one, [row, column].

        A target that is NaN in all channels says that nothing was asked at that time.
        """
        bad = ~np.isfinite(self.values)
        if bare_name(self.name) == "target":
            bad &= ~np.isnan(self.values).all(axis=0)
        return bad


@dataclass(frozen=True, slots=True)
class Gallery:
    """All pictures of one record in the order in which panes are laid out, and what could not be drawn and why."""

    pictures: tuple[Picture, ...]
    missing: tuple[str, ...]


def gallery(values: Values, place: Place, choice: Offer) -> Gallery:
    """The pictures of one record.

    Args:
        values: the record.
        place: what was asked for.
        choice: what is shown of it (place.offer).
    """
    record = values.record
    fields = views(record, choice.memory) if choice.memory else []
    model = views(record, MODEL) if MODEL in record.memories and choice.memory != MODEL else []
    drawn: list[Picture] = []
    missing: list[str] = []
    for field in sorted(fields, key=_rank) + sorted(model, key=_rank):
        try:
            drawn += _field(values, field, place, choice, missing)
        except (MemvizError, OSError, MemoryError) as error:
            missing.append(f"{field.name}: {str(error) or type(error).__name__}")
    return Gallery(tuple(sorted(drawn, key=_group)), tuple(missing))


def _rank(field: FieldView) -> tuple[int, int, str]:
    """The seed's six first, then the catalogue, then what a tap named, then states before and after the sequence."""
    name = bare_name(field.name)
    if name in SEED_ORDER:
        return (0, SEED_ORDER.index(name), name)
    edge = name.startswith((INITIAL_PREFIX, FINAL_PREFIX))
    return (2 if edge else 1, order_of(field)[0], name)


def _group(picture: Picture) -> int:
    """The seed's panes, then the model's own input and output, then the rest; the order within stays."""
    name = bare_name(picture.name)
    return 0 if name in SEED_ORDER else 1 if name in ("input", "target", "output") else 2


def _field(values: Values, field: FieldView, place: Place, choice: Offer, missing: list[str]) -> Iterator[Picture]:
    name = bare_name(field.name)
    if field.kind == "index":
        missing.append(f"{field.name}: positions are not drawn as a heatmap")
    elif field.is_matrix:
        if name == "memory":
            yield from _memory_over_time(values, field, place, choice)
        yield from _at_time(values, field, place, choice, missing)
    elif field.over_time:
        yield from _over_time(values, field, place, missing)
    elif "time" not in field.axes and len(field.picture_axes) <= 2:
        yield from _timeless(values, field, place, missing)
    else:
        missing.append(f"{field.name}: a field with axes {', '.join(field.axes)} is not drawn as a heatmap")


def _over_time(values: Values, field: FieldView, place: Place, missing: list[str]) -> Iterator[Picture]:
    exact = values.item(field, place.item)
    scale = scale_of(field.kind, exact)
    if not field.picture_axes:
        matrix = np.stack([strip.reshape(-1) for _, strip in pictures(field, exact)])
        names = tuple(_head_words(field, head) for head in field.heads)
        rows = Axis("head" if len(names) > 1 else "", names if len(names) > 1 else ("",))
        yield _picture(field, (), matrix, rows, Axis("time"), scale)
        return
    rows = _axis(field.picture_axes[0])
    for head, picture in _heads(field, exact, place, missing):
        yield _picture(field, head, picture.T, rows, Axis("time"), scale)


def _at_time(values: Values, field: FieldView, place: Place, choice: Offer, missing: list[str]) -> Iterator[Picture]:
    length = field.length("time")
    if not length:
        return
    time = min(choice.time, length - 1)
    exact = values.times(field, place.item, time, time + 1)
    scale = record_scale(values, field, place.item)
    rows, columns = (_axis(axis) for axis in field.picture_axes)
    for head, picture in _heads(field, exact, place, missing):
        yield _picture(field, head, picture[0], rows, columns, scale, f"at time {time}")


def _memory_over_time(values: Values, field: FieldView, place: Place, choice: Offer) -> Iterator[Picture]:
    exact = values.item(field, place.item)
    times, slots, words = exact.shape
    matrix = exact.reshape(times, slots * words).T
    rows = Axis("slot (its words below each other)", per=max(1, words))
    scale = scale_of(field.kind, exact)
    yield Picture(
        f"{bare_name(field.name)}@all",
        field.name,
        f"{_title(field)} over time",
        f"{bare_name(field.name)} over time",
        matrix,
        rows,
        Axis("time"),
        field.kind,
        scale,
        field.derived,
    )


def _timeless(values: Values, field: FieldView, place: Place, missing: list[str]) -> Iterator[Picture]:
    exact = values.item(field, place.item)
    if exact.size == 1:
        # A state that starts out the same everywhere is recorded as the one number that it is.
        missing.append(f"{field.name} is {float(exact.reshape(-1)[0]):.4g} everywhere")
        return
    scale = scale_of(field.kind, exact)
    axes = field.picture_axes
    for head, picture in _heads(field, exact, place, missing):
        matrix = picture if len(axes) == 2 else picture.reshape(1, -1)
        rows = _axis(axes[0]) if len(axes) == 2 else Axis("", ("",))
        columns = _axis(axes[-1]) if axes else Axis("")
        yield _picture(field, head, matrix, rows, columns, scale)


def _heads(field: FieldView, exact: Array, place: Place, missing: list[str]) -> Iterator[tuple[tuple[int, ...], Array]]:
    """The pictures of the heads to show: the chosen one, or the first MAX_HEADS."""
    shown = 0
    for head, picture in pictures(field, exact):
        if place.head is not None and head and head[0] != min(place.head, head_count(field) - 1):
            continue
        if shown == MAX_HEADS:
            missing.append(f"{field.name}: {len(field.heads) - MAX_HEADS} of {len(field.heads)} heads; choose a head")
            return
        shown += 1
        yield head, picture


def _picture(
    field: FieldView,
    head: tuple[int, ...],
    matrix: Array,
    rows: Axis,
    columns: Axis,
    scale: tuple[float, float],
    when: str = "",
) -> Picture:
    bare, words = bare_name(field.name), _head_words(field, head)
    key = bare + field.tile_id(head).removeprefix(field.name) if head else bare
    title, label = (", ".join(part for part in (name, words) if part) for name in (_title(field), bare))
    return Picture(key, field.name, title, label, matrix, rows, columns, field.kind, scale, field.derived, when)


def _title(field: FieldView) -> str:
    known = lookup(bare_name(field.name))
    return known.title if known else bare_name(field.name)


def _head_words(field: FieldView, head: tuple[int, ...]) -> str:
    """`head 1`, or `read head 1, write head 0` where both have several; nothing where there is one head only."""
    several = [(axis, index) for axis, index in zip(field.head_axes, head, strict=False) if field.length(axis) > 1]
    if len(several) == 1:
        return f"head {several[0][1]}"
    return ", ".join(f"{_AXIS_WORDS.get(axis, axis)} {index}" for axis, index in several)


def _axis(name: str) -> Axis:
    return Axis(_AXIS_WORDS.get(name, name), READ_MODES if name == "mode" else ())


def count_words(picture: Picture) -> str:
    """`2 NaN, 1 +Inf`, or nothing when every value is a number."""
    values = picture.values[picture.bad]
    counts = {
        "NaN": np.count_nonzero(np.isnan(values)),
        "+Inf": np.count_nonzero(np.isposinf(values)),
        "-Inf": np.count_nonzero(np.isneginf(values)),
    }
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count)
