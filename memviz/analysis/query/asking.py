"""Ask a whole trace, record by record, and keep the first places where the query holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import numpy as np
from numpy.typing import NDArray

from memviz.analysis.each import Each, in_turn
from memviz.analysis.query.evaluate import Found, Outcome, look
from memviz.analysis.query.terms import Plan, understand
from memviz.fields import memory_of
from memviz.trace.schema import Json, MemorySchema

if TYPE_CHECKING:
    from memviz.trace.reader import Record, Trace
    from memviz.trace.scalars import Series

LIMIT = 200
"""Places returned unless more are asked for; all are counted."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One place where a query holds.

    Attributes:
        run: name of the run.
        index: position of the record in the trace.
        record: its id.
        step: its training step.
        memory: the memory that time, head and slot are of.
        found: time, item, head, slot and the values of the terms.
    """

    run: str
    index: int
    record: int
    step: int
    memory: str
    found: Found

    @property
    def link(self) -> str:
        """Deep link to the place on the Scope page."""
        found = self.found
        query = {
            "step": self.step,
            "item": found.item,
            "memory": self.memory,
            "time": found.time,
            "slot": found.slot,
            "head": found.head if found.head_axis != "write_head" else None,
        }
        return f"#/run/{quote(self.run, safe='')}?" + urlencode({k: v for k, v in query.items() if v is not None})

    def text(self) -> str:
        """`step 250, t = 3, item 1, read head 0: read_weights.mass 0.91`."""
        found = self.found
        head = (found.head_axis or "head").replace("_", " ")
        places = [("t =", found.time), ("item", found.item), (head, found.head), ("slot", found.slot)]
        where = ", ".join([f"step {self.step}", *(f"{name} {at}" for name, at in places if at is not None)])
        values = ", ".join(f"{name} {_short(value)}" for name, value in found.values.items() if value is not None)
        return f"{where}: {values}" if values else where

    def to_json(self) -> dict[str, Json]:
        """A JSON object, flat but for `values`; a number that is not finite becomes a string."""
        found = self.found
        return {
            "index": self.index,
            "record": self.record,
            "step": self.step,
            "memory": self.memory,
            "time": found.time,
            "item": found.item,
            "head": found.head,
            "head_axis": found.head_axis,
            "slot": found.slot,
            "field": found.field.removeprefix(f"{memory_of(found.field)}/") if found.field else "",
            "values": {name: _json(value) for name, value in found.values.items()},
            "link": self.link,
        }


@dataclass(frozen=True, slots=True)
class Result:
    """What a query found.

    Attributes:
        text: the query.
        run: name of the run.
        hits: the first places, in the order of records, then times.
        count: number of places.
        matching: number of records with at least one.
        records: number of records asked.
        absent: by term, as written, how many records do not have it; it compares to nothing there.
    """

    text: str
    run: str
    hits: Sequence[Hit]
    count: int
    matching: int
    records: int
    absent: dict[str, int]

    @property
    def sentence(self) -> str:
        """How much was found, in words."""
        places = f"{self.count:,} place{'' if self.count == 1 else 's'}"
        found = f"{places} in {self.matching} of {self.records} records" if self.count else "It holds nowhere"
        first = f"; the first {len(self.hits)} are listed" if len(self.hits) < self.count else ""
        lacking = "".join(f"; {term} is missing in {count} of them" for term, count in self.absent.items())
        return f"{found}{first}{lacking}."

    def to_json(self) -> dict[str, Json]:
        """A JSON object with one member per attribute."""
        return {
            "text": self.text,
            "run": self.run,
            "count": self.count,
            "matching": self.matching,
            "records": self.records,
            "absent": dict(self.absent),
            "sentence": self.sentence,
            "hits": [hit.to_json() for hit in self.hits],
        }


class Gathering:
    """The streaming form: give it the outcome of one record after the other, ask it for the result at any time.

    Args:
        plan: the query.
        run: name of the run.
        limit: most places to keep.
    """

    def __init__(self, plan: Plan, run: str, limit: int = LIMIT) -> None:
        self.plan, self.run, self.limit = plan, run, limit
        self.hits: list[Hit] = []
        self.count = self.matching = self.records = 0
        self.absent: dict[str, int] = {}

    def take(self, index: int, record: int, step: int, outcome: Outcome) -> None:
        """Take in what a record said."""
        self.records += 1
        self.count += outcome.count
        self.matching += outcome.count > 0
        for term in sorted(outcome.absent):
            self.absent[term] = self.absent.get(term, 0) + 1
        for found in outcome.found[: self.limit - len(self.hits)]:
            self.hits.append(Hit(self.run, index, record, step, self.plan.memory, found))

    def result(self) -> Result:
        """What was found so far."""
        return Result(
            self.plan.text, self.run, tuple(self.hits), self.count, self.matching, self.records, dict(self.absent)
        )


def query(
    subject: Trace | Record,
    text: str,
    *,
    limit: int = LIMIT,
    progress: Callable[[int, int], None] = lambda done, total: None,
    each: Each = in_turn,
) -> Result:
    """Where a query holds in a run, or in one record of it.

    Args:
        subject: a trace from `memviz.open`, or one of its records.
        text: such as `read_weights.effective_slots > 8 and correct == False`; docs/analysis.md has the language.
        limit: most places to return; all are counted.
        progress: called with the number of records asked and to ask; what it raises ends the query.
        each: how records are asked; in turn by default, by a cluster with `memviz.analysis.cluster.connect`.

    Returns:
        The places, in the order of records, then times, items and heads.

    Raises:
        QueryError: the text is not in the language, or a name in it is none of the run's.
    """
    from memviz.trace.reader import Trace

    if not isinstance(subject, Trace):
        return _of_record(subject, text, limit)
    plan = understand(subject, text)
    gathering = Gathering(plan, subject.name, limit)
    count, ids, steps = len(subject), subject.ids, subject.steps
    for position, outcome in enumerate(_outcomes(subject, plan, range(count), limit, each)):
        gathering.take(position, int(ids[position]), int(steps[position]), outcome)
        progress(position + 1, count)
    return gathering.result()


def _outcomes(trace: Trace, plan: Plan, positions: Sequence[int], limit: int, each: Each) -> Iterator[Outcome]:
    if any(asked.name == "record" for asked in plan.asked.values() if asked.kind == "place"):
        # A function of a record does not know its position; only such a query pays for that, in this process.
        return (look(trace[position], plan, position, limit) for position in positions)
    return each(trace, positions, partial(look, plan=plan, position=-1, limit=limit))


@dataclass(frozen=True)
class _Alone:
    """A record seen as a trace of one."""

    record: Record
    scalars: Mapping[str, Series] = field(default_factory=dict)

    def __len__(self) -> int:
        return 1

    def __getitem__(self, position: int) -> Record:
        return self.record

    @property
    def memories(self) -> Mapping[str, MemorySchema]:
        return self.record.memories

    @property
    def steps(self) -> NDArray[np.int64]:
        return np.array([self.record.step])

    @property
    def ids(self) -> NDArray[np.int64]:
        return np.array([self.record.id])


def _of_record(record: Record, text: str, limit: int) -> Result:
    plan = understand(_Alone(record), text)
    gathering = Gathering(plan, "", limit)
    gathering.take(0, record.id, record.step, look(record, plan, 0, limit))
    return gathering.result()


def _short(value: float | str | bool) -> str:
    return f"{value:.4g}" if isinstance(value, float) else repr(value) if isinstance(value, str) else str(value)


def _json(value: float | str | bool | None) -> Json:
    return str(value) if isinstance(value, float) and not -1e308 <= value <= 1e308 else value
