"""How the axes of what a probe or a tap hands over become the axes under which a field is stored."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from memviz import fields
from memviz.errors import SchemaError


@dataclass(frozen=True, slots=True)
class Layout:
    """How values with given axes become a stored field.

    Attributes:
        stored: axes of the stored field: those of the catalogue, or time before the value's own.
        timed: whether values are stacked along a new time axis; otherwise they bring the axes they need.
        batch: position of the batch axis in a value; -1 without one.
        missing: number of axes that the values lack, each of which gets length 1.
        order: permutation from the stacked axes, the missing ones last, to the stored ones; () when they agree.
    """

    stored: tuple[str, ...]
    timed: bool
    batch: int
    missing: int
    order: tuple[int, ...]


@functools.lru_cache(maxsize=4096)
def layout(field: str, axes: tuple[str, ...]) -> Layout:
    """The layout of a field whose values have these axes.

    Raises:
        SchemaError: the field has no such axis, or the values have one twice.
    """
    known = fields.lookup(field)
    stored = known.axes if known is not None else ("time", *(axis for axis in axes if axis != "time"))
    for place, axis in enumerate(axes):
        if axis not in stored or axis in axes[:place]:
            raise SchemaError(f"{field}: cannot have the axes [{', '.join(axes)}]; its own are [{', '.join(stored)}]")
    timed = "time" in stored and "time" not in axes
    stacked = ("time", *axes) if timed else axes
    absent = tuple(axis for axis in stored if axis not in stacked)
    order = tuple((*stacked, *absent).index(axis) for axis in stored)
    return Layout(
        stored,
        timed,
        axes.index("batch") if "batch" in axes else -1,
        len(absent),
        () if order == tuple(range(len(order))) else order,
    )
