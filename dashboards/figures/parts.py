"""From the fields of a record to panels: what the classic figures have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from memviz.dashboards.fieldview import FieldView, Values, pictures, view
from memviz.dashboards.figures.sheet import Array, Panel, panel
from memviz.dashboards.tiles import scale_of
from memviz.errors import FieldError, MemvizError, PlaceError
from memviz.fields import MODEL, READ_MODES, bare_name, lookup

AXIS_WORDS = {"input_channel": "channel", "output_channel": "channel", "slot_to": "to slot", "slot_from": "from slot"}
"""What an axis is called on paper, where its name will not do."""


@dataclass(slots=True)
class Parts:
    """Reads the fields of one memory and item as panels, and remembers what was not there.

    Attributes:
        values: the record.
        memory: name of the memory.
        item: index along the batch axis.
        missing: what could not be drawn, in words.
        derived: titles of what was computed from other fields.
        notes: further sentences for the caption.
    """

    values: Values
    memory: str
    item: int
    missing: list[str] = field(default_factory=list)
    derived: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def view(self, name: str) -> FieldView | None:
        """The field of a bare name of this memory, or of a full name; None where the record has none."""
        full = name if "/" in name and name in self.values.record.fields else f"{self.memory}/{name}"
        return view(self.values.record, full) if full in self.values.record.fields else None

    def heads(self, name: str, *, optional: bool = False) -> list[Panel]:
        """One panel over time per head of a field; empty where it is missing, which is remembered unless optional."""
        found = self.view(name)
        if found is None or not found.over_time or not found.count:
            if not optional:
                self._miss(name)
            return []
        try:
            exact = self.values.item(found, self.item)
        except (MemvizError, OSError, MemoryError) as error:
            self.missing.append(f"{title_of(found)}: {error}")
            return []
        scale = scale_of(found.kind, exact)
        rows = found.picture_axes[0] if found.picture_axes else ""
        if found.derived:
            self.derived.append(title_of(found).lower())
        return [
            panel(
                title_of(found, head),
                picture.T if rows else picture[None],
                _unit_kind(found, exact),
                rows=AXIS_WORDS.get(rows, rows.replace("_", " ")),
                scale=(0.0, 1.0) if _unit_kind(found, exact) != found.kind else scale,
                field=found.name,
                note="derived" if found.derived else "",
                row_names=READ_MODES if rows == "mode" else (),
                blank=found.name == f"{MODEL}/target",
                unit="value" if found.name.startswith(f"{MODEL}/") else None,
            )
            for head, picture in pictures(found, exact)
        ]

    def stacked(self, title: str, names: Sequence[str], kind: str) -> Panel | None:
        """Several fields of one number per time and head as the rows of one panel; None where all are missing."""
        rows: list[Array] = []
        row_names: list[str] = []
        row_fields: list[str] = []
        for name in names:
            for one in self.heads(name):
                rows += list(one.values)
                row_names.append(one.title)
                row_fields.append(one.field)
        if not rows or len({len(row) for row in rows}) > 1:
            return None
        return panel(title, np.array(rows), kind, rows="", scale=(0.0, 1.0), row_names=row_names, row_fields=row_fields)

    def model(self, name: str) -> list[Panel]:
        """Input, target or output of the model."""
        full = f"{MODEL}/{name}"
        if full not in self.values.record.fields:
            self.missing.append(f"{name} of the model")
            return []
        return self.heads(full)

    def matrix(self, name: str, time: int, *, optional: bool = False) -> list[Panel]:
        """One panel per head of a field that is a matrix, at one time."""
        found = self.view(name)
        if found is None or not found.is_matrix or not found.count:
            if not optional:
                self._miss(name)
            return []
        if not 0 <= time < found.length("time"):
            raise PlaceError(f"{found.name} has the times 0 to {found.length('time') - 1}, not {time}")
        exact = self.values.times(found, self.item, time, time + 1)
        rows, columns = (AXIS_WORDS.get(axis, axis.replace("_", " ")) for axis in found.picture_axes)
        scale = scale_of(found.kind, exact)
        if found.derived:
            self.derived.append(title_of(found).lower())
        return [
            panel(
                f"{title_of(found, head)}, t = {time}",
                picture[0],
                found.kind,
                rows=rows,
                columns=columns,
                scale=scale,
                field=found.name,
                note="derived" if found.derived else "",
            )
            for head, picture in pictures(found, exact)
        ]

    def captions(self) -> tuple[str, ...]:
        """What is not in the figure, and what was computed."""
        said = list(self.notes)
        if self.derived:
            said.append(f"Derived from recorded generators: {', '.join(dict.fromkeys(self.derived))}.")
        if self.missing:
            said.append(f"Not recorded: {', '.join(dict.fromkeys(self.missing))}.")
        return tuple(said)

    def _miss(self, name: str) -> None:
        known = lookup(bare_name(name))
        self.missing.append(known.title.lower() if known else name)


def title_of(found: FieldView, head: tuple[int, ...] = ()) -> str:
    """A field in words, with its head where there are several."""
    known = lookup(bare_name(found.name))
    title = known.title if known else bare_name(found.name).replace("_", " ").capitalize()
    many = [
        f"{axis.replace('_', ' ')} {index}"
        for axis, index in zip(found.head_axes, head, strict=False)
        if found.length(axis) > 1
    ]
    return ", ".join([title, *many])


def refuse_empty(panels: Iterable[Panel | None], figure: str, needs: Sequence[str], memory: str) -> None:
    """Refuse a figure of which nothing can be drawn.

    Raises:
        FieldError: there is no panel.
    """
    if any(one is not None for one in panels):
        return
    raise FieldError(
        f"nothing of the {figure} figure is in this record of {memory!r}: it needs {' or '.join(needs)}. Choose "
        "another memory or figure, or record these fields with attach(model, path, fields='all')"
    )


def _unit_kind(found: FieldView, exact: Array) -> str:
    """Symbols and probabilities of the model are drawn on 0..1, whatever their field allows."""
    if found.kind == "signed" and found.name.startswith(f"{MODEL}/"):
        finite = exact[np.isfinite(exact)]
        if finite.size and finite.min() >= 0 and finite.max() <= 1:
            return "weight"
    return found.kind
