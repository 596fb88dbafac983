"""One view of a distributed run: the traces of its ranks side by side, their batches one after the other.

run = memviz.open("runs/copy").merged()
run.at(100)["read_weights"]         # [time, batch, read_head, slot] with the items of all ranks
run.at(100).batch                   # ((0, 0), (1, 0)): which item of which rank each of them is
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from memviz.errors import FieldError, PlaceError
from memviz.trace.schema import Event

if TYPE_CHECKING:
    from memviz.trace.reader import Record, Trace
    from memviz.trace.scalars import Series


@dataclass(frozen=True)
class MergedRecord:
    """What the ranks recorded of one step.

    Attributes:
        step: the training step.
        records: that of each rank.
    """

    step: int
    records: Mapping[int, Record]

    @property
    def ranks(self) -> tuple[int, ...]:
        """The ranks that recorded this step."""
        return tuple(self.records)

    @property
    def batch(self) -> tuple[tuple[int, int], ...]:
        """Rank, and position in the batch of that rank, of each item."""
        return tuple((rank, int(item)) for rank, record in self.records.items() for item in record.batch)

    @property
    def fields(self) -> tuple[str, ...]:
        """Full names of the fields that all these records have, stored and derivable."""
        first, *others = (record.fields for record in self.records.values())
        return tuple(name for name in first if all(name in other for other in others))

    def __getitem__(self, name: str) -> np.ndarray:
        """A field with the items of all ranks along its batch axis.

        Raises:
            FieldError: a rank lacks it, it has no batch axis, or its other axes differ from rank to rank.
        """
        full = {rank: record.full_name(name) for rank, record in self.records.items()}
        axes = [record.schema(full[rank]).axes for rank, record in self.records.items()]
        if "batch" not in axes[0]:
            raise FieldError(f"{name} has no batch axis, so each rank has its own; take it from .records[rank]")
        axis = axes[0].index("batch")
        values = [record[full[rank]] for rank, record in self.records.items()]
        if len({(*value.shape[:axis], *value.shape[axis + 1 :]) for value in values}) > 1:
            shapes = ", ".join(f"rank {rank}: {value.shape}" for rank, value in zip(self.records, values, strict=True))
            raise FieldError(f"{name} differs in more than its batch ({shapes}); take it from .records[rank]")
        return np.concatenate(values, axis)


class MergedTrace:
    """The traces of the ranks of one run.

    Attributes:
        traces: by rank; a run that is not distributed has rank 0 alone.
    """

    def __init__(self, traces: Mapping[int, Trace]) -> None:
        self.traces = MappingProxyType(dict(sorted(traces.items())))

    @property
    def steps(self) -> np.ndarray:
        """The steps that any rank recorded, int64 [step], each of them once."""
        return np.unique(np.concatenate([trace.steps for trace in self.traces.values()]))

    @property
    def incomplete(self) -> dict[int, tuple[int, ...]]:
        """Steps that some ranks did not record, and the ranks that did."""
        by_rank = {rank: set(trace.steps.tolist()) for rank, trace in self.traces.items()}
        here = {int(step): tuple(rank for rank in by_rank if step in by_rank[rank]) for step in self.steps}
        return {step: ranks for step, ranks in here.items() if len(ranks) < len(by_rank)}

    @property
    def scalars(self) -> dict[str, dict[int, Series]]:
        """Scalars by name, then by rank."""
        names = sorted({name for trace in self.traces.values() for name in trace.scalars})
        return {
            name: {rank: trace.scalars[name] for rank, trace in self.traces.items() if name in trace.scalars}
            for name in names
        }

    @property
    def events(self) -> list[tuple[int, Event]]:
        """All events with their rank, in the order in which they happened."""
        found = [(rank, event) for rank, trace in self.traces.items() for event in trace.events]
        return sorted(found, key=lambda pair: pair[1].wall)

    def at(self, step: int) -> MergedRecord:
        """What the ranks recorded of a step; of several records of one rank the last.

        Raises:
            PlaceError: no rank recorded it.
        """
        found = {}
        for rank, trace in self.traces.items():
            places = np.flatnonzero(trace.steps == step)
            if len(places):
                found[rank] = trace[int(places[-1])]
        if not found:
            raise PlaceError(f"no rank recorded step {step}")
        return MergedRecord(int(step), MappingProxyType(found))

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, index: int) -> MergedRecord:
        steps = self.steps
        if not -len(steps) <= index < len(steps):
            raise IndexError(f"step {index} of {len(steps)}")
        return self.at(int(steps[index]))

    def __iter__(self) -> Iterator[MergedRecord]:
        return (self.at(int(step)) for step in self.steps)

    def __repr__(self) -> str:
        return f"MergedTrace(ranks {', '.join(map(str, self.traces))}, {len(self)} steps)"
