"""Queries to runs (memviz.analysis.query), worked on in the background while somebody waits for the answer.

As with findings (desk), a page asks again and again and each answer says how far the search is. What nobody has asked
about for a moment is put down, which is how a page cancels: it stops asking. A search that is taken up again goes on
where it was, and so does one of a run that has new records.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from memviz.analysis.query import understand
from memviz.analysis.query.asking import Gathering
from memviz.analysis.query.evaluate import look
from memviz.dashboards.numbers import strict
from memviz.dashboards.source import Source
from memviz.errors import MemvizError, QueryError
from memviz.trace.reader import Trace

log = logging.getLogger(__name__)

PATIENCE = 3.0
"""Seconds after which a search that nobody asks about is put down."""

KEPT = 16
"""Searches whose places are kept."""

LIMIT = 500
"""Places that a search keeps; all are counted."""

ROUND = 0.25
"""Seconds of one turn, after which another search may have its turn."""


@dataclass(slots=True)
class Search:
    """One query to one run.

    Attributes:
        run: id of the run.
        identity: which trace it is about; another one at the same path is another search.
        gathering: what was found so far.
        asked: when somebody asked last.
        understood: how many records the run had when names were looked up; later ones may bring more of them.
        done: how many records were asked.
        problem: why it failed; "" while it has not.
    """

    run: str
    identity: str
    gathering: Gathering
    asked: float
    understood: int
    done: int = 0
    problem: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)


class Searches:
    """Queries to the runs of a source. Threads may share it; one worker thread of its own does the work.

    Args:
        source: the runs.
        clock: seconds that only grow; tests pass their own.
    """

    def __init__(self, source: Source, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._clock = clock
        self._kept: OrderedDict[tuple[str, str], Search] = OrderedDict()
        self._lock = threading.Lock()
        self._worker: threading.Thread | None = None

    def ask(self, run: str, text: str, have: int = 0) -> dict[str, Any]:
        """What is known now, as in docs/api.md, "query"; starts the work where there is some.

        Args:
            run: its id.
            text: the query.
            have: how many places whoever asks has got; those after them are given.

        Raises:
            QueryError: the query cannot be read, or a name in it is none of the run's.
            TraceNotFound: no such run.
            TraceError: it cannot be opened.
        """
        trace, identity = self._source.trace(run), self._source.identity(run)
        key = run, text
        with self._lock:
            search = self._kept.get(key)
        if search is None or search.identity != identity:
            # Understanding reads a few records, so others need not wait for it.
            gathering = Gathering(understand(trace, text), run, LIMIT)
            search = Search(run, identity, gathering, self._clock(), len(trace))
        with self._lock:
            known = self._kept.get(key)
            if known is not None and known.identity == identity:
                search = known
            self._kept[key] = search
            search.asked = self._clock()
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            if not search.problem and search.done < len(trace) and self._worker is None:
                self._worker = threading.Thread(target=self._run, name="memviz-queries", daemon=True)
                self._worker.start()
        return _answer(search, trace, have)

    def _run(self) -> None:
        """Work until there is nothing to do; the next question starts another thread."""
        while True:
            with self._lock:
                now = self._clock()
                due = [
                    search for search in self._kept.values() if now - search.asked < PATIENCE and self._is_due(search)
                ]
                if not due:
                    self._worker = None
                    return
                search = due[-1]  # whoever asked last looks at the page now
            try:
                self._turn(search)
            except Exception as error:  # a trace may vanish or break in any way; the server goes on
                log.info("a query to %s failed: %r", search.run, error)
                search.problem = error.what if isinstance(error, QueryError) else str(error) or type(error).__name__

    def _is_due(self, search: Search) -> bool:
        if search.problem:
            return False
        try:
            same = self._source.identity(search.run) == search.identity
            return same and search.done < len(self._source.trace(search.run))
        except (MemvizError, OSError):
            return False

    def _turn(self, search: Search) -> None:
        """Ask records for a while."""
        trace = self._source.trace(search.run)
        gathering, ends = search.gathering, time.monotonic() + ROUND
        if search.understood < len(trace):
            gathering.plan, search.understood = understand(trace, gathering.plan.text), len(trace)
        for position in range(search.done, len(trace)):
            record = trace[position]
            outcome = look(record, gathering.plan, position, LIMIT)
            with search.lock:
                gathering.take(position, record.id, record.step, outcome)
                search.done = position + 1
            if time.monotonic() >= ends or self._clock() - search.asked >= PATIENCE:
                return


def _answer(search: Search, trace: Trace, have: int) -> dict[str, Any]:
    with search.lock:
        result, done = search.gathering.result(), search.done
    total = len(trace)
    state = "failed" if search.problem else "done" if done >= total else "searching"
    found = {**replace(result, hits=result.hits[have:]).to_json(), "sentence": result.sentence, "from": have}
    answer: dict[str, Any] = strict(
        {**found, "state": state, "done": done, "total": total, "problem": search.problem or None}
    )
    return answer
