"""All stories of a run, one row each, worked out a stretch of records at a time while somebody looks at the table."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from memviz.analysis.stories import FIELD, KINDS_OF_RESULT, Story, memories_of, read_stories
from memviz.analysis.story_labels import Told
from memviz.dashboards.numbers import number
from memviz.dashboards.source import Source
from memviz.errors import MemvizError
from memviz.trace.reader import Record, Trace

SECONDS = 0.25
"""How long one answer looks at records; a page asks on until it has all of them."""

MAX_ROWS = 2000
"""Rows of one answer."""

KEPT_ROWS = 60_000
"""Rows remembered over all runs; each is a few hundred bytes."""

MAX_GATES = 2_000_000
"""Gates of a record from which on it is left out of the table."""

QUESTION = 120
"""Characters of a question in a row."""


@dataclass(slots=True)
class _Known:
    """The rows of the first records of one trace, and how many rows there were after each of them."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    skipped: int = 0


class Stories:
    """Tables of stories; threads may share it. Records never change, so a row is made once.

    Args:
        source: the runs.
        clock: seconds that only grow; tests pass their own.
    """

    def __init__(self, source: Source, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._clock = clock
        self._known: OrderedDict[tuple[str, str], _Known] = OrderedDict()
        self._lock = threading.Lock()

    def ask(self, run: str, start: int) -> dict[str, Any]:
        """The rows of the records from `start` on that are known after a moment, as in docs/api.md, "stories".

        Raises:
            TraceNotFound: no such run.
            TraceError: it cannot be opened.
        """
        trace, key = self._source.trace(run), (run, self._source.identity(run))
        count = len(trace)
        with self._lock:
            known = self._known.setdefault(key, _Known())
            self._known.move_to_end(key)
            if len(known.ends) > count:  # made anew in the same moment
                known = self._known[key] = _Known()
            self._read_on(known, trace, min(start, count), count)
            first = ([0, *known.ends][start:] or [len(known.rows)])[0]
            rows, stop = known.rows[first : first + MAX_ROWS], len(known.ends)
            if first + MAX_ROWS < len(known.rows):
                # Whole records only, and always one.
                stop = max(start + 1, int(np.searchsorted(known.ends, first + MAX_ROWS, side="right")))
                rows = known.rows[first : known.ends[stop - 1]]
            answer = {
                "count": count,
                "from": start,
                "to": stop,
                "kinds": list(KINDS_OF_RESULT),
                "stories": rows,
                "skipped": known.skipped,
                "full": len(known.rows) >= KEPT_ROWS and len(known.ends) < count,
            }
            self._forget()
        return answer

    def _read_on(self, known: _Known, trace: Trace, start: int, count: int) -> None:
        """Read records in order until the time is up, and at least one beyond `start`."""
        end = self._clock() + SECONDS
        while len(known.ends) < count:
            index = len(known.ends)
            try:
                rows = rows_of(trace[index], index)
            except (MemvizError, OSError, ValueError, KeyError, TypeError):
                rows, known.skipped = [], known.skipped + 1
            known.rows += rows
            known.ends.append(len(known.rows))
            if len(known.rows) >= KEPT_ROWS or (self._clock() >= end and index >= start):
                break

    def _forget(self) -> None:
        """Drop the tables that were asked for longest ago, never the last one."""
        while len(self._known) > 1 and sum(len(known.rows) for known in self._known.values()) > KEPT_ROWS:
            self._known.popitem(last=False)


def rows_of(record: Record, index: int) -> list[dict[str, Any]]:
    """One row per item of a record; none where it holds no gates over facts, or too many."""
    memories = memories_of(record)
    if not memories or np.prod(record.shape(f"{memories[0]}/{FIELD}"), dtype=np.int64) > MAX_GATES:
        return []
    stories = read_stories(record, memories[0])
    rows = []
    for story in stories:
        memory = memory_of(memories, story.told)
        chosen = story if memory == story.memory else read_stories(record, memory)[story.item]
        rows.append(_row(chosen, index, record.step))
    return rows


def memory_of(memories: tuple[str, ...], told: Told) -> str:
    """Of several memories, one per choice, that of the choice that was made; otherwise the first."""
    return next((name for name in memories[1:] if name.split(".")[-1] == told.letter), memories[0])


def _row(story: Story, index: int, step: int) -> dict[str, Any]:
    told = story.told
    lost = max((eclipse.gate - eclipse.kept for eclipse in story.eclipsed), default=0.0)
    return {
        "index": index,
        "step": step,
        "item": story.item,
        "memory": story.memory,
        "task": told.task,
        "family": told.family,
        "question": told.question[:QUESTION],
        "answer": told.answer[:QUESTION],
        "predicted": told.predicted[:QUESTION],
        "confidence": told.confidence,
        "right": told.right,
        "kind": story.kind,
        "supporting": None if told.supporting is None else len(told.supporting),
        "found": None if story.found is None else len(story.found),
        "facts": len(told.facts) or story.facts,
        "hops": story.hops,
        "lost": round(lost, 4),
        "left": number(float(f"{float(story.left.max()):.4g}")),
    }
