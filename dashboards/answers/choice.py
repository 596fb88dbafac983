"""The parameters that say which part of a record is meant: read strictly, with what the record has in the error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from memviz.dashboards.fieldview import FieldView, Values, view
from memviz.dashboards.inspection import slots
from memviz.dashboards.params import ApiError, Params
from memviz.dashboards.summaries import axis_sizes
from memviz.fields import MODEL

Answer = Callable[[Values, Params, int], "bytes | dict[str, Any]"]
"""Values of a record, the query, index of the record -> JSON, or the bytes of an envelope."""


def memory_of(values: Values, params: Params) -> str:
    """`memory`; the first one by default."""
    known = list(values.record.memories)
    name = params.text("memory", next((memory for memory in known if memory != MODEL), MODEL))
    if name not in known:
        raise ApiError(404, f"there is no memory {name!r}", f"one of: {', '.join(known)}", "change memory")
    return name


def item_of(values: Values, params: Params) -> int:
    """`item`, counted over the recorded items; 0 by default."""
    return params.whole("item", 0, high=max(0, len(values.record.batch) - 1))


def time_of(values: Values, params: Params, memory: str) -> int:
    """`time`, within the sequence of a memory; required."""
    return params.whole("time", high=max(0, values.record.lengths.get(memory, 1) - 1))


def slot_of(values: Values, params: Params, memory: str) -> int:
    """`slot`, a row of a memory; required."""
    return params.whole("slot", high=max(0, slots(values, memory) - 1))


def head_of(values: Values, params: Params, memory: str, axis: str, name: str = "head") -> int:
    """A head of a memory, counted along `axis`; 0 by default."""
    return params.whole(name, 0, high=max(0, axis_sizes(values.record, memory).get(axis, 1) - 1))


def field_of(values: Values, params: Params) -> FieldView:
    """`field`, a full name; required."""
    name = params.text("field")
    if name not in values.record.fields:
        known = ", ".join(values.record.fields)
        raise ApiError(404, f"this record has no field {name!r}", f"one of: {known}", "change field")
    return view(values.record, name)
