"""A sheet: the panels of a figure with their values, axes and scales, before anything has drawn them.

Two libraries draw a sheet, Plotly for pages and matplotlib for print. What is true of a figure (which values, which
axes, which fixed scale, what was pooled or could not be shown) is decided once, here, and is the same in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memviz.colours import CIVIDIS, DIVERGING, GREY, INFINITE, NAN
from memviz.dashboards.downsample import edges, pool_at
from memviz.dashboards.tiles import UNIT_KINDS, scale_of

Array = NDArray[np.floating]

MOST_COLUMNS, MOST_ROWS = 1200, 600
"""Cells of a panel; a larger one is max-pooled, so that no cell is thinner than a dot of the printer."""


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """One heatmap.

    Attributes:
        title: what it shows, with the head.
        values: [row, column], float, pooled to at most MOST_ROWS × MOST_COLUMNS; row 0 is drawn at the top.
        kind: of the field (memviz.fields.Kind), which decides the colours.
        scale: the values at the two ends of the colour bar.
        row_axis, column_axis: what the axes count, such as "slot" and "time".
        unit: what the colour bar measures.
        row_names, column_names: names instead of numbers, one per row or column; empty for numbers.
        row_starts, column_starts: the index in the record of the first cell of each row and column.
        full: rows and columns before pooling.
        field: full name of the field; "" where several make one panel.
        printed: what each cell says: "number" its value, "yes" that it is not zero, "" nothing.
        bar: whether it has a colour bar.
        note: a word about it, such as "derived".
        row_fields: for a panel of several fields, the full name behind each row.
        blank: leave NaN blank; in a target it says that nothing was asked.
    """

    title: str
    values: Array
    kind: str
    scale: tuple[float, float]
    row_axis: str
    column_axis: str
    unit: str
    row_names: tuple[str, ...] = ()
    column_names: tuple[str, ...] = ()
    row_starts: tuple[int, ...] = ()
    column_starts: tuple[int, ...] = ()
    full: tuple[int, int] = (0, 0)
    field: str = ""
    printed: str = ""
    bar: bool = True
    note: str = ""
    row_fields: tuple[str, ...] = ()
    blank: bool = False

    @property
    def colours(self) -> tuple[str, ...]:
        """The stops of the colour scale, from its low to its high end."""
        if self.kind in UNIT_KINDS:
            return CIVIDIS
        return DIVERGING if self.kind == "signed" else GREY

    @property
    def marks(self) -> list[tuple[NDArray[np.bool_], str, str]]:
        """Cells that are no number: where they are, their colour and what they are called; only those that occur."""
        found = [(np.isinf(self.values), INFINITE, "infinite")]
        if not self.blank:
            found.append((np.isnan(self.values), NAN, "not a number"))
        return [mark for mark in found if mark[0].any()]

    def says(self, value: float) -> str:
        """What a cell of this value says."""
        if not self.printed or not np.isfinite(value):
            return ""
        return f"{value:.2f}" if self.printed == "number" else "yes" if value else ""

    @property
    def pooled(self) -> bool:
        """Whether a cell stands for several of the record."""
        return self.values.shape != self.full


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """A figure.

    Attributes:
        name: which figure, such as "ntm".
        title: its title.
        subtitle: where it is from: run, step, item, memory.
        grid: rows of panels, from the top; a row may be shorter, and None leaves a place empty.
        caption: sentences below it: what was left out, pooled or derived.
        time: the time to mark in panels over time; None for none.
    """

    name: str
    title: str
    subtitle: str
    grid: tuple[tuple[Panel | None, ...], ...]
    caption: tuple[str, ...] = ()
    time: int | None = None

    @property
    def panels(self) -> list[Panel]:
        """All panels, row by row."""
        return [panel for row in self.grid for panel in row if panel is not None]

    @property
    def columns(self) -> int:
        """Width of the grid."""
        return max((len(row) for row in self.grid), default=0)

    def notes(self) -> list[str]:
        """The caption, and what the colours cannot say for themselves."""
        said = list(self.caption)
        pooled = [panel for panel in self.panels if panel.pooled]
        if pooled:
            sizes = ", ".join(f"{p.title} from {p.full[0]} × {p.full[1]}" for p in pooled[:3])
            said.append(f"Max-pooled, so that no spike is lost: {sizes}{' and others' if len(pooled) > 3 else ''}.")
        if any(panel.blank and np.isnan(panel.values).any() for panel in self.panels):
            said.append("Blank in the target: nothing was asked.")
        words = {word for panel in self.panels for _, _, word in panel.marks}
        said += [
            f"{colour}: {word}."
            for colour, word in (("Magenta", "not a number"), ("Pink", "infinite"))
            if word in words
        ]
        return said


def panel(
    title: str,
    values: Array,
    kind: str,
    *,
    rows: str,
    columns: str = "time",
    scale: tuple[float, float] | None = None,
    field: str = "",
    note: str = "",
    row_names: Sequence[str] = (),
    column_names: Sequence[str] = (),
    row_fields: Sequence[str] = (),
    printed: str = "",
    bar: bool = True,
    blank: bool = False,
    unit: str | None = None,
) -> Panel:
    """A panel of exact values, pooled where they are too many.

    Args:
        title: what it shows.
        values: [row, column].
        kind: of the field; weights, gates and modes are drawn on 0..1.
        rows: what the rows count.
        columns: what the columns count.
        scale: ends of the colour scale; by default those of `scale_of`.
        field: full name of the field.
        note: a word about it.
        row_names: one name per row.
        column_names: one name per column.
        row_fields: the field behind each row.
        printed: what each cell says, see Panel.
        bar: whether it has a colour bar.
        blank: leave NaN blank.
        unit: what the colour bar measures; by default after the kind.
    """
    exact = np.asarray(values, np.float64)
    row_starts, column_starts = edges(exact.shape[0], MOST_ROWS), edges(exact.shape[1], MOST_COLUMNS)
    pooled = pool_at(exact, row_starts, column_starts, signed=kind == "signed")
    named = tuple(row_names) if len(row_names) == pooled.shape[0] else ()
    return Panel(
        title,
        pooled,
        kind,
        scale or scale_of(kind, exact),
        rows,
        columns,
        {"weight": "weight", "gate": "gate", "mode": "share"}.get(kind, "value") if unit is None else unit,
        named,
        tuple(column_names) if len(column_names) == pooled.shape[1] else (),
        tuple(row_starts.tolist()),
        tuple(column_starts.tolist()),
        (exact.shape[0], exact.shape[1]),
        field,
        printed,
        bar,
        note,
        tuple(row_fields),
        blank,
    )


def ticks(starts: Sequence[int], room: int) -> list[tuple[int, int]]:
    """Round numbers to write along an axis: pairs of cell and index in the record, at most about `room` of them."""
    if not starts:
        return []
    step = nice_step(starts[-1] - starts[0] + 1, room)
    found = []
    for cell, start in enumerate(starts):
        end = starts[cell + 1] if cell + 1 < len(starts) else start + 1
        multiple = -(-start // step) * step
        if start <= multiple < max(end, start + 1):
            found.append((cell, multiple))
    return found


def nice_step(span: int, room: int) -> int:
    """A round step (1, 2, 5, 10 ...) at which about `room` labels fit on `span`."""
    raw = max(1.0, span / max(1, room))
    power = 10 ** int(np.floor(np.log10(raw)))
    return int(power * next(unit for unit in (1, 2, 5, 10) if raw <= unit * power))
