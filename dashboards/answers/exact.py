"""Exact values: what a record holds, one cell of every field, one slot over time, one field."""

from __future__ import annotations

from typing import Any

from memviz.dashboards import inspection
from memviz.dashboards.answers.choice import field_of, item_of, memory_of, slot_of, time_of
from memviz.dashboards.fieldview import Values
from memviz.dashboards.params import Params

MAX_NUMBERS = 200_000
"""Numbers that the values route sends at once."""


def describe(values: Values, params: Params, index: int) -> dict[str, Any]:
    """The record: step, labels, memories with their fields."""
    params.done()
    return {"index": index, **inspection.describe(values)}


def cell(values: Values, params: Params, index: int) -> dict[str, Any]:
    """Every field at one time and slot."""
    memory, item = memory_of(values, params), item_of(values, params)
    time = time_of(values, params, memory)
    slot = params.optional("slot", high=max(0, inspection.slots(values, memory) - 1))
    params.done()
    return inspection.cell(values, memory, item, time, slot)


def slot(values: Values, params: Params, index: int) -> dict[str, Any]:
    """The weights, usage and norm of one slot at every time."""
    memory, item = memory_of(values, params), item_of(values, params)
    chosen = slot_of(values, params, memory)
    params.done()
    return inspection.slot_life(values, memory, item, chosen)


def values(values: Values, params: Params, index: int) -> dict[str, Any]:
    """One field, with some axes fixed."""
    field = field_of(values, params)
    chosen = {
        "batch": params.optional("item", high=field.length("batch") - 1),
        "head": params.optional("head", high=max(0, len(field.heads) - 1)),
        "time": params.optional("time", high=max(0, field.length("time") - 1)),
    }
    params.done()
    return inspection.exact(values, field, chosen, MAX_NUMBERS)
