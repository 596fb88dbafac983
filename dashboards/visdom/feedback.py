"""What viewers do in Visdom, as it comes back over its socket: changes in the properties pane, panes closed."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from memviz.dashboards.visdom.client import Client

INSTALL_HINT = "pip install websocket-client (memviz[visdom] has it)"

PING_SECONDS = 10.0
RETRY_SECONDS = 1.0
_POLL = 0.5


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that a viewer did, or `connected` when the server is there again and may have forgotten everything.

    Attributes:
        kind: "connected", "property" or "closed".
        env: environment it happened in.
        win: window it happened to.
        row: row of the properties pane.
        value: its new value.
    """

    kind: str
    env: str = ""
    win: str = ""
    row: int = 0
    value: Any = None


class Feedback:
    """A thread that listens to a server and puts events into a queue; it never raises and never ends by itself.

    Args:
        client: of the server; supplies the address and, after a login, the cookie.
        wake: called after each event.
    """

    def __init__(self, client: Client, wake: Callable[[], None]) -> None:
        self.events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._client = client
        self._wake = wake
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memviz-visdom-feedback", daemon=True)

    @staticmethod
    def available() -> bool:
        """Whether websocket-client is installed; without it the panes are drawn but do not react."""
        return importlib.util.find_spec("websocket") is not None

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """End soon."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            # Whatever ends a connection, from a refused handshake to a reset, the answer is to try again.
            with contextlib.suppress(Exception):
                self._listen()
            self._stop.wait(RETRY_SECONDS)

    def _listen(self) -> None:
        import websocket

        cookie = [f"Cookie: {self._client.cookie}"] if self._client.cookie else []
        address = self._client.address.socket_url
        socket = websocket.create_connection(
            address, timeout=self._client.timeout, header=cookie, http_no_proxy=["*"], enable_multithread=False
        )
        try:
            socket.settimeout(_POLL)
            pinged = time.monotonic()
            while not self._stop.is_set():
                try:
                    self._take(socket.recv())
                except websocket.WebSocketTimeoutException:
                    if time.monotonic() - pinged > PING_SECONDS:
                        socket.ping()
                        pinged = time.monotonic()
        finally:
            socket.close(timeout=1)

    def _take(self, text: str | bytes) -> None:
        if not text:
            raise ConnectionError("the server closed the socket")
        event = parse(text)
        if event is not None:
            self.events.put(event)
            self._wake()


def parse(text: str | bytes) -> Event | None:
    """The event in one message of Visdom's socket, if it is one that memviz reacts to."""
    try:
        message = json.loads(text)
    except ValueError:
        return None
    if not isinstance(message, dict):
        return None
    if message.get("command") == "alive":
        return Event("connected")
    env, win = str(message.get("eid", "")), str(message.get("target", ""))
    if message.get("event_type") == "PropertyUpdate" and isinstance(message.get("propertyId"), int):
        return Event("property", env, win, message["propertyId"], message.get("value"))
    # When memviz itself closes a window, every browser reports that too, but then the server has no content any more.
    if message.get("event_type") == "close" and message.get("pane_data"):
        return Event("closed", env, win)
    return None
