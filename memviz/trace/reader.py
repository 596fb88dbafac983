"""Reading a trace, finished or still being written: `memviz.open(path)`."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from memviz.errors import RecordError, TraceCorrupt, TraceError, TraceNotFound
from memviz.trace import caps, layout
from memviz.trace.contents import Contents, Snapshot
from memviz.trace.files import tree_bytes
from memviz.trace.header import read_header
from memviz.trace.live import LiveRecord
from memviz.trace.lock import writing
from memviz.trace.merged import MergedTrace
from memviz.trace.recent import Recent
from memviz.trace.record import Place, Record, RecordInfo
from memviz.trace.scalars import EventLog, ScalarLog, Series
from memviz.trace.schema import Event, Json, MemorySchema, TraceHeader
from memviz.trace.segments import SealedRecord, Segment
from memviz.trace.series import Index, read_series

if TYPE_CHECKING:
    import xarray

__all__ = ["Record", "Series", "Trace", "open_trace"]

_OPEN_ARRAYS = 512
_DERIVED_BYTES = 48 * 2**20
_LABEL_SEGMENTS = 8
_POLL = 0.05
_SILENCE = 30.0
"""Seconds without a write after which a trace counts as interrupted where no lock can tell."""


def open_trace(path: str | os.PathLike[str]) -> Trace:
    """Open a trace for reading; nothing is changed, and it may be written at the same time.

    Args:
        path: directory of a trace. For the run of several processes, the folder of the run opens the trace of its
            lowest rank; `trace.ranks` lists the others.

    Raises:
        TraceNotFound: there is no trace.
        TraceVersionError: it was written in a newer format.
        TraceCorrupt: its trace.json is damaged.
    """
    folder = Path(os.path.abspath(path))
    if not (folder / layout.TRACE_JSON).exists():
        ranks = layout.rank_folders(folder)
        if ranks:
            folder = next(iter(ranks.values()))
        elif not folder.exists():
            raise TraceNotFound(f"{folder} does not exist; expected the folder that a recorder wrote, e.g. runs/copy")
        elif layout.holds_trace(folder):
            raise TraceCorrupt(f"{folder} holds records but no {layout.TRACE_JSON}; restore that file from a copy")
    return Trace(folder)


class Trace:
    """What one process recorded of one training run. A sequence of records, in the order in which they were taken.

    Safe to share between threads. What is new on disk is seen after `refresh`; `notes` says in words what is damaged
    and was left out.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.derived: Recent[tuple[int, str], np.ndarray] = Recent(_DERIVED_BYTES, lambda array: array.nbytes)
        self._handles: Recent[str, Any] = Recent(_OPEN_ARRAYS)
        self._labels: Recent[str, dict[str, dict[str, Json]]] = Recent(_LABEL_SEGMENTS)
        self._derivable: dict[tuple[str, frozenset[str]], frozenset[str]] = {}
        self._segment_bytes: dict[str, int] = {}
        self._lock = threading.RLock()
        self._header = read_header(path)
        self._header_stamp = self._stamp()
        self._header_note = ""
        self._contents = Contents(path)
        self._scalars: ScalarLog | None = None
        self._events: EventLog | None = None
        self.refresh()

    def __repr__(self) -> str:
        memories = ", ".join(self.memories) or "no memory"
        return f"<Trace {str(self.path)!r}: {len(self)} records of {memories}, {self.state}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: a table, the loss, and a small picture of the last record."""
        from memviz.trace.rich_html import trace_html

        return trace_html(self)

    @property
    def name(self) -> str:
        """Name of the run's folder, with that of the rank for a distributed run."""
        return f"{self.path.parent.name}/{self.path.name}" if self._in_run() else self.path.name

    @property
    def header(self) -> TraceHeader:
        """What trace.json says."""
        return self._header

    @property
    def memories(self) -> dict[str, MemorySchema]:
        """Memories of the whole trace by name; a record may hold fewer."""
        return dict(self._header.memories)

    @property
    def ranks(self) -> dict[int, Path]:
        """The traces of the other processes of this run, by rank."""
        return {
            rank: path
            for rank, path in (layout.rank_folders(self.path.parent) if self._in_run() else {}).items()
            if path != self.path
        }

    def merged(self) -> MergedTrace:
        """This trace and those of the other ranks of its run as one; see memviz.trace.merged."""
        traces = {rank: open_trace(path) for rank, path in self.ranks.items()}
        return MergedTrace({self.header.rank: self, **traces})

    @property
    def snapshot(self) -> Snapshot:
        """The listing of all records as of the last refresh; it never changes."""
        return self._contents.snapshot

    @property
    def steps(self) -> np.ndarray:
        """Training step of each record, int64 [record]."""
        return self.snapshot.steps.copy()

    @property
    def walls(self) -> np.ndarray:
        """When each record was taken, float64 [record], seconds since the epoch."""
        return self.snapshot.walls.copy()

    @property
    def ids(self) -> np.ndarray:
        """Id of each record, int64 [record]; ascending, with gaps where damaged records were set aside."""
        return self.snapshot.ids.copy()

    @property
    def scalars(self) -> Mapping[str, Series]:
        """What was logged, by name."""
        with self._lock:
            if self._scalars is None:
                scalars = ScalarLog(self.path)
                scalars.refresh()
                self._scalars = scalars
            return self._scalars

    @property
    def events(self) -> list[Event]:
        """What happened beside the records."""
        return list(self._event_log().events)

    @property
    def dropped(self) -> int:
        """Records that the recorder had to drop."""
        return self._event_log().dropped

    @property
    def state(self) -> Literal["live", "closed", "interrupted"]:
        """Whether a writer is at work, ended properly, or ended without closing."""
        writer = writing(self.path)
        if writer == "yes":
            return "live"
        with self._lock:
            log = self._event_log()
            log.refresh()
            if log.closed:
                return "closed"
        if writer == "unknown" and time.time() - self.last_write < _SILENCE:
            return "live"
        return "interrupted"

    @property
    def last_write(self) -> float:
        """When something was last written, in seconds since the epoch."""
        stamps = [0.0]
        for name in (layout.TRACE_JSON, layout.SCALARS, layout.EVENTS, layout.LIVE, layout.SEALED):
            with contextlib.suppress(OSError):
                stamps.append(os.lstat(self.path / name).st_mtime)
        return max(stamps)

    @property
    def nbytes(self) -> int:
        """Bytes that the trace takes on disk."""
        with self._lock:
            sealed = 0
            for segment in self._sealed():
                name = segment.path.name
                if name not in self._segment_bytes:
                    self._segment_bytes[name] = tree_bytes(segment.path)
                sealed += self._segment_bytes[name]
        rest = tree_bytes(self.path / layout.LIVE)
        for name in (layout.TRACE_JSON, layout.SCALARS, layout.EVENTS):
            with contextlib.suppress(OSError):
                rest += os.lstat(self.path / name).st_size
        return sealed + rest

    @property
    def notes(self) -> list[str]:
        """What is damaged and was left out, in words; empty for a sound trace."""
        with self._lock:
            notes = [self._header_note] if self._header_note else []
            notes += self._contents.notes
            for log in (self._scalars, self._event_log()):
                if log is not None:
                    notes += log.reader.notes
                    if log.reader.torn and writing(self.path) == "no":
                        notes.append(f"{log.reader.path.name}: {log.reader.torn} bytes of a torn last line left out")
            return notes

    def __len__(self) -> int:
        return len(self.snapshot.ids)

    def __getitem__(self, position: int) -> Record:
        """The record at a position, negative ones counted from the end.

        Raises:
            RecordError: there is no such record.
        """
        snapshot = self.snapshot
        count = len(snapshot.ids)
        if not isinstance(position, int | np.integer):
            raise TypeError(f"a trace is indexed by one position, got {position!r}; use trace.at(step) for a step")
        if not -count <= position < count:
            raise RecordError(f"{self.name} has {count} records, so there is none at position {position}")
        return self.record_at(snapshot, int(position) % count)

    def __iter__(self) -> Iterator[Record]:
        snapshot = self.snapshot
        for position in range(len(snapshot.ids)):
            yield self.record_at(snapshot, position)

    def at(self, step: int) -> Record:
        """The last record at or before a training step.

        Raises:
            RecordError: nothing was recorded so early.
        """
        snapshot = self.snapshot
        before = np.flatnonzero(snapshot.steps <= step)
        if not len(before):
            first = f"its first one is of step {snapshot.steps.min()}" if len(snapshot.steps) else "it has none yet"
            raise RecordError(f"{self.name} has no record at or before step {step}; {first}")
        # A resumed run may record a step again: the later record counts.
        reached = snapshot.steps[before]
        return self.record_at(snapshot, int(before[np.flatnonzero(reached == reached.max())[-1]]))

    def refresh(self) -> int:
        """Look for what was written since; returns the number of new records."""
        with self._lock:
            count = len(self)
            if self._contents.refresh():
                self._segment_bytes = {
                    segment.path.name: size
                    for segment in self._sealed()
                    if (size := self._segment_bytes.get(segment.path.name)) is not None
                }
            # After the records: whatever they hold was declared before they were committed.
            self._refresh_header()
            for log in (self._scalars, self._events):
                if log is not None:
                    log.refresh()
            return max(0, len(self) - count)

    def tail(self, timeout: float | None = None) -> Iterator[Record]:
        """Iterate over the records there are, then over new ones as they come.

        Ends when the trace is closed or its writer is gone, or after `timeout` seconds without a new record.
        """
        last = -1
        quiet_since = time.monotonic()
        while True:
            state = self.state  # before looking: a writer may add its last record and close in between
            self.refresh()
            snapshot = self.snapshot
            new = range(int(np.searchsorted(snapshot.ids, last, side="right")), len(snapshot.ids))
            for position in new:
                yield self.record_at(snapshot, position)
                last = int(snapshot.ids[position])
            if new:
                quiet_since = time.monotonic()
            elif state != "live":
                return
            if timeout is not None and time.monotonic() - quiet_since >= timeout:
                return
            if not new:
                time.sleep(_POLL if timeout is None else min(_POLL, timeout))

    def series(self, full_name: str, index: Index = ()) -> np.ndarray:
        """One value, or one array, of a field per record, stacked.

        Args:
            full_name: a field by its full name, e.g. "memory/usage", stored or derived.
            index: what to take of each record, by axis: whole numbers and slices as in numpy. A negative time counts
                from the end of each record. A field with a time axis needs a whole number for time, unless all
                records are equally long.

        Returns:
            Array `[record, ...]`; NaN (0 for whole numbers and False for truth values would lie, so these become
            float64) where a record has no such field or is too short.

        Raises:
            FieldError: no record has the field.
            SchemaError: the index leaves arrays of different shapes.
        """
        return read_series(self, self.snapshot, self._handles, full_name, index)

    def to_xarray(self, fields: list[str] | None = None, chunks: int | None = None) -> xarray.DataTree:
        """The trace as an xarray DataTree, one node per memory, values read when they are used.

        Args:
            fields: full names to include; all stored fields by default. Derived fields can be asked for here.
            chunks: make the fields Dask arrays with this many records per chunk, to compute with them piece by piece,
                by all cores or by a cluster whose workers see the trace at its path.

        Raises:
            MemvizError: xarray, or Dask where chunks are asked for, is not installed; or a chunk has no record.
        """
        from memviz.trace.xarray_bridge import to_xarray

        return to_xarray(self, fields, chunks)

    def place(self, record: int) -> Place:
        """Where a record lies now, after another look at the disk.

        Raises:
            TraceCorrupt: it is gone.
        """
        self.refresh()
        snapshot = self.snapshot
        position = snapshot.position(record)
        if position is None:
            raise caps.corrupt(str(self.path), f"record {record} is gone: its file was removed or set aside")
        return self._place(snapshot, position)

    def labels_of(self, place: Place, record: int) -> dict[str, Json]:
        """The labels of the record at a place.

        Raises:
            TraceCorrupt: the attributes that hold them are damaged.
        """
        if isinstance(place, LiveRecord):
            return place.labels()
        segment = place.segment
        return dict(self._labels.get(segment.path.name, segment.labels).get(str(record), {}))

    def derivable_fields(self, memory: str, stored: frozenset[str]) -> frozenset[str]:
        """Bare names of the fields of a memory that follow from those stored."""
        key = (memory, stored)
        if key not in self._derivable:
            from memviz.analysis.replay import derivable

            self._derivable[key] = frozenset(derivable(self._header.memories[memory], stored))
        return self._derivable[key]

    def record_at(self, snapshot: Snapshot, position: int) -> Record:
        """The record at a position of a snapshot."""
        info = RecordInfo(
            int(snapshot.ids[position]),
            int(snapshot.steps[position]),
            int(snapshot.forwards[position]),
            float(snapshot.walls[position]),
        )
        return Record(self, info, self._place(snapshot, position))

    def _place(self, snapshot: Snapshot, position: int) -> Place:
        source = snapshot.sources[snapshot.owners[position]]
        if isinstance(source, LiveRecord):
            return source
        return SealedRecord(source, int(snapshot.rows[position]), self._handles)

    def _sealed(self) -> list[Segment]:
        return [source for source in self.snapshot.sources if isinstance(source, Segment)]

    def _event_log(self) -> EventLog:
        with self._lock:
            if self._events is None:
                events = EventLog(self.path)
                events.refresh()
                self._events = events
            return self._events

    def _in_run(self) -> bool:
        return self.path.name == layout.rank_name(self._header.rank) and self._header.world_size > 1

    def _stamp(self) -> tuple[int, int, int]:
        with contextlib.suppress(OSError):
            stat = os.lstat(self.path / layout.TRACE_JSON)
            return stat.st_mtime_ns, stat.st_ino, stat.st_size
        return 0, 0, 0

    def _refresh_header(self) -> None:
        stamp = self._stamp()
        if stamp == self._header_stamp:
            return
        try:
            header = read_header(self.path)
        except TraceError as error:
            self._header_note = f"{error} (going on with what it said before)"
        else:
            self._header_note = ""
            if header != self._header:
                self._derivable.clear()
                self._header = header
        self._header_stamp = stamp
