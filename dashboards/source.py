"""The traces that are served: opened when asked for, kept up to date, and closed again within bounds.

A `Source` is shared by all threads of the server. It looks at the file system at most a few times per second, however
often it is asked. What its methods raise is a MemvizError that says what to do.
"""

from __future__ import annotations

import os
import re
import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from memviz.dashboards.discovery import Found, search
from memviz.errors import TraceNotFound
from memviz.trace.layout import TRACE_JSON
from memviz.trace.reader import Trace, open_trace
from memviz.trace.recent import Recent

SCAN_SECONDS = 0.5
"""How often the directories are searched for new traces."""

REFRESH_SECONDS = 0.05
"""How often one trace is asked for new records; a page polls it about ten times a second."""

MAX_OPEN = 8
"""Traces kept open at once."""

DERIVED_BYTES = 8 * 2**20
"""Bytes of derived values that each open trace keeps by itself."""

_CREATED = re.compile(rb'"created"\s*:\s*[-+.0-9eE]+')

CACHE_BYTES = 128 * 2**20
"""Bytes of field values kept for the next request."""


@dataclass(slots=True)
class _Entry:
    """An open trace, what tells it from a later trace at the same path, and when it was last refreshed."""

    trace: Trace
    identity: str
    refreshed: float = float("-inf")


class ArrayCache:
    """Least recently used arrays up to a number of bytes; safe to share between threads."""

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self._limit = limit
        self._bytes = 0
        self._arrays: OrderedDict[Hashable, NDArray[Any]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes held now."""
        return self._bytes

    def get(self, key: Hashable, make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """The array of `key`, from `make` when it is not held; read-only, since requests share it."""
        with self._lock:
            if key in self._arrays:
                self._arrays.move_to_end(key)
                return self._arrays[key]
        # Two threads may make the same array; that costs time once and is never wrong.
        values = make().view()
        values.flags.writeable = False
        if values.nbytes > self._limit // 2:
            return values
        with self._lock:
            if key not in self._arrays:
                self._arrays[key] = values
                self._bytes += values.nbytes
            while self._bytes > self._limit:
                _, dropped = self._arrays.popitem(last=False)
                self._bytes -= dropped.nbytes
        return values


class Source:
    """All traces under some paths.

    Args:
        paths: traces, or directories that hold traces at any of a few levels; they may not exist yet.
        clock: seconds that only grow; tests pass their own.
    """

    def __init__(self, paths: Sequence[str | os.PathLike[str]], *, clock: Callable[[], float] = time.monotonic) -> None:
        self.paths = tuple(Path(path) for path in paths)
        self.arrays = ArrayCache()
        self.truncated = False
        self._names = [os.fspath(path) for path in paths]
        self._clock = clock
        self._lock = threading.RLock()
        self._found: dict[str, Found] = {}
        self._scanned = float("-inf")
        self._open: OrderedDict[str, _Entry] = OrderedDict()

    @property
    def root(self) -> str:
        """The given paths as the user wrote them."""
        return ", ".join(self._names)

    def runs(self) -> list[Found]:
        """All traces known now; a new one is found within SCAN_SECONDS."""
        with self._lock:
            now = self._clock()
            if now - self._scanned >= SCAN_SECONDS:
                found = search(self.paths)
                self._found, self.truncated, self._scanned = found.runs, found.truncated, now
                for gone in self._open.keys() - self._found.keys():
                    del self._open[gone]
            return list(self._found.values())

    def path(self, run: str) -> Path:
        """Where a run is. Only what a search has found has a path, so no id can point anywhere else.

        Raises:
            TraceNotFound: no such run.
        """
        if run not in self._found:
            self.runs()
        try:
            return self._found[run].path
        except KeyError:
            known = ", ".join(repr(name) for name in sorted(self._found)[:5]) or "none"
            raise TraceNotFound(f"there is no run {run!r} under {self.root}; known are {known}") from None

    def identity(self, run: str) -> str:
        """What tells this trace from another that was at the same path before; changes when it is made anew.

        Raises:
            TraceNotFound: no such run, or it has just been removed.
        """
        path = self.path(run)
        try:
            stat = path.stat()
        except OSError as error:
            raise TraceNotFound(f"run {run!r} is gone: {error}") from None
        return f"{stat.st_dev:x}-{stat.st_ino:x}-{_created(path):x}"

    def trace(self, run: str) -> Trace:
        """The trace of a run with its newest records; threads may share it.

        Raises:
            TraceNotFound: no such run.
            TraceError: the trace cannot be opened.
        """
        identity = self.identity(run)
        with self._lock:
            entry = self._open.get(run)
            if entry is None or entry.identity != identity:
                entry = self._open[run] = _Entry(_open(self.path(run)), identity)
            self._open.move_to_end(run)
            while len(self._open) > MAX_OPEN:
                self._open.popitem(last=False)
            now = self._clock()
            due = now - entry.refreshed >= REFRESH_SECONDS
            if due:
                entry.refreshed = now
        if due:
            entry.trace.refresh()
        return entry.trace


def _open(path: Path) -> Trace:
    trace = open_trace(path)
    # Several traces are open at once, and what requests use is kept in `Source.arrays`.
    trace.derived = Recent(DERIVED_BYTES, lambda array: array.nbytes)
    return trace


def _created(path: Path) -> int:
    """A check sum of when the trace was begun: the number of a directory alone may be given out again at once."""
    try:
        with open(path / TRACE_JSON, "rb") as file:
            head = file.read(4096)
    except OSError:
        return 0
    created = _CREATED.search(head)
    return zlib.crc32(created[0] if created else head)
