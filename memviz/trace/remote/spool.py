"""The sending end's local side: an ordinary trace that holds only what has not arrived yet.

It is a trace, so nothing is lost with the process: what is in it can be served, or sent by `memviz push`.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from memviz.errors import SpoolFull, TraceFull
from memviz.trace import layout
from memviz.trace.files import write_atomic
from memviz.trace.lock import WriterLock
from memviz.trace.schema import Event, MemorySchema, RecordData, TraceHeader
from memviz.trace.writer import TraceWriter

SPOOL_FILE = "spool.json"
"""Beside trace.json: where the trace is to be sent, and as which session. It holds no token."""

SPOOL_LIMIT = 2**30
"""Bytes that may wait while the link is down."""

ENVIRONMENT = "MEMVIZ_SPOOL"
"""Folder of spools; the system's folder for temporary files unless set."""


def new_session() -> str:
    """32 hexadecimal digits that no other writer has."""
    return uuid.uuid4().hex


def spool_folder(run: str, session: str) -> Path:
    """Where a new spool goes."""
    root = os.environ.get(ENVIRONMENT)
    user = f"-{os.getuid()}" if hasattr(os, "getuid") else ""
    base = Path(root) if root else Path(tempfile.gettempdir()) / f"memviz-spool{user}"
    return base / f"{run}-{session[:8]}"


class SpoolWriter(TraceWriter):
    """A TraceWriter whose records stay live files until they have arrived, and are removed then.

    `on_begin` is called when sending may start, `on_change` after each commit and `on_close` after the end, by the
    thread that writes; `release` is called by the thread that sends.
    """

    on_begin: Callable[[], None] | None = None
    on_change: Callable[[], None] | None = None
    on_close: Callable[[], object] | None = None
    _arrived: deque[int]

    @classmethod
    def start(
        cls, folder: Path, header: TraceHeader, target: Mapping[str, str], limit: int, *, seal_every: int = 2**62
    ) -> SpoolWriter:
        """A new spool in `folder` for a target, such as {"url": "memviz://host:8321/copy", "session": ...}."""
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / SPOOL_FILE, [json.dumps(dict(target)).encode()])
        lock = WriterLock(folder)
        try:
            writer = cls._opened(folder, header, lock, resume=False, seal_every=seal_every, limit=limit)
        except BaseException:
            lock.release()
            raise
        assert isinstance(writer, SpoolWriter)
        writer._arrived = deque()
        return writer

    def begin(self) -> None:
        """Start to send."""
        if self.on_begin is not None:
            self.on_begin()

    def append(self, data: RecordData) -> int:
        """As TraceWriter.append.

        Raises:
            SpoolFull: as much waits as may wait; a later record may fit again.
        """
        while self._arrived:
            self.nbytes -= self._arrived.popleft()
        try:
            record = super().append(data)
        except TraceFull:
            raise SpoolFull(
                f"{self.nbytes} bytes wait in {self.path} to be sent, and {self.limit} may; is the server up?"
            ) from None
        self._changed()
        return record

    def log(self, step: int, scalars: Mapping[str, float], wall: float | None = None) -> None:
        """As TraceWriter.log."""
        super().log(step, scalars, wall)
        self._changed()

    def event(self, event: Event) -> None:
        """As TraceWriter.event."""
        super().event(event)
        self._changed()

    def declare(self, memory: MemorySchema) -> None:
        """As TraceWriter.declare."""
        super().declare(memory)
        self._changed()

    def release(self, record: int) -> None:
        """Remove the live file of a record that has arrived."""
        file = self.path / layout.LIVE / layout.live_name(record)
        with contextlib.suppress(FileNotFoundError):
            size = file.stat().st_size
            file.unlink()
            self._arrived.append(size)  # the thread that writes counts

    def close(self) -> None:
        """As TraceWriter.close; then `on_close`, which waits for what is on its way."""
        first = not self._closed
        super().close()
        if first and self.on_close is not None:
            self.on_close()

    def _changed(self) -> None:
        if self.on_change is not None:
            self.on_change()

    def _seal_quietly(self) -> None:
        """Live files are what is sent; nothing is packed here."""
