"""One run in one Visdom environment: draws what is new, in place, and passes over what there is no time for."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from memviz.dashboards.fieldview import Values
from memviz.dashboards.source import Source
from memviz.dashboards.visdom.client import Board
from memviz.dashboards.visdom.feedback import Event
from memviz.dashboards.visdom.panes import PREFIX, PROPERTIES, RUN, Pane, panes
from memviz.dashboards.visdom.place import Offer, Place, offer, position
from memviz.dashboards.visdom.plots import html_text
from memviz.dashboards.visdom.properties import choose
from memviz.dashboards.visdom.texts import Tally
from memviz.errors import MemvizError
from memviz.trace.reader import Trace

INTERVAL = 1.0
"""Shortest time in seconds between two records in one environment: a browser needs about that long to redraw it."""


@dataclass(frozen=True, slots=True)
class Frontier:
    """How far a run may be shown: up to a record, and what to say about that."""

    newest: int
    playing: str = ""


def live(trace: Trace) -> Frontier:
    """All of it."""
    return Frontier(len(trace) - 1)


def environment(run: str) -> str:
    """The name of the environment of a run: Visdom takes slashes for folders of its own and `+` for a comparison."""
    return re.sub(r"[^\w.-]+", "_", run) or "run"


class Sink:
    """The panes of one run.

    Each pane is sent only when what it shows has changed. Not safe to share between threads.

    Args:
        run: id of the run in `source`.
        source: where traces are.
        board: where panes are shown.
        frontier: how far the run may be shown; all of it by default.
        interval: shortest time between two records, in seconds.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        run: str,
        source: Source,
        board: Board,
        *,
        frontier: Callable[[Trace], Frontier] = live,
        interval: float = INTERVAL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.run = run
        self.env = environment(run)
        self.place = Place()
        self.tally = Tally()
        self.state = "new"
        self._source = source
        self._board = board
        self._frontier = frontier
        self._interval = interval
        self._clock = clock
        self._sent: dict[str, bytes] = {}
        self._closed: set[str] = set()
        self._offer: Offer | None = None
        self._seen: tuple[Any, ...] = ()
        self._drawn_at = float("-inf")
        self._last_id: int | None = None

    @property
    def windows(self) -> tuple[str, ...]:
        """Ids of the windows shown now."""
        return tuple(self._sent)

    def forget(self) -> None:
        """Draw everything again next time: the server may have lost it."""
        self._sent.clear()
        self._seen = ()

    def away(self, seconds: float) -> None:
        """Count time for which the server did not answer."""
        self.tally = replace(self.tally, away=self.tally.away + seconds)

    def react(self, event: Event) -> bool:
        """Take in what a viewer did in this environment; returns whether something is to be drawn at once."""
        if event.kind == "closed" and event.win.startswith(PREFIX):
            self._sent.pop(event.win, None)
            if event.win != PROPERTIES:
                self._closed.add(event.win)
            if not self._sent:
                # The whole environment was cleared, which in Visdom means to begin anew.
                self._closed.clear()
            return False
        if event.kind != "property" or event.win != PROPERTIES or self._offer is None:
            return False
        choice = choose(self.place, self._offer, event.row, event.value)
        self.place = choice.place
        if choice.reopen:
            self._closed.clear()
        # Even an impossible value is answered by drawing the pane as it was.
        self._sent.pop(PROPERTIES, None)
        self._seen = ()
        self._drawn_at = float("-inf")
        return True

    def due(self) -> float:
        """Seconds until `draw` may show something newer."""
        return max(0.0, self._drawn_at + self._interval - self._clock())

    def draw(self, *, now: bool = False) -> int:
        """Show what is new, unless something was shown less than the interval ago; returns the number of panes sent.

        Args:
            now: do not wait for the interval.

        Raises:
            VisdomUnavailable: the board does not take it; what it took so far is not sent again.
        """
        if not now and self.due() > 0:
            return 0
        before = self.tally, self._last_id
        try:
            shown = self._look(self._source.trace(self.run))
        except (MemvizError, OSError, ValueError, KeyError, MemoryError) as error:
            self.state = "error"
            shown = [Pane(RUN, "run", [{"type": "text", "content": _trouble(self.run, error)}])]
        if shown is None:
            return 0
        try:
            count = self._send(shown)
        except OSError:
            # Nobody has seen this record whole, and the rest of it is still to be sent.
            self.tally, self._last_id = before
            self._seen = ()
            raise
        self._drawn_at = self._clock()
        return count

    def _look(self, trace: Trace) -> list[Pane] | None:
        """What to show of a trace; nothing when it is what was shown last."""
        state = trace.state
        frontier = self._frontier(trace)
        scalars = tuple(len(series.steps) for series in trace.scalars.values())
        seen = (frontier, len(trace), scalars, len(trace.events), state, self.place)
        if seen == self._seen:
            self.state = state
            return None
        if not len(trace):
            self._seen, self.state = seen, state
            return [Pane(RUN, "run", [{"type": "text", "content": f"<h5>{html_text(self.run)}</h5>no record yet"}])]
        index = position(trace, self.place, frontier.newest)
        record = trace[index]
        self._count(trace, record.id)
        place = replace(self.place, item=min(self.place.item, max(0, len(record.batch) - 1)))
        self._offer = offer(trace, record, place, frontier.newest)
        values = Values(record, (self.run, self._source.identity(self.run), record.id), self._source.arrays)
        shown = panes(trace, values, place, self._offer, self.tally, frontier.playing)
        self._seen, self.state = seen, state
        return shown

    def _count(self, trace: Trace, record: int) -> None:
        if record == self._last_id:
            return
        skipped = 0
        if self.place.step is None and self._last_id is not None and record > self._last_id:
            skipped = int(((trace.ids > self._last_id) & (trace.ids < record)).sum())
        self.tally = replace(self.tally, drawn=self.tally.drawn + 1, skipped=self.tally.skipped + skipped)
        self._last_id = record

    def _send(self, shown: list[Pane]) -> int:
        count = 0
        for pane in shown:
            if pane.win in self._closed:
                continue
            digest = hashlib.sha1(pane.body(self.env), usedforsecurity=False).digest()
            if self._sent.get(pane.win) == digest:
                continue
            self._board.draw(self.env, pane)
            self._sent[pane.win] = digest
            count += 1
        for win in self._sent.keys() - {pane.win for pane in shown}:
            self._board.close(self.env, win)
            del self._sent[win]
        return count


def _trouble(run: str, error: Exception) -> str:
    return f"<h5>{html_text(run)}</h5><p>cannot be shown: {html_text(str(error) or type(error).__name__)}</p>"
