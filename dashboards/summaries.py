"""What the list of runs says about each run, and the description of one run: JSON for the API and the Runs page."""

from __future__ import annotations

import os
import threading
import time
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from memviz.dashboards.discovery import Found
from memviz.dashboards.downsample import edges
from memviz.dashboards.numbers import number, numbers, strict
from memviz.dashboards.source import Source
from memviz.errors import MemvizError, TraceCorrupt, TraceNotFound, TraceVersionError
from memviz.fields import MODEL, memory_of
from memviz.trace.layout import EVENTS, LIVE, SCALARS, SEALED, TRACE_JSON
from memviz.trace.reader import Record, Trace

SPARK_POINTS = 120
"""Points of the loss curve in a row of the list."""

LAST_STEPS = 10
"""The last loss is the mean over this many steps: a single batch says little."""

EVENTS_SENT = 200
"""Events sent with the description of a run, newest last."""

SETTLED_SECONDS = 1.0
"""A file touched more recently may change again without its time stamp moving."""

LOSS_NAMES = ("loss", "train_loss", "train/loss", "training_loss")
"""Scalars taken for the training loss, in order of preference; otherwise the first whose name holds "loss"."""

Signature = tuple[tuple[int, int], ...]


class Summaries:
    """The rows of the list of runs, each made again only when its trace has changed."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._rows: dict[str, tuple[Signature, dict[str, Any]]] = {}
        self._lock = threading.Lock()

    def rows(self) -> list[dict[str, Any]]:
        """One JSON object per run as in docs/api.md, newest first; a run that cannot be opened is one with an error."""
        found = self._source.runs()
        rows = [self.row(run) for run in found]
        with self._lock:
            for gone in self._rows.keys() - {run.id for run in found}:
                del self._rows[gone]
        return sorted(rows, key=lambda row: (-(row["created"] or 0.0), row["id"]))

    def row(self, run: Found) -> dict[str, Any]:
        """One run, from what was remembered when nothing has changed on disk."""
        signature = signature_of(run.path)
        with self._lock:
            known = self._rows.get(run.id)
        settled = bool(signature) and time.time() - max(touched for touched, _ in signature) / 1e9 > SETTLED_SECONDS
        # A live trace is looked at every time: its writer may die without touching a file.
        if known is not None and settled and known[0] == signature and known[1]["state"] != "live":
            row = dict(known[1])
        else:
            row = self._describe(run)
            with self._lock:
                self._rows[run.id] = (signature, row)
        return {**row, "age": age(row.get("last_write"))}

    def _describe(self, run: Found) -> dict[str, Any]:
        try:
            return describe(run.id, self._source.trace(run.id))
        except (MemvizError, OSError, ValueError, KeyError, TypeError) as error:
            return failed(run, error)


def describe(run: str, trace: Trace) -> dict[str, Any]:
    """The members of a run that the list shows."""
    name, steps = loss_of(trace), trace.steps
    losses = trace.scalars[name] if name else None
    return {
        "id": run,
        "name": run,
        "state": trace.state,
        "error": None,
        "created": trace.header.created,
        "last_write": trace.last_write,
        "size": trace.nbytes,
        "step": int(steps[-1]) if len(steps) else None,
        "records": len(trace),
        "dropped": trace.dropped,
        "last_loss": number(float(np.mean(losses.values[-LAST_STEPS:]))) if losses and len(losses.values) else None,
        "loss_name": name,
        "spark": spark(losses.steps, losses.values) if losses else [],
        "model": strict(trace.header.model),
        "attributes": strict(trace.header.attributes),
        "memories": [
            {
                "name": memory.name,
                "law": memory.law,
                "summary": summary_of(sizes(trace, memory.name)),
                "story": "episodic_attention" in memory.fields,
            }
            for memory in trace.memories.values()
            if memory.name != MODEL
        ],
    }


def details(run: str, trace: Trace) -> dict[str, Any]:
    """What `describe` says and the schema, the names of the scalars, the last events and the revision."""
    return {
        **describe(run, trace),
        "age": age(trace.last_write),
        "schema": {name: strict(memory.to_json()) for name, memory in trace.memories.items()},
        "scalars": list(trace.scalars),
        "events": [strict(event.to_json()) for event in trace.events[-EVENTS_SENT:]],
        "revision": revision(trace.path),
        "notes": trace.notes,
    }


def failed(run: Found, error: Exception) -> dict[str, Any]:
    """The row of a run that cannot be opened: what is wrong in a word and in a sentence, and what to do."""
    label, remedy = next(
        ((label, remedy) for kind, label, remedy in _LABELS if isinstance(error, kind)),
        ("unreadable", "`memviz inspect` shows what can be read."),
    )
    # Errors of memviz end with what to do; the place of the trace is said by the row already.
    place = str(run.path.absolute())
    text = str(error).replace(place + os.sep, "").replace(place, run.id)
    reason, _, advice = text.rpartition(". " if ". " in text else "; ")
    if not reason or isinstance(error, TraceNotFound):
        reason, advice = text or type(error).__name__, remedy
    advice = advice[:1].upper() + advice[1:].rstrip(".") + "."
    try:
        written = run.path.stat().st_mtime
    except OSError:
        written = None
    return {
        "id": run.id,
        "name": run.id,
        "state": "error",
        "error": reason.rstrip("."),
        "error_label": label,
        "remedy": advice,
        "created": written,
        "last_write": written,
        "size": None,
        "step": None,
        "records": 0,
        "dropped": 0,
        "last_loss": None,
        "loss_name": None,
        "spark": [],
        "model": {},
        "attributes": {},
        "memories": [],
    }


_LABELS: tuple[tuple[type[Exception], str, str], ...] = (
    (TraceVersionError, "newer format", "Update memviz to open it."),
    (TraceNotFound, "gone", "The trace was moved or removed; the row goes at the next look."),
    (TraceCorrupt, "damaged", "`memviz repair` sets damaged files aside."),
    (PermissionError, "no permission", "Let the user who runs the server read the trace."),
)
"""What to call an error in a word or two, and what to do when its message does not say."""


def revision(path: Path) -> int:
    """A number that changes whenever a file of the trace has been added or has grown."""
    return zlib.crc32(repr(signature_of(path)).encode())


def signature_of(path: Path) -> Signature:
    """Time stamp in nanoseconds and size of each part of a trace; empty when it is gone."""
    parts = []
    for name in (TRACE_JSON, SCALARS, EVENTS, LIVE, SEALED):
        try:
            stat = os.stat(path / name)
        except OSError:
            continue
        parts.append((stat.st_mtime_ns, stat.st_size))
    return tuple(parts)


def gaps(trace: Trace) -> list[dict[str, Any]]:
    """Where records were dropped: the step, how many, and why."""
    return [
        {
            "step": event.step,
            "dropped": strict(event.data.get("dropped", 0)),
            "reason": str(event.data.get("reason") or event.message),
        }
        for event in trace.events
        if event.kind == "gap"
    ]


def loss_of(trace: Trace) -> str | None:
    """The name of the scalar that is most likely the training loss, None without one."""
    names = list(trace.scalars)
    for name in LOSS_NAMES:
        if name in names:
            return name
    return next((name for name in names if "loss" in name.lower()), None)


def spark(steps: np.ndarray, values: np.ndarray, points: int = SPARK_POINTS) -> list[list[Any]]:
    """A curve as at most `points` pairs [step, value], the smallest and largest of each column in their order.

    A column with a NaN gives it for both, so that it is seen.
    """
    if len(values) > points:
        starts = edges(len(values), points // 2)
        ends = np.append(starts[1:], len(values))
        picks = [start + pick for start, end in zip(starts, ends, strict=True) for pick in _extremes(values[start:end])]
        steps, values = steps[picks], values[picks]
    return [[step, value] for step, value in zip(steps.tolist(), numbers(values, 4), strict=True)]


def _extremes(column: np.ndarray) -> list[int]:
    return sorted((int(np.argmin(column)), int(np.argmax(column))))


def sizes(trace: Trace, memory: str) -> dict[str, int]:
    """Length of each axis of a memory in the newest record that has it; empty before the first one."""
    if not len(trace):
        return {}
    return axis_sizes(trace[len(trace) - 1], memory)


def axis_sizes(record: Record, memory: str) -> dict[str, int]:
    """Length of each axis of a memory in one record, from the shapes of its stored fields."""
    lengths: dict[str, int] = {}
    for name in record.stored:
        if memory_of(name) == memory:
            for axis, length in zip(record.schema(name).axes, record.shape(name), strict=True):
                lengths[axis] = max(length, lengths.get(axis, 0))
    return lengths


def summary_of(sizes: Mapping[str, int]) -> str:
    """The size of a memory in words, such as "16 slots × 16, 2 read heads"."""
    parts = []
    if "slot" in sizes:
        parts.append(f"{sizes['slot']} slots × {sizes['word']}" if "word" in sizes else f"{sizes['slot']} slots")
    if "fact" in sizes:
        parts.append(f"{sizes['fact']} facts, {_count(sizes.get('time', 0), 'hop')}")
    for axis, word in (("read_head", "read head"), ("head", "head")):
        if axis in sizes:
            parts.append(_count(sizes[axis], word))
    if sizes.get("write_head", 1) > 1:
        parts.append(_count(sizes["write_head"], "write head"))
    return ", ".join(parts)


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def age(written: float | None) -> float | None:
    """Seconds since the last write."""
    return None if written is None else max(0.0, round(time.time() - written, 2))
