"""The writer: turns records, scalars and events into a trace on disk, one thread, nothing lost that it acknowledged."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from memviz._version import __version__
from memviz.errors import SchemaError, TraceClosed, TraceFull, TraceLocked
from memviz.trace import layout, sealing
from memviz.trace.checks import check_fields, check_numbers, merge_memory
from memviz.trace.files import listing, tree_bytes, write_atomic
from memviz.trace.header import encode_header, read_header
from memviz.trace.jsonl import LineWriter
from memviz.trace.live import Frame, Signature, encode_record, frame_of, signature_of, write_live
from memviz.trace.lock import WriterLock
from memviz.trace.schema import Event, Json, MemorySchema, RecordData, TraceHeader

_MAX_COPIES = 10_000
_SEAL_BYTES = 64 * 2**20
"""Bytes of live records that are sealed even if they are few, so that no seal takes long."""

_MAX_FRAMES = 256
"""Kinds of records that are remembered as checked; ragged time makes many."""


class TraceWriter:
    """Writes one trace. Made by `TraceWriter.create`; used by one thread.

    Every error it raises is a MemvizError or an OSError, and leaves what was committed whole. A record is committed
    when `append` returns: it survives kill -9 from then on. `nbytes` is what the trace takes on disk.
    """

    def __init__(
        self, path: Path, header: TraceHeader, lock: WriterLock, *, next_id: int, seal_every: int, limit: int
    ) -> None:
        self.path = path
        self.header = header
        self.limit = limit
        self.seal_every = seal_every
        self._lock = lock
        self._next_id = next_id
        self._closed = False
        self._unsealed = 0
        self._unsealed_bytes = 0
        self._unsynced: list[int] = []
        self._frames: dict[Signature, Frame] = {}
        self._scalars = LineWriter(path / layout.SCALARS)
        self._events = LineWriter(path / layout.EVENTS)
        self.nbytes = tree_bytes(path)

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        header: TraceHeader,
        *,
        resume: bool = False,
        seal_every: int = 256,
        limit: int = 10 * 2**30,
    ) -> TraceWriter:
        """Start a trace at `path`, or beside it when one is there already.

        Args:
            path: directory of the run. When it holds a trace, the new one starts as `<path>-2`, `<path>-3` ...;
                `writer.path` says where. A process of a distributed run (`header.world_size > 1`) writes into
                `rank-NNNNN/` inside it.
            header: what trace.json says; its memories count as declared.
            resume: continue the trace at `path` instead, with the next record id.
            seal_every: records after which live files are packed into a sealed segment; sooner when they are large.
            limit: bytes the trace may take on disk; an append beyond raises TraceFull.

        Raises:
            TraceLocked: `resume` and another process is writing this trace.
            TraceVersionError, TraceCorrupt: `resume` and its trace.json cannot be continued.
            SchemaError: the header declares names or dtypes that cannot be stored.
            OSError: the directory cannot be made or written.
        """
        if seal_every < 1:
            raise SchemaError(f"seal_every counts records, from 1 up; got {seal_every}")
        run = Path(os.path.abspath(path))
        header = replace(header, memviz_version=__version__, memories=_merged({}, header.memories))
        trace, lock = _resume_at(run, header) if resume else _start_beside(run, header)
        try:
            writer = cls._opened(trace, header, lock, resume=resume, seal_every=seal_every, limit=limit)
        except BaseException:
            lock.release()
            raise
        return writer

    @classmethod
    def _opened(
        cls, path: Path, header: TraceHeader, lock: WriterLock, *, resume: bool, seal_every: int, limit: int
    ) -> TraceWriter:
        next_id = 0
        continued = resume and layout.holds_trace(path)
        if continued:
            old = read_header(path)
            header = replace(
                old,
                memviz_version=__version__,
                attributes={**old.attributes, **header.attributes},
                model=header.model or old.model,
                memories=_merged(old.memories, header.memories),
            )
            next_id = 1 + max(_ids_in_use(path), default=-1)
        for folder in (layout.LIVE, layout.SEALED):
            (path / folder).mkdir(exist_ok=True)
        sealing.remove_partial(path)
        write_atomic(path / layout.TRACE_JSON, [encode_header(header)])
        writer = cls(path, header, lock, next_id=next_id, seal_every=seal_every, limit=limit)
        writer._unsealed = writer._count_live()
        message = f"continued at record {next_id}" if continued else "recording started"
        try:
            writer.event(Event("opened", message, time.time(), data={"pid": os.getpid(), "version": __version__}))
        except BaseException:
            writer._close_files()
            raise
        return writer

    def __enter__(self) -> TraceWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def begin(self) -> None:
        """Called when whoever writes can be told things; a writer that sends its trace elsewhere starts here."""

    @property
    def records(self) -> int:
        """The id that the next record gets."""
        return self._next_id

    @property
    def over_half(self) -> bool:
        """Whether the trace takes more than half of its limit: the time to record less often."""
        return self.nbytes > self.limit // 2

    def declare(self, memory: MemorySchema) -> None:
        """Add a memory, or add fields to one that is declared. Declaring what is known already changes nothing.

        Raises:
            SchemaError: a name cannot be stored, or a known field comes with other axes.
        """
        self._check_open()
        known = self.header.memories.get(memory.name)
        merged = merge_memory(known, memory, self.header.memories)
        if merged == known:
            return
        header = replace(self.header, memories={**self.header.memories, memory.name: merged})
        before = (self.path / layout.TRACE_JSON).stat().st_size
        self.nbytes += write_atomic(self.path / layout.TRACE_JSON, [encode_header(header)]) - before
        self.header = header
        self._frames.clear()

    def append(self, data: RecordData) -> int:
        """Commit one record; returns its id, one more than that of the record before.

        Raises:
            SchemaError: the record does not fit what was declared; nothing was written.
            TraceFull: the record would take the trace beyond its limit; nothing was written.
            OSError: the disk refused; the partial file was removed.
        """
        self._check_open()
        check_numbers(data)
        pieces, size = encode_record(data, self._frame(data))
        if self.nbytes + size > self.limit:
            raise TraceFull(
                f"{self.path} takes {self.nbytes} bytes; a record of {size} would exceed its limit of {self.limit}. "
                "Record less often, fewer fields or fewer batch items, or raise the limit"
            )
        record = self._next_id
        self.nbytes += write_live(self.path / layout.LIVE, record, pieces)
        self._next_id += 1
        self._unsealed += 1
        self._unsealed_bytes += size
        self._unsynced.append(record)
        if self._unsealed >= self.seal_every or self._unsealed_bytes >= _SEAL_BYTES:
            self._seal_quietly()
        return record

    def _frame(self, data: RecordData) -> Frame:
        """The checked frame of a record; most records look like one before, and are not checked again."""
        try:
            signature = signature_of(data.fields)
            frame = self._frames.get(signature)
        except (AttributeError, TypeError):
            signature, frame = (), None
        if frame is None:
            check_fields(data, self.header.memories)
            if len(self._frames) >= _MAX_FRAMES:
                self._frames.clear()
            frame = self._frames[signature] = frame_of(data.fields)
        return frame

    def log(self, step: int, scalars: Mapping[str, float], wall: float | None = None) -> None:
        """Append one line of scalars, e.g. `writer.log(100, {"loss": 0.1})`. `wall` is now when not given.

        Raises:
            SchemaError: a scalar is not a number, or is named step or wall.
            OSError: the disk refused; no part of the line was kept.
        """
        self._check_open()
        line: dict[str, Json] = {"step": int(step), "wall": float(time.time() if wall is None else wall)}
        for name, value in scalars.items():
            if name in line:
                raise SchemaError(f"a scalar may not be named {name!r}; that name is taken")
            try:
                line[str(name)] = float(value)
            except (TypeError, ValueError):
                raise SchemaError(f"scalar {name!r} is not a number: {value!r:.80}") from None
        self.nbytes += self._scalars.append(line)

    def event(self, event: Event) -> None:
        """Append one line of events.

        Raises:
            SchemaError: its data cannot be written as JSON.
            OSError: the disk refused; no part of the line was kept.
        """
        self._check_open()
        self.nbytes += self._events.append(event.to_json())

    def seal(self) -> int:
        """Pack all live records into sealed segments; returns how many records were packed.

        Raises:
            TraceCorrupt: a live file is damaged; the others were packed.
            OSError: the disk refused; what was not packed is still live.
        """
        self._check_open()
        return self._seal()

    def flush(self) -> None:
        """Ask the disk to keep all that was committed so far, against a power cut too."""
        self._check_open()
        for record in self._unsynced:
            with contextlib.suppress(FileNotFoundError):  # sealed, which synced it
                fd = os.open(self.path / layout.LIVE / layout.live_name(record), os.O_RDONLY | os.O_CLOEXEC)
                try:
                    os.fsync(fd)
                finally:
                    os.close(fd)
        self._unsynced.clear()
        self._scalars.sync()
        self._events.sync()

    def close(self) -> None:
        """Seal, write the event "closed" and let go of the trace; safe to call twice.

        When there is no room to seal, the records stay live, which loses nothing.
        """
        if self._closed:
            return
        try:
            self._seal_quietly()
            self.event(Event("closed", "recording ended", time.time(), data={"records": self._next_id}))
        finally:
            self._close_files()

    def _close_files(self) -> None:
        self._closed = True
        self._scalars.close()
        self._events.close()
        self._lock.release()

    def _seal(self) -> int:
        try:
            done = sealing.seal(self.path, self.header, self.seal_every)
        except BaseException:
            self.nbytes = tree_bytes(self.path)
            self._unsealed = self._count_live()
            raise
        self.nbytes += done.added - done.removed
        self._unsealed = self._unsealed_bytes = 0
        self._unsynced.clear()
        return done.records

    def _count_live(self) -> int:
        return sum(layout.parse_live_name(name) is not None for name in listing(self.path / layout.LIVE))

    def _seal_quietly(self) -> None:
        """Seal, or leave the records live and say so: sealing saves room, it commits nothing."""
        try:
            self._seal()
        except OSError as error:
            # Try again when as many records more have come, not at every one.
            self._unsealed = self._unsealed_bytes = 0
            with contextlib.suppress(OSError):
                self.event(Event("note", f"sealing failed, the records stay live: {error}", time.time()))

    def _check_open(self) -> None:
        if self._closed:
            raise TraceClosed(f"{self.path} was closed; continue it with TraceWriter.create(path, ..., resume=True)")


def _merged(known: Mapping[str, MemorySchema], new: Mapping[str, MemorySchema]) -> dict[str, MemorySchema]:
    memories = dict(known)
    for name, memory in new.items():
        if memory.name != name:
            raise SchemaError(f"the header lists memory {memory.name!r} under the name {name!r}")
        memories[name] = merge_memory(memories.get(name), memory, memories)
    return memories


def _within(run: Path, header: TraceHeader) -> Path:
    return run / layout.rank_name(header.rank) if header.world_size > 1 else run


def _resume_at(run: Path, header: TraceHeader) -> tuple[Path, WriterLock]:
    path = _within(run, header)
    path.mkdir(parents=True, exist_ok=True)
    return path, WriterLock(path)


def _start_beside(run: Path, header: TraceHeader) -> tuple[Path, WriterLock]:
    for copy in range(1, _MAX_COPIES):
        path = _within(run if copy == 1 else run.with_name(f"{run.name}-{copy}"), header)
        if layout.holds_trace(path):
            continue
        path.mkdir(parents=True, exist_ok=True)
        try:
            lock = WriterLock(path)
        except TraceLocked:
            continue  # another process is starting here at this very moment
        if not layout.holds_trace(path):
            return path, lock
        lock.release()
    raise SchemaError(f"{run} and {_MAX_COPIES} folders beside it hold traces; choose another name")


def _ids_in_use(path: Path) -> list[int]:
    """Record ids that a continued trace must not give again, those in quarantine included."""
    ids: list[int] = []
    for folder in (layout.LIVE, layout.SEALED, layout.QUARANTINE):
        for name in listing(path / folder):
            live, sealed = layout.parse_live_name(name), layout.parse_segment_name(name)
            ids += [live] if live is not None else sealed if sealed is not None else []
    return ids
