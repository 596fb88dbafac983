"""The desk: findings of the runs that somebody looks at, worked out in the background, one run at a time.

A page asks again and again; each answer says how far the checks are. A run that nobody has asked about for a while is
put down, so no one pays for what no one sees. A closed run is examined once and its report kept beside it
(memviz.analysis.sidecar), where `memviz doctor` finds it too; a live one is followed record by record.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memviz.analysis import doctor, sidecar
from memviz.analysis.diagnostics import Examiner, examine
from memviz.analysis.each import Result
from memviz.dashboards.numbers import strict
from memviz.dashboards.room import Room
from memviz.dashboards.source import Source
from memviz.errors import MemvizError
from memviz.trace.reader import Record, Trace

log = logging.getLogger(__name__)

PATIENCE = 10.0
"""Seconds after which a run that nobody asks about is put down."""

KEPT = 32
"""Runs whose report is kept; each is a few dozen findings."""

AT_FIRST = 60
"""Records of a live run that are looked at before it is followed; a later backlog is caught up with as many."""


MOST = 15 * 2**20
"""Numbers of one memory that are looked at here, so that the server keeps to its share of memory."""


class GivenUp(Exception):
    """Nobody looks any more."""


@dataclass(slots=True)
class Job:
    """One run on the desk.

    Attributes:
        identity: which trace it is about; another one at the same path is another job.
        asked: when somebody asked last.
        state: "waiting", "checking", "following" (live: what there was is checked), "done" or "failed".
        done, total: records looked at, and to look at.
        report: the report as JSON (memviz.analysis.diagnostics.Report), None before there is one.
        problem: why it failed.
        seen: how many records the trace had when the report was made.
        examiner: of a live run.
        fed: how many records of a live run it has been given, or passed over.
    """

    identity: str
    asked: float
    state: str = "waiting"
    done: int = 0
    total: int = 0
    report: Mapping[str, Any] | None = None
    problem: str = ""
    seen: int = -1
    examiner: Examiner | None = None
    fed: int = 0


class Desk:
    """Findings of the runs of a source. Threads may share it; one worker thread of its own does the work.

    Args:
        source: the runs.
        room: what checks of large records wait for.
        clock: seconds that only grow; tests pass their own.
    """

    def __init__(
        self, source: Source, room: Room | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._source = source
        self._room = room or Room()
        self._clock = clock
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lock = threading.Lock()
        self._worker: threading.Thread | None = None

    def ask(self, run: str) -> dict[str, Any]:
        """What is known now, as in docs/api.md, "findings"; starts the work where there is some.

        Raises:
            TraceNotFound: no such run.
            TraceError: it cannot be opened.
        """
        trace, identity = self._source.trace(run), self._source.identity(run)
        with self._lock:
            job = self._jobs.get(run)
            if job is None or job.identity != identity:
                job = self._jobs[run] = Job(identity, self._clock())
                self._remember(job, trace)
            job.asked = self._clock()
            self._jobs.move_to_end(run)
            while len(self._jobs) > KEPT:
                self._jobs.popitem(last=False)
            if _outdated(job, trace):
                self._start()
            return _answer(job, trace)

    def at_hand(self, run: str) -> Mapping[str, Any] | None:
        """The report of a run that somebody has looked at; starts nothing.

        Raises:
            TraceNotFound: no such run.
        """
        identity = self._source.identity(run)
        with self._lock:
            job = self._jobs.get(run)
            return job.report if job is not None and job.identity == identity else None

    def _remember(self, job: Job, trace: Trace) -> None:
        """Take the report that an earlier look, or `memviz doctor`, has left beside the trace."""
        report = kept(trace)
        if report is not None:
            job.report, job.seen, job.state = report, len(trace), "done"
            job.done = job.total = int(report["examined"])

    def _start(self) -> None:
        if self._worker is None:
            self._worker = threading.Thread(target=self._run, name="memviz-findings", daemon=True)
            self._worker.start()

    def _run(self) -> None:
        """Work until there is nothing to do; the next question starts another thread."""
        while True:
            with self._lock:
                now = self._clock()
                due = [
                    (run, job)
                    for run, job in self._jobs.items()
                    if now - job.asked < PATIENCE and self._is_due(run, job)
                ]
                if not due:
                    self._worker = None
                    return
                run, job = due[-1]  # whoever asked last looks at the page now
            self._turn(run, job)

    def _is_due(self, run: str, job: Job) -> bool:
        try:
            return _outdated(job, self._source.trace(run))
        except (MemvizError, OSError):
            return False

    def _turn(self, run: str, job: Job) -> None:
        """One piece of work: a whole closed run, or the new records of a live one."""
        try:
            trace = self._source.trace(run)
            if trace.state == "live":
                self._follow(job, trace)
            else:
                self._examine(job, trace)
        except GivenUp:
            job.state = "waiting"
        except Exception as error:  # a trace may vanish or break in any way; the server goes on
            log.info("the checks of %s failed: %r", run, error)
            job.state, job.problem = "failed", str(error) or type(error).__name__

    def _examine(self, job: Job, trace: Trace) -> None:
        count = len(trace)
        job.state = "checking"

        def progress(done: int, total: int) -> None:
            job.done, job.total = done, total

        report = examine(trace, progress=progress, each=self._each(job), most=MOST).to_json()
        job.report, job.seen, job.examiner = report, count, None
        job.state = "done"
        sidecar.save(trace, doctor.FILE, report)

    def _each(self, job: Job) -> Callable[..., Iterator[Any]]:
        """How records are gone through: in turn, until nobody looks."""

        def each(trace: Trace, positions: Sequence[int], function: Callable[[Record], Result]) -> Iterator[Result]:
            job.total = max(job.total, len(positions))
            for position in positions:
                self._still_wanted(job)
                record = trace[position]
                with self._room.for_record(record):
                    result = function(record)
                yield result

        return each

    def _follow(self, job: Job, trace: Trace) -> None:
        count = len(trace)
        examiner = job.examiner = job.examiner or Examiner(trace.name, most=MOST)
        backlog = np.arange(job.fed, count)
        if len(backlog) > AT_FIRST:
            backlog = np.unique(np.linspace(job.fed, count - 1, AT_FIRST).round().astype(int))
        if job.report is None:
            job.state, job.done, job.total = "checking", 0, len(backlog)
        for position in backlog.tolist():
            self._still_wanted(job)
            record = trace[position]
            with self._room.for_record(record):
                examiner.feed(record)
            job.fed = position + 1
            job.done += 1
        job.fed = count
        job.report, job.seen = examiner.report(count).to_json(), count
        job.state, job.done, job.total = "following", examiner.examined, examiner.examined

    def _still_wanted(self, job: Job) -> None:
        if self._clock() - job.asked >= PATIENCE:
            raise GivenUp


def _outdated(job: Job, trace: Trace) -> bool:
    """Whether there is something to look at that the report does not know."""
    if job.state == "failed":
        return False
    return job.seen != len(trace) or (job.state != "done" and trace.state != "live")


def kept(trace: Trace) -> Mapping[str, Any] | None:
    """The report beside a trace, if it is about all the records that there are."""
    report = sidecar.load(trace, doctor.FILE)
    whole = (
        report is not None
        and report.get("records") == len(trace)
        and isinstance(report.get("findings"), list)
        and isinstance(report.get("examined"), int)
    )
    return report if whole and trace.state != "live" else None


def _answer(job: Job, trace: Trace) -> dict[str, Any]:
    report = job.report or {}
    state = "checking" if job.report is None and job.state == "waiting" else job.state
    ids = trace.ids
    found = [located(finding, ids) for finding in report.get("findings", []) if isinstance(finding, dict)]
    return {
        "state": state,
        "done": job.done,
        "total": job.total,
        "records": len(trace),
        "examined": report.get("examined", 0),
        "problem": job.problem or None,
        "findings": strict(found),
        "checks": strict(report.get("checks", [])),
        "unchecked": strict(report.get("unchecked", [])),
    }


def located(finding: Mapping[str, Any], ids: NDArray[np.int64]) -> dict[str, Any]:
    """A finding with a key that stays the same, and the position of its record in the trace."""
    names = [str(finding.get(name, "")) for name in ("diagnostic", "memory", "subject")]
    at = int(np.searchsorted(ids, finding["record"])) if isinstance(finding.get("record"), int) else 0
    return {**finding, "key": ".".join(name for name in names if name), "index": min(at, max(0, len(ids) - 1))}
