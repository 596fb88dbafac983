"""Glances: what the list of runs says of each run's findings, worked out one run at a time while somebody looks.

A run that is no longer live is examined once; its report is kept beside it, where the desk and `memviz doctor` find it.
A live one costs nothing here: the list says what its own page has found so far.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from memviz.analysis import doctor, sidecar
from memviz.analysis.diagnostics import examine
from memviz.analysis.diagnostics.finding import SEVERITIES
from memviz.analysis.each import Result
from memviz.dashboards.desk import MOST, PATIENCE, Desk, GivenUp, kept, located
from memviz.dashboards.numbers import strict
from memviz.dashboards.room import Room
from memviz.dashboards.source import Source
from memviz.errors import MemvizError
from memviz.trace.reader import Record, Trace

log = logging.getLogger(__name__)

WORST = 2
"""Findings of a run that the list names; it counts the rest."""

Signature = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class _Wish:
    """A run to be looked at, as it was when the list was asked for."""

    signature: Signature
    asked: float


class Glances:
    """Findings in brief for every run of a source. Threads may share it; one worker thread of its own does the work.

    Args:
        source: the runs.
        desk: what has a report of a run already.
        room: what checks of large records wait for.
        clock: seconds that only grow; tests pass their own.
    """

    def __init__(
        self, source: Source, desk: Desk, room: Room | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._source = source
        self._room = room or Room()
        self._desk = desk
        self._clock = clock
        self._known: dict[str, tuple[Signature, dict[str, Any]]] = {}
        self._wishes: dict[str, _Wish] = {}
        self._lock = threading.Lock()
        self._worker: threading.Thread | None = None

    def of(self, row: Mapping[str, Any]) -> dict[str, Any] | None:
        """Findings of the run of one row of the list, as in docs/api.md; starts the work where there is some.

        Returns:
            None for a run that cannot be opened or has no record.
        """
        run, state = row["id"], row["state"]
        if state == "error" or not row["records"]:
            return None
        signature = (row["created"], row["records"], row["size"], state)
        if state == "live":
            return self._live(run)
        with self._lock:
            known = self._known.get(run)
            if known is not None and known[0] == signature:
                return known[1]
            self._wishes[run] = _Wish(signature, self._clock())
            if self._worker is None:
                self._worker = threading.Thread(target=self._run, name="memviz-glances", daemon=True)
                self._worker.start()
        return {"state": "checking"}

    def _live(self, run: str) -> dict[str, Any] | None:
        try:
            report = self._desk.at_hand(run)
            return {"state": "live"} if report is None else brief(report, self._source.trace(run), "live")
        except (MemvizError, OSError):  # it went since the list was made
            return None

    def _run(self) -> None:
        """Work until there is nothing to do; the next look starts another thread."""
        while True:
            with self._lock:
                due = [run for run, wish in self._wishes.items() if self._clock() - wish.asked < PATIENCE]
                if not due:
                    self._wishes.clear()
                    self._worker = None
                    return
                run = due[0]
                signature = self._wishes[run].signature
            try:
                found = self._look(run)
            except GivenUp:
                found = None
            except Exception as error:  # a trace may vanish or break in any way; the list goes on
                log.info("the checks of %s failed: %r", run, error)
                found = {"state": "failed", "problem": str(error) or type(error).__name__}
            with self._lock:
                if found is not None:
                    self._known[run] = signature, found
                self._wishes.pop(run, None)

    def _look(self, run: str) -> dict[str, Any]:
        trace = self._source.trace(run)
        report = kept(trace)
        if report is None:
            report = examine(trace, each=self._each(run), most=MOST).to_json()
            sidecar.save(trace, doctor.FILE, report)
        return brief(report, trace, "done")

    def _each(self, run: str) -> Callable[..., Iterator[Any]]:
        """How records are gone through: in turn, until nobody looks at the list."""

        def each(trace: Trace, positions: Sequence[int], function: Callable[[Record], Result]) -> Iterator[Result]:
            for position in positions:
                wish = self._wishes.get(run)
                if wish is None or self._clock() - wish.asked >= PATIENCE:
                    raise GivenUp
                record = trace[position]
                with self._room.for_record(record):
                    result = function(record)
                yield result

        return each


def brief(report: Mapping[str, Any], trace: Trace, state: str) -> dict[str, Any]:
    """A report in a few words: how many findings of each severity there are, and the worst of them.

    Args:
        report: as JSON (memviz.analysis.diagnostics.Report).
        trace: what it is about.
        state: "done", or "live" when more may come.

    Returns:
        `state`, `error`, `warning` and `note` (counts) and `worst`, each with `diagnostic`, `severity`, `value`,
        `sentence` and `query`, the rest of the address of its evidence.
    """
    findings = [found for found in report.get("findings", ()) if isinstance(found, dict)]
    worst = [located(found, trace.ids) for found in findings[:WORST] if found.get("severity") != SEVERITIES[-1]]
    counts: dict[str, int] = {
        severity: sum(found.get("severity") == severity for found in findings) for severity in SEVERITIES
    }
    said = [
        {
            **{name: found.get(name) for name in ("diagnostic", "severity", "value", "sentence")},
            "query": urlencode(
                {
                    address: found[name]
                    for address, name in _ADDRESS.items()
                    if found.get(name) is not None and found[name] != ""
                }
            ),
        }
        for found in worst
    ]
    return {"state": state, **counts, "worst": strict(said)}


_ADDRESS = {
    "step": "step",
    "item": "item",
    "memory": "memory",
    "t": "time",
    "slot": "slot",
    "head": "head",
    "finding": "key",
}
"""Parameter of the address and member of the finding."""
