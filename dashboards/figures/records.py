"""Figures of whatever a record has: one field, or everything that the Scope page stacks, at one time."""

from __future__ import annotations

from collections.abc import Sequence

from memviz.dashboards.fieldview import Values, views
from memviz.dashboards.figures.parts import Parts, refuse_empty, title_of
from memviz.dashboards.figures.sheet import Panel, Sheet, panel
from memviz.dashboards.frames import order_of
from memviz.errors import FieldError, MemvizError, PlaceError
from memviz.fields import MODEL, bare_name, memory_of

MAIN = ("write_weights", "read_weights", "usage", "allocation_weights", "attention", "episodic_attention")
"""What a page shows first; gates follow, and everything else where none of these was recorded."""

MATRICES = ("memory", "link_matrix")
"""Matrices of a moment that come first."""

MOST_MATRICES, MOST_HEADS = 8, 4
"""Matrices of a page, and heads of one of them; a figure of one field shows all."""


def panel_figure(
    values: Values, field: str, item: int, subtitle: str = "", time: int | None = None, head: int | None = None
) -> Sheet:
    """One field: over time with one panel per head, or at one time where it is a matrix.

    Args:
        values: the record.
        field: full name, or a bare name that one memory has.
        item: index along the batch axis.
        subtitle: where it is from.
        time: the time to mark, or of the matrix; the last one by default.
        head: which head, counted over all head axes; all of them by default.

    Raises:
        FieldError: no such field, or it cannot be drawn.
        PlaceError: no such time or head.
    """
    full = values.record.full_name(field)
    memory = memory_of(full)
    parts = Parts(values, memory, item)
    found = parts.view(full if memory == MODEL else bare_name(full))
    if found is None:
        raise FieldError(f"{full} cannot be drawn")
    if "time" not in found.axes:
        panels = _still(values, full, item)
    elif found.is_matrix:
        last = found.length("time") - 1
        panels = parts.matrix(full, last if time is None else time)
    else:
        panels = parts.heads(full)
    if not panels:
        why = "; ".join(parts.missing) if parts.missing else "it has more axes than a picture"
        raise FieldError(f"{full} with the axes {', '.join(found.axes)} cannot be drawn ({why}); export it as npz")
    if head is not None:
        if not 0 <= head < len(panels):
            raise PlaceError(f"{full} has the heads 0 to {len(panels) - 1}, not {head}")
        panels = [panels[head]]
    mark = None if found.is_matrix else time
    captions = tuple(text for text in parts.captions() if not text.startswith("Not recorded"))
    return Sheet("panel", title_of(found), subtitle, tuple((one,) for one in panels), captions, mark)


def page_figure(values: Values, memory: str, item: int, subtitle: str = "", time: int | None = None) -> Sheet:
    """What the Scope page shows: the sequence, the main fields and gates over time, and the matrices at one time."""
    record = values.record
    parts = Parts(values, memory, item)
    last = record.lengths.get(memory, 0) - 1
    at = last if time is None else time
    column: list[Panel] = []
    for name in ("input", "target", "output"):
        if f"{MODEL}/{name}" in record.fields:
            column += parts.heads(f"{MODEL}/{name}")
    for name in MAIN:
        column += parts.heads(name, optional=True)
    gates = [v for v in sorted(views(record, memory), key=order_of) if v.kind == "gate" and not v.picture_axes]
    stacked = parts.stacked("Gates", [bare_name(v.name) for v in gates if v.over_time], "gate") if gates else None
    column += [stacked] if stacked else []
    column += parts.heads("read_modes", optional=True)
    if len(column) <= 3 and not any(one.field.startswith(f"{memory}/") for one in column):
        for field in sorted(views(record, memory), key=order_of):
            if field.over_time:
                column += parts.heads(bare_name(field.name), optional=True)
    matrices = _matrices(parts, at) if at >= 0 else []
    refuse_empty([*column, *matrices], "page", ["fields over time"], memory)
    grid: list[Sequence[Panel | None]] = [(one,) for one in column]
    grid += [matrices[start : start + 2] for start in range(0, len(matrices), 2)]
    return Sheet("page", f"Memory {memory}", subtitle, tuple(tuple(row) for row in grid), parts.captions(), time)


def _matrices(parts: Parts, time: int) -> list[Panel]:
    """Every matrix of the memory at one time, as far as there is room."""
    fields = [field for field in views(parts.values.record, parts.memory) if field.is_matrix and field.count]
    fields.sort(key=lambda field: (bare_name(field.name) not in MATRICES, order_of(field)))
    found: list[Panel] = []
    for field in fields:
        name = bare_name(field.name)
        if time >= field.length("time"):
            continue
        try:
            found += parts.matrix(name, time, optional=True)[:MOST_HEADS]
        except (MemvizError, OSError, MemoryError) as error:
            parts.missing.append(f"{name}: {error}")
    if len(found) > MOST_MATRICES:
        parts.notes.append(f"{MOST_MATRICES} of {len(found)} matrices are shown.")
    return found[:MOST_MATRICES]


def _still(values: Values, full: str, item: int) -> list[Panel]:
    """A field without time: a vector is one row, a matrix itself."""
    field = next(v for v in views(values.record, memory_of(full)) if v.name == full)
    exact = values.item(field, item)
    axes = [axis for axis in field.axes if axis != "batch"]
    if not axes or exact.ndim > 2:
        return []
    rows = axes[0] if len(axes) == 2 else ""
    drawn = exact if len(axes) == 2 else exact[None]
    note = "derived" if field.derived else ""
    return [panel(title_of(field), drawn, field.kind, rows=rows, columns=axes[-1], field=full, note=note)]
