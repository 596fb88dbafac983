"""Where a number that is not finite came from.

That is the first value of a forward, or the last of a backward pass, that is NaN or infinite while everything before it
is finite. Within one time the causal order of the catalogue (memviz.fields.CAUSAL_ORDER) says what comes from what;
memories follow each other as the adapters list them. Values that nobody records are unseen: the place named is the
first one that a probe or a tap could see.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from memviz import fields
from memviz.recorders.capture import Capture
from memviz.recorders.staging import Selection, Snapshot, to_numpy
from memviz.trace.reader import Record

Phase = Literal["forward", "backward", "parameters"]
"""What computed the value: a forward, its backward pass, or the update before the forward (the parameters hold it)."""

TARGET = f"{fields.MODEL}/target"
"""The one field that may hold NaN: where nothing is asked."""

_RANK = {name: rank for rank, name in enumerate(fields.CAUSAL_ORDER)}


@dataclass(frozen=True, slots=True)
class Origin:
    """The first value that is not finite.

    Attributes:
        step: training step.
        time: position in the sequence; None for what has no time, such as a parameter.
        module: name of the memory, "model" for its own input and output; for a parameter the path of its module.
        field: bare name of the field, or of the parameter.
        index: position along the other axes, by axis name; for a parameter by number of the axis.
        value: "nan", "inf" or "-inf".
        phase: what computed it.
    """

    step: int
    time: int | None
    module: str
    field: str
    index: Mapping[str, int]
    value: str
    phase: Phase

    @property
    def item(self) -> int | None:
        """The batch item, where the field has one."""
        return self.index.get("batch")

    def __str__(self) -> str:
        at = [] if self.time is None else [f"time {self.time}"]
        at += [f"{axis.replace('_', ' ')} {place}" for axis, place in self.index.items()]
        what = f"{self.module}/{self.field}" if self.module else self.field
        where = f"step {self.step}: {what}{' at ' + ', '.join(at) if at else ''} is {self.value}"
        if self.phase == "parameters":
            return f"{where} before the forward began: an update before this step made it so"
        if self.phase == "backward":
            return f"{where}, the first gradient on the way back that is not finite; the forward was finite"
        return f"{where}, and all that was computed before it is finite"

    def to_json(self) -> dict[str, Any]:
        """The data of an event."""
        return {
            "time": self.time,
            "module": self.module,
            "field": self.field,
            "index": dict(self.index),
            "value": self.value,
            "phase": self.phase,
        }


class Column(NamedTuple):
    """All values of one field: its full name, the axes of the array, the array, the batch items in it (None: all)."""

    name: str
    axes: tuple[str, ...]
    values: np.ndarray
    items: tuple[int, ...] | None = None


def forward_origin(step: int, columns: Sequence[Column]) -> Origin | None:
    """The first value of a forward that is not finite; None when all are finite.

    Args:
        step: training step.
        columns: the fields in the order in which they came.
    """
    return _first(step, columns, "forward", 1)


def backward_origin(step: int, columns: Sequence[Column]) -> Origin | None:
    """The first gradient on the way back, from the last time to the first, that is not finite.

    Args:
        step: training step.
        columns: the fields `grad/<field>` in the order in which their fields came.
    """
    return _first(step, columns, "backward", -1)


def record_origin(record: Record) -> Origin | None:
    """The same for a record of a trace: forward values first, gradients when these are finite."""
    columns = [
        Column(name, record.schema(name).axes, record[name], tuple(record.batch))
        for name in record.stored
        if not record.schema(name).dtype.startswith(("int", "uint", "bool")) and name != TARGET
    ]
    gradients = [column for column in columns if _is_gradient(column.name)]
    values = [column for column in columns if not _is_gradient(column.name)]
    return forward_origin(record.step, values) or backward_origin(record.step, gradients)


def parameter_origin(step: int, model: nn.Module) -> Origin | None:
    """The first parameter of a model that is not finite; None when all are."""
    for path, parameter in model.named_parameters():
        if not parameter.is_floating_point():
            continue
        wrong = (~torch.isfinite(parameter.detach())).nonzero()
        if len(wrong):
            at = tuple(int(i) for i in wrong[0])
            module, _, name = path.rpartition(".")
            index = {f"axis {axis}": place for axis, place in enumerate(at)}
            return Origin(step, None, module, name, index, _kind(float(parameter.detach()[at])), "parameters")
    return None


def columns_of(capture: Capture) -> list[Column]:
    """What a forward has brought so far, for the whole batch."""
    columns = []
    with torch.no_grad():
        for channel, values in zip(capture.channels, capture.values, strict=True):
            timed = channel.layout.timed
            usable = [one for one in values if one.ndim == len(channel.axes)]
            if not usable or not usable[0].is_floating_point() or channel.full_name == TARGET:
                continue
            stacked = torch.stack(usable) if timed else usable[0]
            columns.append(
                Column(channel.full_name, ("time", *channel.axes) if timed else channel.axes, _host(stacked))
            )
    return columns


def columns_of_snapshots(snapshots: Iterable[Snapshot], selection: Selection) -> list[Column]:
    """What was kept of a forward: the whole batch where it was kept, the recorded items elsewhere."""
    columns = []
    with torch.no_grad():
        for one in snapshots:
            if one.tensor.is_floating_point():
                values = _host(one._replace(selection=None).shaped())
                axes = one.channel.layout.stored
                whole = "batch" not in axes or values.shape[axes.index("batch")] == selection.size
                columns.append(Column(one.channel.full_name, axes, values, None if whole else selection.items))
    return columns


def _host(tensor: Tensor) -> np.ndarray:
    # Whatever the format, float32 keeps NaN and infinity.
    return to_numpy(tensor.detach().to("cpu", torch.float32))


def _is_gradient(name: str) -> bool:
    return fields.bare_name(name).startswith(fields.GRADIENT_PREFIX)


def _first(step: int, columns: Sequence[Column], phase: Phase, direction: int) -> Origin | None:
    """The value that comes first, forwards (direction 1) or backwards (-1)."""
    ranks = _ranks([column.name for column in columns])
    best: tuple[float, ...] | None = None
    found: tuple[Column, tuple[int, ...]] | None = None
    for column, rank in zip(columns, ranks, strict=True):
        wrong = np.argwhere(~np.isfinite(column.values))
        if not len(wrong):
            continue
        timed = "time" in column.axes
        times = wrong[:, column.axes.index("time")] if timed else np.zeros(1)
        row = int(times.argmin() if direction > 0 else times.argmax())
        time = float(times[row]) if timed else _time_of(column.name)
        # The order of computing is read the other way round on the way back.
        key = tuple(direction * part for part in (time, *rank))
        if best is None or key < best:
            best, found = key, (column, tuple(int(i) for i in wrong[row]))
    if found is None:
        return None
    column, at = found
    index = dict(zip(column.axes, at, strict=True))
    time_index = index.pop("time", None)
    if column.items is not None and "batch" in index and index["batch"] < len(column.items):
        index["batch"] = column.items[index["batch"]]
    name = column.name
    value = _kind(float(column.values[at]))
    return Origin(step, time_index, fields.memory_of(name), fields.bare_name(name), index, value, phase)


def _time_of(name: str) -> float:
    """When a field without time was there: before the first time, or after the last."""
    return -1.0 if fields.INITIAL_PREFIX in fields.bare_name(name) else math.inf


def _ranks(names: Sequence[str]) -> list[tuple[float, float, float]]:
    """For each field its place within one time: by memory, then by the catalogue, then as it came.

    The model's own input comes before all memories and its output after them. A field outside the catalogue comes
    right after the one that came before it.
    """
    memories: dict[str, int] = {}
    after: dict[str, float] = {}
    ranks = []
    for place, name in enumerate(names):
        memory = fields.memory_of(name)
        field = fields.bare_name(name)
        for prefix in (fields.GRADIENT_PREFIX, fields.INITIAL_PREFIX, fields.FINAL_PREFIX):
            field = field.removeprefix(prefix)
        order: float = memories.setdefault(memory, len(memories))
        if memory == fields.MODEL:
            order = -1 if field == "input" else math.inf
        rank = float(_RANK[field]) if field in _RANK else after.get(memory, -1.0) + 0.5
        after[memory] = math.floor(rank)
        ranks.append((order, rank, float(place)))
    return ranks


def _kind(value: float) -> str:
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
