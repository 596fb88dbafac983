"""Diagnose a run while it is being recorded: what appears and what goes away, as events.

A reader never writes into a trace. The events go to whoever iterates, and into `findings.jsonl` beside the trace
(memviz.analysis.sidecar), in the format of a trace's own events.jsonl.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from memviz.analysis import sidecar
from memviz.analysis.diagnostics.base import Diagnostic
from memviz.analysis.diagnostics.engine import Examiner
from memviz.analysis.diagnostics.finding import Finding
from memviz.trace.schema import Event

if TYPE_CHECKING:
    from memviz.trace.reader import Trace

LOG = "findings.jsonl"
"""Name of the log of events beside the trace; a new watch starts it anew."""


def watch(
    trace: Trace, *, timeout: float | None = None, checks: Sequence[Diagnostic] | None = None, keep: bool = True
) -> Iterator[Event]:
    """Check records as they come and yield an event whenever a finding appears, grows worse or goes away.

    Args:
        trace: a trace, usually one that is being written; the records it has already come first.
        timeout: end after so many seconds without a new record; by default when the run ends.
        checks: what to check; every installed diagnostic by default.
        keep: log the events beside the trace, too.

    Yields:
        Events of kind "finding" and "finding-gone", with the finding as `data`.
    """
    if keep:
        with contextlib.suppress(OSError):
            (sidecar.folder_of(trace) / LOG).unlink(missing_ok=True)
    examiner = Examiner(trace.name, checks)
    before: dict[tuple[str, str, str], Finding] = {}
    for record in trace.tail(timeout):
        examiner.feed(record)
        now = {(found.diagnostic, found.memory, found.subject): found for found in examiner.report().findings}
        events = [
            _event("finding", found.sentence, record.step, found)
            for key, found in now.items()
            if key not in before or before[key].severity != found.severity
        ]
        events += [
            _event("finding-gone", f"no longer so: {found.sentence}", record.step, found)
            for key, found in before.items()
            if key not in now
        ]
        before = now
        for event in events:
            if keep:
                sidecar.append_event(trace, LOG, event)
            yield event


def _event(kind: str, message: str, step: int, found: Finding) -> Event:
    return Event(kind, message, time.time(), step, found.to_json())
