"""A trace by its path, to be opened where it is needed: what travels to another process in place of an open trace."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from memviz.errors import TraceError, TraceNotFound
from memviz.trace.recent import Recent

if TYPE_CHECKING:
    from memviz.trace.reader import Trace
    from memviz.trace.record import Record

_OPEN_TRACES = 4
"""Traces that a process keeps open for references; each holds a cache of derived fields."""


@dataclass(frozen=True, slots=True)
class TraceReference:
    """Which trace is meant, wherever it is opened.

    Attributes:
        path: its absolute path, the same for every process that is to use it.
        run: name of the run, as its trace.json says.
        created: when it was begun, seconds since the epoch. With `run` it tells a trace from another one that has
            taken its place, or that lies at the same path of another machine.
    """

    path: str
    run: str
    created: float

    @classmethod
    def of(cls, trace: Trace) -> TraceReference:
        """The reference to an open trace."""
        return cls(str(trace.path), trace.header.run, trace.header.created)

    def open(self) -> Trace:
        """The trace, opened once per process.

        Raises:
            TraceError: it cannot be opened here, or another trace lies at its path.
        """
        return _OPEN.get(self, self._opened)

    def record(self, record: int) -> Record:
        """A record by its id, which stays the same while the trace is written and sealed.

        Raises:
            TraceError: as for `open`, or the record is gone.
        """
        trace = self.open()
        if trace.snapshot.position(record) is None:
            trace.refresh()  # it was written after the trace was opened here
        snapshot = trace.snapshot
        position = snapshot.position(record)
        if position is None:
            raise TraceNotFound(f"{_here()} finds no record {record} in {self.path}; was it removed in the meantime?")
        return trace.record_at(snapshot, position)

    def _opened(self) -> Trace:
        from memviz.trace.reader import Trace

        try:
            trace = Trace(Path(self.path))
        except (TraceError, OSError) as error:
            raise TraceNotFound(
                f"{_here()} cannot open the trace {self.path} ({error}). Every process that takes part must see it "
                "at this path: put it on a file system that they share, or work with processes on this machine"
            ) from None
        if (trace.header.run, trace.header.created) != (self.run, self.created):
            raise TraceNotFound(
                f"{_here()} finds another trace at {self.path}: expected run {self.run!r} begun at {self.created}, "
                f"got {trace.header.run!r} begun at {trace.header.created}. Has that machine its own folder there?"
            )
        return trace


def _here() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"


_OPEN: Recent[TraceReference, Trace] = Recent(_OPEN_TRACES)
