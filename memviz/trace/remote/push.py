"""The thread that sends a spool to a server, and keeps trying."""

from __future__ import annotations

import json
import logging
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from memviz.errors import MemvizError, RemoteError, RemoteRefused, TraceCorrupt
from memviz.trace import layout
from memviz.trace.files import listing, read_capped
from memviz.trace.header import read_header
from memviz.trace.remote.link import Address, Link
from memviz.trace.remote.replica import LINE_FILES, MAX_RECORD, State

HEARTBEAT = 5.0
"""Seconds between two signs of life while nothing is recorded."""

PATIENCE = (0.25, 10.0)
"""Seconds before the first and the last new attempt after a failure; doubled in between."""

CLOSE_SECONDS = 30.0
"""Seconds that the end of a run waits for what is not sent yet."""

_LINES_AT_ONCE = 2**20

_log = logging.getLogger("memviz.remote")


class Pusher:
    """Sends what a spool holds, in order, until it is told to finish.

    Args:
        spool: folder of the spool, a trace.
        link: to the server.
        release: called with the id of each record that has arrived.
        say: told once when the link goes down, and when it is up again.
    """

    def __init__(
        self,
        spool: Path,
        link: Link,
        *,
        release: Callable[[int], None] = lambda record: None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.spool = spool
        self.link = link
        self.say = say or (lambda text: _log.warning("memviz: %s", text))
        self.refused: list[str] = []
        self._release = release
        self._wake = threading.Event()
        self._finish = threading.Event()
        self._give_up = threading.Event()
        self._down = ""
        self._opened = False
        self._sent_header: bytes = b""
        self.arrived = False
        self._thread = threading.Thread(target=self._run, name="memviz-push", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def wake(self) -> None:
        """Say that there is something new."""
        self._wake.set()

    def finish(self, timeout: float = CLOSE_SECONDS) -> bool:
        """Send the rest, wait for it, and remove the spool; False when the time ran out, and the spool is kept."""
        self._finish.set()
        self._wake.set()
        if self._thread.ident is None:
            self._thread.start()  # closed before it began
        self._thread.join(timeout)
        if self.arrived:
            shutil.rmtree(self.spool, ignore_errors=True)
            return True
        self._give_up.set()
        self._wake.set()
        left = len(_live(self.spool))
        self.say(
            f"{left} record{'' if left == 1 else 's'} did not reach {self.link.address} and are kept; send them with: "
            f"memviz push {self.spool}"
        )
        return False

    def _run(self) -> None:
        try:
            self._send_until_told()
        finally:
            self.link.close()

    def _send_until_told(self) -> None:
        wait = PATIENCE[0]
        while not self._give_up.is_set():
            last = self._finish.is_set()  # asked for before looking: what is there now is all there will be
            self._wake.clear()
            try:
                self.send_all()
                if last:
                    self.link.finish()
                    self.arrived = True
                    return
            except (MemvizError, OSError) as error:
                self._opened = False
                self.link.close()
                if not self._down:
                    self._down = str(error)
                    self.say(f"{error}. Records wait in {self.spool} and are sent when the link is up")
                self._give_up.wait(wait)
                wait = min(2 * wait, PATIENCE[1])
                continue
            if self._down:
                self._down = ""
                self.say(f"the link to {self.link.address} is up again; nothing that was recorded is lost")
            wait = PATIENCE[0]
            if not self._finish.is_set():
                self._wake.wait(HEARTBEAT)

    def send_all(self) -> None:
        """Send everything that the server does not have.

        Raises:
            RemoteError: the server cannot be reached or fails.
            TraceError: the spool cannot be read.
        """
        state = self._opening()
        for record in _live(self.spool):
            if record >= state.records:
                self._header()  # before the record: it may declare a field of it
                state = self._send_record(record, state)
            self._release(record)
        self._header()
        for kind in LINE_FILES:
            state = self._send_lines(kind, state)

    def _opening(self) -> State:
        if self._opened:
            return self.link.state()
        data, header = self._read_header()
        state = self.link.open(header)
        self._sent_header, self._opened = data, True
        return state

    def _header(self) -> None:
        data, header = self._read_header()
        if data != self._sent_header:
            self.link.put_header(header)
            self._sent_header = data

    def _read_header(self) -> tuple[bytes, dict[str, Any]]:
        header = read_header(self.spool).to_json()
        return json.dumps(header, sort_keys=True).encode(), header

    def _send_record(self, record: int, state: State) -> State:
        file = self.spool / layout.LIVE / layout.live_name(record)
        try:
            return self.link.put_record(record, read_capped(file, MAX_RECORD))
        except TraceCorrupt as error:
            self._refuse(record, str(error))
        except RemoteRefused as error:
            if error.status != 422:
                raise
            self._refuse(record, str(error))  # this record alone is at fault, and would be again
        return state

    def _refuse(self, record: int, why: str) -> None:
        text = f"record {record} was not taken: {why}"
        self.refused.append(text)
        self.say(text)

    def _send_lines(self, kind: str, state: State) -> State:
        path = self.spool / LINE_FILES[kind]
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            offset = getattr(state, kind)
            with open(path, "rb") as file:
                file.seek(offset)
                data = file.read(_LINES_AT_ONCE)
            data = data[: data.rfind(b"\n") + 1]
            if not data:
                return state
            state = self.link.put_lines(kind, offset, data)
            if getattr(state, kind) <= offset:
                raise RemoteError(f"{self.link.address} does not take the lines of {kind}")
        return state


def _live(spool: Path) -> list[int]:
    found = (layout.parse_live_name(name) for name in listing(spool / layout.LIVE))
    return sorted(record for record in found if record is not None)


def push(spool: Path, address: Address, session: str, token: str | None) -> int:
    """Send a spool that its run has left behind; returns the number of records sent. The spool is removed.

    Raises:
        RemoteError: the server cannot be reached, fails, or does not take it; what has arrived is not sent again.
        TraceError: the spool cannot be read.
    """
    waiting = len(_live(spool))
    pusher = Pusher(spool, Link(address, session, token))
    try:
        pusher.send_all()
        pusher.link.finish()
    finally:
        pusher.link.close()
    if pusher.refused:
        raise RemoteError(f"{len(pusher.refused)} of {waiting} records were refused and are kept: {pusher.refused[0]}")
    shutil.rmtree(spool, ignore_errors=True)
    return waiting
