"""The receiving end: a trace that is built from another one, file by file, as its writer sends them.

Nothing that is sent is believed: names, sizes, headers and lines are checked as if they were read from a foreign trace,
before they become part of this one. What is there already is not taken twice.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memviz.errors import SchemaError, TraceCorrupt, TraceFull
from memviz.fields import memory_of
from memviz.trace import caps, layout, sealing
from memviz.trace.checks import declared
from memviz.trace.files import listing, parse_json, read_json, tree_bytes, write_all, write_atomic
from memviz.trace.header import check_version, encode_header
from memviz.trace.jsonl import trim
from memviz.trace.live import read_live
from memviz.trace.lock import WriterLock
from memviz.trace.schema import Json, TraceHeader

SESSION_FILE = "session.json"
"""Beside trace.json: which writer this trace is built from."""

INCOMING = "incoming"
"""Folder of what has arrived and is not checked yet."""

MAX_RECORD = 1 << 30
"""Bytes of one record that is sent."""

LINE_FILES: dict[str, str] = {"scalars": layout.SCALARS, "events": layout.EVENTS}

_SEAL_EVERY = 256
_SEAL_BYTES = 64 * 2**20
_SESSION = re.compile(r"[0-9a-f]{32}")
_RUN = re.compile(r"[\w][\w.+=@ -]{0,119}")
_MAX_COPIES = 1000


class OutOfPlace(Exception):
    """Something was sent that does not follow what is here; `state` says what should come."""

    def __init__(self, state: State) -> None:
        super().__init__("out of place")
        self.state = state


@dataclass(frozen=True, slots=True)
class State:
    """What a replica holds: the id that its next record has, and the bytes of its two line files."""

    records: int
    scalars: int
    events: int

    def to_json(self) -> dict[str, Json]:
        """A JSON object with one member per attribute."""
        return {"records": self.records, "scalars": self.scalars, "events": self.events}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> State:
        """Inverse of to_json.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        return cls(int(data["records"]), int(data["scalars"]), int(data["events"]))


class Replica:
    """One trace being built. Made by `Replica.open`; used by one thread at a time.

    Attributes:
        path: the folder of the trace.
    """

    def __init__(self, path: Path, header: TraceHeader, lock: WriterLock, limit: int) -> None:
        self.path = path
        self._header = header
        self._lock = lock
        self._limit = limit
        for folder in (layout.LIVE, layout.SEALED, INCOMING):
            (path / folder).mkdir(exist_ok=True)
        sealing.remove_partial(path)
        self._fds = {kind: _open_lines(path / name) for kind, name in LINE_FILES.items()}
        self._sizes = {kind: trim(fd)[0] for kind, fd in self._fds.items()}
        self._records = 1 + max(_ids(path), default=-1)
        self._live = sum(layout.parse_live_name(name) is not None for name in listing(path / layout.LIVE))
        self._live_bytes = 0
        self._nbytes = tree_bytes(path)

    @classmethod
    def open(cls, root: Path, run: str, session: str, header: dict[str, Any], *, limit: int = 10 * 2**30) -> Replica:
        """The replica of a session: the one that was begun before, or a new one below `root`.

        Args:
            root: folder that holds the runs.
            run: name of the run; when a trace of another session has it, the new one goes beside it (`run-2`).
            session: 32 hexadecimal digits that the writer made up.
            header: trace.json as the writer has it.
            limit: bytes that the trace may take here.

        Raises:
            SchemaError: a name that may not be, or a header that is none.
            TraceVersionError: the header is of a newer format.
            TraceLocked: the session is open already.
            OSError: the folder cannot be written.
        """
        if not _RUN.fullmatch(run):
            raise SchemaError(f"{run!r:.130} cannot name a run; use letters, digits and . _ - + = @, at most 120")
        if not _SESSION.fullmatch(session):
            raise SchemaError("a session is 32 hexadecimal digits")
        checked = _checked_header(header)
        for copy in range(1, _MAX_COPIES):
            path = root / (run if copy == 1 else f"{run}-{copy}")
            if checked.world_size > 1:
                path = path / layout.rank_name(checked.rank)
            if layout.holds_trace(path) and _session_of(path) != session:
                continue
            path.mkdir(parents=True, exist_ok=True)
            lock = WriterLock(path)
            try:
                write_atomic(path / SESSION_FILE, [json.dumps({"session": session}).encode()])
                write_atomic(path / layout.TRACE_JSON, [encode_header(checked)])
                return cls(path, checked, lock, limit)
            except BaseException:
                lock.release()
                raise
        raise SchemaError(f"{root / run} and {_MAX_COPIES} folders beside it hold traces; choose another name")

    @property
    def state(self) -> State:
        """What is here."""
        return State(self._records, self._sizes["scalars"], self._sizes["events"])

    def put_header(self, header: dict[str, Any]) -> State:
        """Replace trace.json.

        Raises:
            SchemaError: it is no header, or it is that of another process.
        """
        checked = _checked_header(header)
        if (checked.rank, checked.world_size) != (self._header.rank, self._header.world_size):
            raise SchemaError("a header may not change the rank of a trace")
        write_atomic(self.path / layout.TRACE_JSON, [encode_header(checked)])
        self._header = checked
        return self.state

    def put_record(self, record: int, data: bytes) -> State:
        """Commit one live file; one that is here already is left as it is.

        Raises:
            TraceCorrupt: the bytes are no sound record.
            SchemaError: it has a field that the header does not declare.
            TraceFull: the trace has reached its limit here.
        """
        if record < self._records:
            return self.state
        # Ids may be left out, never go back: what was refused is not sent again.
        self._check_room(len(data))
        incoming = self.path / INCOMING
        file = incoming / layout.live_name(record)
        write_atomic(file, [data])
        try:
            found = read_live(incoming, record)
            for name, tensor in found.tensors.items():
                field = declared(name, self._header.memories)
                if len(tensor.shape) != len(field.axes) or tensor.dtype != field.dtype:
                    raise SchemaError(
                        f"{name} arrived as {tensor.dtype} with {len(tensor.shape)} axes; {memory_of(name)} declares "
                        f"{field.dtype} with {len(field.axes)}"
                    )
            os.replace(file, self.path / layout.LIVE / layout.live_name(record))
        finally:
            file.unlink(missing_ok=True)
        self._records = record + 1
        self._nbytes += len(data)
        self._live += 1
        self._live_bytes += len(data)
        if self._live >= _SEAL_EVERY or self._live_bytes >= _SEAL_BYTES:
            self._seal()
        return self.state

    def put_lines(self, kind: str, offset: int, data: bytes) -> State:
        """Append whole lines that begin at byte `offset` of the writer's file; what is here already is skipped.

        Raises:
            OutOfPlace: bytes before them are missing.
            SchemaError: there is no such file.
            TraceCorrupt: they are not whole lines of JSON.
            TraceFull: the trace has reached its limit here.
        """
        if kind not in self._fds:
            raise SchemaError(f"{kind!r:.40} is none of {', '.join(LINE_FILES)}")
        size = self._sizes[kind]
        if offset > size or offset < 0:
            raise OutOfPlace(self.state)
        fresh = data[size - offset :]
        if not fresh:
            return self.state
        self._check_room(len(fresh))
        if not fresh.endswith(b"\n"):
            raise TraceCorrupt(f"{kind} arrived with a torn last line; send whole lines")
        for line in fresh.splitlines():
            if len(line) > caps.MAX_LINE:
                raise TraceCorrupt(f"a line of {kind} arrived with {len(line)} bytes; at most {caps.MAX_LINE} fit")
            parse_json(line, f"a line of {kind}")
        try:
            write_all(self._fds[kind], [fresh])
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fds[kind], size)
            raise
        self._sizes[kind] = size + len(fresh)
        self._nbytes += len(fresh)
        return self.state

    def close(self, *, seal: bool = True) -> None:
        """Pack what is live and let go of the trace; safe to call twice."""
        if not self._fds:
            return
        try:
            if seal:
                self._seal()
        finally:
            for fd in self._fds.values():
                os.close(fd)
            self._fds = {}
            with contextlib.suppress(OSError):
                (self.path / INCOMING).rmdir()
            self._lock.release()

    def _seal(self) -> None:
        """Pack live records, or leave them live: sealing saves room, it commits nothing."""
        self._live = self._live_bytes = 0
        with contextlib.suppress(OSError, TraceCorrupt):
            done = sealing.seal(self.path, self._header, _SEAL_EVERY)
            self._nbytes += done.added - done.removed

    def _check_room(self, size: int) -> None:
        if self._nbytes + size > self._limit:
            raise TraceFull(f"{self.path.name} has reached its limit of {self._limit} bytes on the server")


def _checked_header(data: dict[str, Any]) -> TraceHeader:
    """The header, as if it were read from a file.

    Raises:
        SchemaError, TraceVersionError: it is none, or a newer one.
    """
    check_version(data, "the header that was sent")
    try:
        header = TraceHeader.from_json(data)
        for name, memory in header.memories.items():
            if name != memory.name:
                raise SchemaError(f"memory {memory.name!r} stands under the name {name!r}")
            layout.check_memory(memory)
        layout.check_nesting(header.memories)
        encode_header(header)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise SchemaError(f"what was sent is not the header of a trace ({error!s:.300})") from None
    if not 0 <= header.rank < max(1, header.world_size):
        raise SchemaError(f"rank {header.rank} is none of {header.world_size} processes")
    return header


def _session_of(path: Path) -> str | None:
    try:
        return str(read_json(path / SESSION_FILE, 4096).get("session"))
    except (OSError, TraceCorrupt):
        return None


def _open_lines(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)


def _ids(path: Path) -> list[int]:
    found: list[int] = []
    for folder in (layout.LIVE, layout.SEALED, layout.QUARANTINE):
        for name in listing(path / folder):
            live, sealed = layout.parse_live_name(name), layout.parse_segment_name(name)
            found += [live] if live is not None else [sealed[1]] if sealed is not None else []
    return found
