"""What one Visdom environment shows of its run, and what there is to choose from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from memviz.dashboards.fieldview import FieldView, views
from memviz.fields import MODEL
from memviz.trace.reader import Record, Trace

SIZES: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"small": (290, 216), "medium": (366, 272), "large": (510, 372)}
)
"""Width and height of a pane in pixels, by the name under which it is chosen."""


@dataclass(frozen=True, slots=True)
class Place:
    """What is shown.

    Attributes:
        step: training step; None follows the newest record.
        time: position in the sequence at which matrices are drawn; None is the last one.
        item: index along the batch axis.
        head: the one head to show; None shows every head.
        memory: name of the memory; None is the first one.
        size: key of SIZES.
    """

    step: int | None = None
    time: int | None = None
    item: int = 0
    head: int | None = None
    memory: str | None = None
    size: str = "medium"


@dataclass(frozen=True, slots=True)
class Offer:
    """What there is to choose from, and what of it is shown now.

    Attributes:
        steps: steps of all records that may be shown, in the order of the records.
        step: step of the record shown.
        times: length of the sequence of the memory shown.
        time: the time shown.
        items: batch positions of the items recorded.
        heads: largest number of heads of any field of the memory shown.
        memories: names of the memories recorded.
        memory: the one shown.
    """

    steps: tuple[int, ...]
    step: int
    times: int
    time: int
    items: tuple[int, ...]
    heads: int
    memories: tuple[str, ...]
    memory: str


def position(trace: Trace, place: Place, newest: int) -> int:
    """Position of the record to show.

    Args:
        trace: a trace with at least one record.
        place: what to show.
        newest: position of the last record that may be shown.

    Returns:
        `newest` when following; otherwise the last record at or before the step asked for, or the first.
    """
    if place.step is None:
        return newest
    steps = trace.steps[: newest + 1]
    reached = [index for index, step in enumerate(steps.tolist()) if step <= place.step]
    return max(reached, key=lambda index: (steps[index], index)) if reached else 0


def offer(trace: Trace, record: Record, place: Place, newest: int) -> Offer:
    """What can be chosen around `record`; a choice that this record does not have falls back to one that it has."""
    memories = tuple(name for name in record.memories if name != MODEL) or tuple(record.memories)
    memory = place.memory if place.memory in memories else memories[0] if memories else ""
    fields = views(record, memory) if memory else []
    times = record.lengths.get(memory, 0)
    return Offer(
        steps=tuple(trace.steps[: newest + 1].tolist()),
        step=record.step,
        times=times,
        time=max(0, times - 1 if place.time is None else min(place.time, times - 1)),
        items=tuple(record.batch),
        heads=max((head_count(field) for field in fields), default=1),
        memories=memories,
        memory=memory,
    )


def head_count(field: FieldView) -> int:
    """Number of heads by which the pictures of a field are told apart: the length of its first head axis."""
    return field.length(field.head_axes[0]) if field.head_axes else 1
