"""All runs under some paths, streamed to one board by a thread of their own that nothing waits for."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from memviz.dashboards.source import Source
from memviz.dashboards.visdom.client import Client, VisdomUnavailable
from memviz.dashboards.visdom.feedback import INSTALL_HINT, Feedback
from memviz.dashboards.visdom.panes import RUN
from memviz.dashboards.visdom.sink import INTERVAL, Frontier, Sink, live
from memviz.trace.reader import Trace

MAX_FINISHED = 12
"""Finished runs that are drawn when streaming begins, the newest ones."""

POLL_SECONDS = 0.1
"""How often live runs are looked at."""

FINISHED_SECONDS = 5.0
"""How often a finished run is looked at, in case that it is resumed."""

LAST_SECONDS = 1.0
"""How long, at the end, a server is waited for that did not answer before."""

SEARCH_SECONDS = 1.0
PROBE_SECONDS = 2.0
RETRY_SECONDS = (0.5, 1.0, 2.0, 4.0)
"""Waits after the first, second, ... failure; the last one from then on."""

_log = logging.getLogger(__name__)


class Stream:
    """Streams runs to a Visdom server until it is told to stop.

    The server may be down, hung or restarted at any time: the stream tries again, draws everything anew when the server
    is back, and says in words how long it was away and how many records were passed over. Runs that are live, or begin
    later, are followed; of those that are finished the newest MAX_FINISHED are drawn once and can be browsed.

    Args:
        paths: traces or directories of traces.
        client: of the server.
        say: told in one sentence what went wrong and what is well again.
        frontier: how far runs may be shown.
        interval: shortest time between two records of one run, in seconds.
    """

    def __init__(
        self,
        paths: Sequence[str | Path],
        client: Client,
        *,
        say: Callable[[str], None] = lambda text: None,
        frontier: Callable[[Trace], Frontier] = live,
        interval: float = INTERVAL,
    ) -> None:
        self.source = Source(paths)
        self.client = client
        self.sinks: dict[str, Sink] = {}
        self._say = say
        self._frontier = frontier
        self._interval = interval
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._feedback = Feedback(client, self._wake.set) if Feedback.available() else None
        self._failures = 0
        self._down_since: float | None = None
        self._skipped_before = 0
        self._connected = False
        self._left: frozenset[str] = frozenset()
        self._searched = self._probed = float("-inf")
        self._looked: dict[str, float] = {}
        self._thread = threading.Thread(target=self.run, name="memviz-visdom", daemon=True)

    def start(self) -> Stream:
        """Stream in a thread."""
        self._thread.start()
        return self

    def stop(self, timeout: float = 10.0) -> None:
        """Draw what is newest, if the server takes it within `timeout` seconds, and end."""
        self._stop.set()
        self._wake.set()
        self._thread.join(timeout)

    def run(self) -> None:
        """Stream until `stop`."""
        if self._feedback is None:
            self._say(f"Visdom's panes will not react to changes of their properties: {INSTALL_HINT}")
        else:
            self._feedback.start()
        while not self._stop.is_set():
            self._wake.wait(self._turn())
            self._wake.clear()
        if self._down_since is not None:
            self.client.timeout = LAST_SECONDS
        self._turn(last=True)
        if self._feedback is not None:
            self._feedback.stop()
        self.client.disconnect()

    def _turn(self, *, last: bool = False) -> float:
        """One look at everything; returns the seconds to wait before the next."""
        try:
            back = self._is_back()
            self._search()
            self._listen()
            for sink in list(self.sinks.values()):
                if last or back or self._due(sink):
                    self._draw(sink, now=last or back)
            self._probe()
        except VisdomUnavailable as error:
            return self._failed(error)
        except Exception as error:
            # Whatever is wrong in here must not end the stream, and even less what runs beside it.
            if self._down_since is None:
                _log.exception("streaming to Visdom")
            return self._failed(error)
        if self._down_since is not None:
            self._recovered()
        return POLL_SECONDS

    def _search(self) -> None:
        now = time.monotonic()
        if now - self._searched < SEARCH_SECONDS:
            return
        first, self._searched = self._searched == float("-inf"), now
        found = [run for run in self.source.runs() if run.id not in self.sinks]
        if first and len(found) > MAX_FINISHED:
            found.sort(key=lambda run: run.path.stat().st_mtime, reverse=True)
            left = [run.id for run in found[MAX_FINISHED:]]
            self._say(
                f"{len(left)} older runs are not drawn in Visdom; name one to draw it: {', '.join(left[:5])}, ..."
            )
            found = found[:MAX_FINISHED]
            self._left = frozenset(left)
        for run in found:
            if run.id not in self._left:
                self.sinks[run.id] = Sink(
                    run.id, self.source, self.client, frontier=self._frontier, interval=self._interval
                )

    def _due(self, sink: Sink) -> bool:
        if sink.state in ("closed", "interrupted", "error") and self._frontier is live:
            return time.monotonic() - self._looked.get(sink.run, float("-inf")) >= FINISHED_SECONDS
        return True

    def _draw(self, sink: Sink, *, now: bool) -> None:
        sink.draw(now=now)
        self._looked[sink.run] = time.monotonic()

    def _listen(self) -> None:
        """React to what viewers did; a choice is drawn at once."""
        while self._feedback is not None and not self._feedback.events.empty():
            event = self._feedback.events.get()
            if event.kind == "connected":
                # The first connection follows the first panes; any later one may be to a server that began anew.
                if self._connected:
                    self._forget()
                self._connected = True
            for sink in self.sinks.values():
                if sink.env == event.env and sink.react(event):
                    self._draw(sink, now=True)

    def _probe(self) -> None:
        """Without the socket, ask now and then for a window that must be there: a restarted server has lost it."""
        now = time.monotonic()
        if self._feedback is not None or now - self._probed < PROBE_SECONDS:
            return
        self._probed = now
        for sink in self.sinks.values():
            if RUN in sink.windows and not self.client.exists(sink.env, RUN):
                sink.forget()
                self._looked.pop(sink.run, None)

    def _forget(self) -> None:
        for sink in self.sinks.values():
            sink.forget()
        self._looked.clear()

    def _failed(self, error: Exception) -> float:
        if self._down_since is None:
            self._down_since = time.monotonic()
            self._skipped_before = self._skipped
            self._say(f"{error}. Recording goes on as before, and memviz keeps trying.")
        self._failures += 1
        return RETRY_SECONDS[min(self._failures, len(RETRY_SECONDS)) - 1]

    def _is_back(self) -> bool:
        """Whether a server that did not answer does so again; then everything is drawn anew."""
        if self._down_since is None:
            return False
        self.client.exists("main", RUN)
        seconds = time.monotonic() - self._down_since
        for sink in self.sinks.values():
            sink.away(seconds)
        self._forget()
        return True

    def _recovered(self) -> None:
        assert self._down_since is not None
        seconds, skipped = time.monotonic() - self._down_since, self._skipped - self._skipped_before
        self._down_since, self._failures = None, 0
        passed = f"; {skipped} records were passed over there (they are in the trace)" if skipped else ""
        self._say(f"Visdom at {self.client.address.url} shows the newest records again after {seconds:.0f} s{passed}.")

    @property
    def _skipped(self) -> int:
        return sum(sink.tally.skipped for sink in self.sinks.values())
