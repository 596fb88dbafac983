"""Traces from other machines: the routes below /api/v1/push/, the only ones of the server that write.

They exist when the server was started with --listen, and the guard lets only recorders with the token reach them. What
arrives is checked and kept by `memviz.trace.remote.replica`.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, jsonify, request

from memviz.errors import MemvizError, SchemaError, ServerError, TraceCorrupt, TraceFull, TraceLocked
from memviz.trace import caps
from memviz.trace.layout import holds_trace
from memviz.trace.remote.replica import MAX_RECORD, OutOfPlace, Replica, State

IDLE_SECONDS = 30.0
"""After so long without a word from it, a writer counts as gone, and its trace as interrupted."""

MAX_SESSIONS = 64
"""Writers that may send at the same time."""

_LARGEST = {"records": MAX_RECORD, "lines": 8 * 2**20}


@dataclass(slots=True)
class _Session:
    replica: Replica
    lock: threading.Lock = field(default_factory=threading.Lock)
    heard: float = 0.0


class Listener:
    """Builds the traces that recorders send, below one folder.

    Args:
        root: where runs go.
        clock: seconds that only grow; tests pass their own.
    """

    def __init__(self, root: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.root = root
        self._clock = clock
        self._sessions: dict[str, _Session] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        threading.Thread(target=self._watch, name="memviz-listener", daemon=True).start()

    def blueprint(self) -> Blueprint:
        """The routes; register it on the Flask server of the dashboard."""
        routes = Blueprint("memviz_push", __name__)

        @routes.post("/api/v1/push/open")
        def open_session() -> Response | tuple[Response, int]:
            def begin() -> dict[str, Any]:
                data = _object(_body(caps.MAX_TRACE_JSON))
                session = str(data.get("session"))
                replica = self._open(str(data.get("run")), session, data.get("header"))
                return {"state": replica.state.to_json(), "trace": replica.path.relative_to(self.root).as_posix()}

            return _answer(begin)

        @routes.post("/api/v1/push/<session>/state")
        def state(session: str) -> Response | tuple[Response, int]:
            return self._on(session, lambda replica: replica.state)

        @routes.put("/api/v1/push/<session>/header")
        def header(session: str) -> Response | tuple[Response, int]:
            return self._on(session, lambda replica: replica.put_header(_object(_body(caps.MAX_TRACE_JSON))))

        @routes.put("/api/v1/push/<session>/records/<int:record>")
        def one_record(session: str, record: int) -> Response | tuple[Response, int]:
            return self._on(session, lambda replica: replica.put_record(record, _body(_LARGEST["records"])))

        @routes.put("/api/v1/push/<session>/lines/<kind>/<int:offset>")
        def lines(session: str, kind: str, offset: int) -> Response | tuple[Response, int]:
            return self._on(session, lambda replica: replica.put_lines(kind, offset, _body(_LARGEST["lines"])))

        @routes.post("/api/v1/push/<session>/close")
        def close(session: str) -> Response | tuple[Response, int]:
            def end() -> dict[str, Any]:
                with self._lock:
                    found = self._sessions.pop(session, None)
                if found is not None:
                    with found.lock:
                        found.replica.close()
                return {"closed": True}

            return _answer(end)

        return routes

    def close(self) -> None:
        """Let go of all traces; their writers go on when a server listens again."""
        self._ended.set()
        with self._lock:
            sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            with session.lock, contextlib.suppress(OSError, MemvizError):
                session.replica.close(seal=False)

    def _open(self, run: str, session: str, header: Any) -> Replica:
        if not isinstance(header, dict):
            raise SchemaError("a session begins with the header of its trace")
        with self._lock:
            found = self._sessions.get(session)
            if found is None:
                if len(self._sessions) >= MAX_SESSIONS:
                    raise TraceLocked(f"{MAX_SESSIONS} writers send already, as many as may; try again later")
                found = self._sessions[session] = _Session(Replica.open(self.root, run, session, header))
            found.heard = self._clock()
        with found.lock:
            found.replica.put_header(header)
        return found.replica

    def _on(self, session: str, act: Callable[[Replica], State]) -> Response | tuple[Response, int]:
        def acted() -> dict[str, Any]:
            with self._using(session) as replica:
                return {"state": act(replica).to_json()}

        return _answer(acted)

    @contextlib.contextmanager
    def _using(self, session: str) -> Iterator[Replica]:
        with self._lock:
            found = self._sessions.get(session)
            if found is None:
                raise _Unknown
            found.heard = self._clock()
        with found.lock:
            yield found.replica
            found.heard = self._clock()

    def _watch(self) -> None:
        while not self._ended.wait(IDLE_SECONDS / 10):
            self.let_go_of_silent_ones()

    def let_go_of_silent_ones(self) -> None:
        """Close the traces whose writers have not been heard of; they can be gone on with."""
        with self._lock:
            before = self._clock() - IDLE_SECONDS
            for name, session in list(self._sessions.items()):
                if session.heard < before and session.lock.acquire(blocking=False):
                    try:
                        with contextlib.suppress(OSError, MemvizError):
                            session.replica.close()
                    finally:
                        session.lock.release()
                    del self._sessions[name]


class _Unknown(Exception):
    """A session that this server has not heard of, perhaps because it was restarted."""


def into(paths: Sequence[str | os.PathLike[str]]) -> Path:
    """The folder into which traces are taken: the first that is served.

    Raises:
        ServerError: it is a trace itself, or cannot be made.
    """
    root = Path(paths[0]).resolve() if paths else Path("runs").resolve()
    try:
        root.mkdir(parents=True, exist_ok=True)
        is_trace = holds_trace(root)
    except OSError as error:
        raise ServerError(f"--listen takes traces into {root}, which cannot be used: {error}") from None
    if is_trace:
        raise ServerError(f"--listen takes traces into a folder of runs; {root} is itself a trace, give its parent")
    return root


def _answer(act: Callable[[], dict[str, Any]]) -> Response | tuple[Response, int]:
    """The JSON of what `act` gives, or of why not; the statuses are those that memviz.trace.remote.link knows."""
    try:
        return jsonify(act())
    except OutOfPlace as error:
        return jsonify({"state": error.state.to_json()}), 409
    except _Unknown:
        return _error("an unknown session", "a session that was opened on this server", "open it again", 425)
    except (SchemaError, TraceCorrupt) as error:
        return _error(str(error), "a part of a trace", "see docs/trace-format.md", 422)
    except TraceFull as error:
        return _error(str(error), "room for it", "record less, or raise the limit", 507)
    except TraceLocked as error:
        return _error(str(error), "a trace that nobody else writes", "wait", 423)
    except MemvizError as error:
        return _error(str(error), "a trace that this server can take", "see the message", 400)
    except OSError as error:
        return _error(f"the disk of the server: {error}", "room for it", "free some", 507)


def _error(what: str, expected: str, remedy: str, status: int) -> tuple[Response, int]:
    return jsonify({"error": {"what": what, "expected": expected, "remedy": remedy}}), status


def _body(limit: int) -> bytes:
    """The body of the request.

    Raises:
        TraceCorrupt: it is larger than it may be, or of unknown length.
    """
    length = request.content_length
    if length is None or length > limit:
        raise TraceCorrupt(f"a body of {length} bytes was sent; at most {limit} are taken, and the length must be said")
    return request.get_data(cache=False)


def _object(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise SchemaError(f"what was sent is not JSON ({error!s:.120})") from None
    if not isinstance(value, dict):
        raise SchemaError(f"a JSON object was expected, not {type(value).__name__}")
    return value
