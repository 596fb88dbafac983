"""One field of one record as a stack of pictures: which axes are rows, columns and heads.

A field has axes such as [time, batch, read_head, slot]. For drawing, `batch` is fixed to the chosen item, every head
axis separates pictures, and what is left of `time` decides: one axis gives rows over time, none gives a strip of one
row, two give a matrix at each time.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memviz.analysis.replay import derive, derive_parts
from memviz.dashboards.source import ArrayCache
from memviz.errors import FieldError
from memviz.fields import bare_name, memory_of
from memviz.trace.reader import Record

Array = NDArray[np.floating]

HEAD_AXES = ("read_head", "write_head", "head")
"""Axes along which a field is split into one picture per head."""

SMALL_BYTES = 16 * 2**20
"""Fields up to this size, as float32, are read whole and kept for the next request; larger ones are read in parts."""

PART_BYTES = 8 * 2**20
"""Size of such a part; what is computed from it takes several times that."""

MAX_VALUES = 24 * 2**20
"""Numbers of one field that a request may hold at once."""

MAX_FOLLOWED = 10**9
"""Links, over all times up to the wanted one, that are followed to derive what was not recorded: some seconds."""

_FROM_LINKS = ("link_matrix", "forward_weights", "backward_weights")


@dataclass(frozen=True, slots=True)
class FieldView:
    """How a field is cut into pictures.

    Attributes:
        name: full name.
        axes: all its axes, in order.
        shape: their lengths.
        kind: how it is drawn (memviz.fields.Kind).
        derived: computed from other fields rather than stored.
    """

    name: str
    axes: tuple[str, ...]
    shape: tuple[int, ...]
    kind: str
    derived: bool

    @property
    def heads(self) -> list[tuple[int, ...]]:
        """Index along each head axis, for every picture; one empty index when there is no head axis."""
        return list(itertools.product(*(range(self.length(axis)) for axis in self.head_axes)))

    @property
    def head_axes(self) -> tuple[str, ...]:
        """The head axes of the field."""
        return tuple(axis for axis in self.axes if axis in HEAD_AXES)

    @property
    def picture_axes(self) -> tuple[str, ...]:
        """The axes of a picture beside time: none for a strip, one for rows over time, two for a matrix."""
        return tuple(axis for axis in self.axes if axis not in HEAD_AXES and axis not in ("time", "batch"))

    @property
    def over_time(self) -> bool:
        """Whether it is drawn as rows (or one row) over time."""
        return "time" in self.axes and len(self.picture_axes) <= 1 and self.kind != "index"

    @property
    def is_matrix(self) -> bool:
        """Whether it is drawn as a matrix at each time."""
        return "time" in self.axes and len(self.picture_axes) == 2

    @property
    def count(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def is_small(self) -> bool:
        """Whether the whole field is read and kept."""
        return self.count * 4 <= SMALL_BYTES

    def length(self, axis: str) -> int:
        """Length of one axis; 1 when the field has no such axis."""
        return self.shape[self.axes.index(axis)] if axis in self.axes else 1

    def tile_id(self, head: tuple[int, ...]) -> str:
        """Id of one picture: `memory/usage`, `memory/read_weights:1`, or `memory/forward_weights:1.0`.

        A second head axis of length 1 is left out, as the only write head of a DNC is.
        """
        parts = [
            str(index)
            for axis, index in zip(self.head_axes, head, strict=True)
            if axis == self.head_axes[0] or self.length(axis) > 1
        ]
        return f"{self.name}:{'.'.join(parts)}" if parts else self.name


def view(record: Record, name: str) -> FieldView:
    """How the field `name` (full) of a record is cut.

    Raises:
        FieldError: the record has no such field.
    """
    schema = record.schema(name)
    return FieldView(name, tuple(schema.axes), tuple(record.shape(name)), schema.kind, record.is_derived(name))


def views(record: Record, memory: str) -> list[FieldView]:
    """All fields of one memory, stored and derivable, in the order of the record."""
    return [view(record, name) for name in record.fields if memory_of(name) == memory]


class Values:
    """The exact values of one record, read once for the requests that follow each other while somebody looks.

    Args:
        record: the record.
        key: what identifies the record among all that the cache holds.
        cache: where arrays are kept.
    """

    def __init__(self, record: Record, key: tuple[object, ...], cache: ArrayCache) -> None:
        self.record = record
        self._key = key
        self._cache = cache

    def once(self, name: str, make: Callable[[], float | None]) -> float | None:
        """A number about the record that takes long to compute, remembered like its values; None stays None."""

        def boxed() -> NDArray[Any]:
            result = make()
            return np.array([] if result is None else [result])

        box = self._cache.get((*self._key, name), boxed)
        return float(box[0]) if len(box) else None

    def array(self, name: str, make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """Numbers computed from the record, remembered like its values; read-only."""
        return self._cache.get((*self._key, name), make)

    def whole(self, field: FieldView) -> Array:
        """All values of a field, with all its axes.

        Raises:
            FieldError: more than MAX_VALUES numbers.
        """
        if field.count > MAX_VALUES:
            raise FieldError(
                f"{field.name} has {field.count} values in this record, more than the {MAX_VALUES} that the server "
                "holds at once; read it with memviz.open"
            )

        def read() -> NDArray[Any]:
            return as_floats(self.record.read(field.name))

        return self._cache.get((*self._key, field.name), read) if field.is_small else read()

    def item(self, field: FieldView, item: int) -> Array:
        """Values of one batch item: the axes of the field without `batch`; see `whole`."""
        return _take_item(self.whole(field), field.axes, item)

    def times(self, field: FieldView, item: int, start: int, stop: int) -> Array:
        """Values of one batch item for the times `[start, stop)`, of which only those are read from a large field."""
        if field.is_small:
            return self.item(field, item)[start:stop]
        _check_part(field, start, stop)
        window = slice(start, stop)
        if field.derived:
            # Through the record, all times would be computed and kept.
            values = derive(self.record, memory_of(field.name), bare_name(field.name), window)
        else:
            values = self.record.read(field.name, time=window)
        return _take_item(as_floats(values), field.axes, item)

    def parts(self, field: FieldView, item: int, stretches: Sequence[tuple[int, int]]) -> Iterator[Array]:
        """What `times` gives for stretches `(start, stop)` that follow each other; the past is followed only once."""
        if field.is_small or not field.derived or not stretches:
            yield from (self.times(field, item, start, stop) for start, stop in stretches)
            return
        for start, stop in stretches:
            _check_part(field, start, stop)
        for part in derive_parts(self.record, memory_of(field.name), bare_name(field.name), stretches):
            yield _take_item(as_floats(part), field.axes, item)

    def select(self, field: FieldView, item: int, pick: Callable[[Array], Array]) -> Array:
        """What `pick` takes of each stretch of times, [time, ...], joined along time."""
        parts = [pick(part) for part in self.parts(field, item, list(spans(field, range(field.length("time")))))]
        return np.concatenate(parts) if parts else np.empty(0, np.float32)


def _check_part(field: FieldView, start: int, stop: int) -> None:
    """Refuse to hold more numbers at once than fit, and to follow more links up to a time than anyone waits for.

    Raises:
        FieldError: more than MAX_VALUES numbers, or more than MAX_FOLLOWED links.
    """
    part = field.count // field.length("time") * (stop - start)
    if part > MAX_VALUES:
        raise FieldError(f"{stop - start} times of {field.name} are {part} values; ask for fewer times")
    if not field.derived or bare_name(field.name) not in _FROM_LINKS:
        return
    slots = field.length("slot_to") if field.is_matrix else field.length("slot")
    numbers = stop * slots**2 * field.length("batch") * field.length("write_head")
    if numbers > MAX_FOLLOWED:
        raise FieldError(
            f"{field.name} was not recorded, and following {numbers:,} links to time {stop - 1} takes too long while "
            "somebody waits; record it with fields='all', or read it with memviz.open"
        )


def spans(field: FieldView, starts: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Cut the times of a field into stretches `(start, stop)` that are small enough to hold.

    Args:
        field: which field.
        starts: times at which a stretch may begin, ascending from 0.
    """
    length = field.length("time")
    if field.is_small or not length:
        if length:
            yield 0, length
        return
    most = max(1, PART_BYTES // 4 * length // field.count)
    ends = [*starts[1:], length]
    begin = 0
    for start, end in zip(starts, ends, strict=True):
        if end - begin > most and start > begin:
            yield begin, start
            begin = start
    yield begin, length


def pictures(field: FieldView, values: Array) -> Iterator[tuple[tuple[int, ...], Array]]:
    """Split values without batch axis by head: yields (head index, values with the other axes in order)."""
    axes = [axis for axis in field.axes if axis != "batch"]
    order = [axes.index(axis) for axis in field.head_axes]
    rest = [index for index in range(len(axes)) if index not in order]
    split = values.transpose(*order, *rest)
    for head in field.heads:
        yield head, split[head]


def as_floats(values: NDArray[Any]) -> Array:
    """Float32, or float64 where the values are doubles or integers that need it."""
    if values.dtype in (np.float32, np.float64):
        return values
    wide = values.dtype.kind in "iu" and values.dtype.itemsize > 2
    return values.astype(np.float64 if wide else np.float32)


def _take_item(values: NDArray[Any], axes: tuple[str, ...], item: int) -> Array:
    if "batch" not in axes:
        return values
    axis = axes.index("batch")
    # A field of length 1 holds for all items, as an initial state may.
    taken: Array = np.take(values, item if values.shape[axis] > 1 else 0, axis=axis)
    return taken
