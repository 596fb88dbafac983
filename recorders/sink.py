"""The queue and the one thread that owns the TraceWriter.

The training thread only appends to a queue. The queue is bounded in records and bytes: what does not fit is dropped,
counted, and written to the trace as a gap. A disk that refuses or a full trace ends recording, never training.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from types import MappingProxyType
from typing import Any

import numpy as np

from memviz import fields
from memviz.errors import MemvizError, RecorderError, SpoolFull, TraceError
from memviz.recorders.capture import Channel, MemoryInfo
from memviz.recorders.faults import Faults
from memviz.recorders.staging import Copy
from memviz.trace.dtypes import dtype_name
from memviz.trace.jsonl import encode
from memviz.trace.schema import Event, FieldSchema, MemorySchema, RecordData
from memviz.trace.writer import TraceWriter

POLICIES = ("drop", "block")
QUEUED_RECORDS = 8
QUEUED_BYTES = 256 * 2**20
QUEUED_LINES = 100_000
CLOSE_SECONDS = 120.0
QUEUE_FULL = "queue full"

_SIZES = {"slot": "slots", "word": "words", "read_head": "read_heads", "write_head": "write_heads"}


@dataclass(frozen=True, slots=True)
class Draft:
    """A record whose arrays may still be on their way from the device.

    `copies` bring the fields by full name; `channels` and `memories` describe them; `nbytes` is their size.
    """

    step: int
    forward: int
    wall: float
    batch: Sequence[int]
    labels: Mapping[str, Any]
    copies: Sequence[Copy]
    channels: Sequence[Channel]
    memories: Mapping[str, MemoryInfo]
    nbytes: int


@dataclass(frozen=True, slots=True)
class _Scalars:
    step: int
    values: Mapping[str, Any]
    wall: float


@dataclass(frozen=True, slots=True)
class _Flush:
    done: threading.Event = field(default_factory=threading.Event)


_Message = Draft | _Scalars | Event | _Flush | None


class Sink:
    """Takes drafts, scalars and events, and lets its thread write them.

    Args:
        writer: used by the thread alone from now on.
        faults: contains and tells errors.
        policy: "drop" the newest record when the queue is full, or "block" until there is room.
        on_stop: called, by the thread, with the reason when recording has ended for good.
        on_half: called, by the thread, when the trace has passed half of the room that was left.
    """

    def __init__(
        self,
        writer: TraceWriter,
        faults: Faults,
        *,
        policy: str = "drop",
        on_stop: Callable[[str], None],
        on_half: Callable[[], None],
        records: int = QUEUED_RECORDS,
    ) -> None:
        if policy not in POLICIES:
            raise RecorderError(f"policy={policy!r}: expected one of {', '.join(POLICIES)}")
        self._writer = writer
        self._faults = faults
        self._policy = policy
        self._on_stop, self._on_half = on_stop, on_half
        self._capacity = records
        self._queue: SimpleQueue[_Message] = SimpleQueue()
        self._changed = threading.Condition()  # guards the counts; tells who waits for room
        self._records, self._bytes = 0, 0  # waiting or being written
        self._gap, self._gap_step, self._gap_reason = 0, 0, ""
        self._declared: dict[str, str] = {}
        self._half = writer.limit // 2
        self._stopped = ""
        self._closed = False
        self._gone = False  # the thread, before it was told to end
        self._taken = 0
        self.recorded, self.dropped = 0, 0
        self.nbytes = writer.nbytes
        self._thread = threading.Thread(target=self._run, name="memviz-writer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Records that are not written yet."""
        return self._records

    @property
    def stopped(self) -> str:
        """Why recording has ended for good, "" while it goes on."""
        return self._stopped

    def room(self) -> bool:
        """Whether a record would be taken now. With policy "block" it will be, sooner or later."""
        return self._policy == "block" or self._fits(0)

    def drop(self, step: int, reason: str = QUEUE_FULL) -> None:
        """Count a record that was not taken; the gap is written before the next one that is."""
        with self._changed:
            if self._gap == 0:
                self._gap_step, self._gap_reason = step, reason
            self._gap += 1
            self.dropped += 1

    def put(self, draft: Draft, *, always: bool = False) -> bool:
        """Queue a record; False when it was dropped. With `always` it needs no room: it has been in memory already."""
        with self._changed:
            if self._policy == "block" and not always:
                self._changed.wait_for(lambda: self._fits(draft.nbytes) or self._stopped or self._closed)
            if self._stopped or self._closed:
                return False
            fits = always or self._fits(draft.nbytes)
            if fits:
                self._write_gap()
                self._records += 1
                self._bytes += draft.nbytes
                self._taken += 1
                self._queue.put(draft)
        if not fits:
            self.drop(draft.step)
        return fits

    def log(self, step: int, values: Mapping[str, Any]) -> None:
        """Queue one line of scalars; a value may be a tensor on a device, which the thread will wait for."""
        self._put_line(_Scalars(step, values, time.time()))

    def event(self, event: Event) -> None:
        """Queue an event."""
        self._put_line(event)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all that was queued so far is on disk; False when the time ran out."""
        message = _Flush()
        with self._changed:
            if self._closed or self._gone:
                return True
            self._write_gap()
            self._queue.put(message)
        return message.done.wait(timeout)

    def close(self) -> None:
        """Write what is queued, close the trace and end the thread; safe to call twice."""
        with self._changed:
            if not self._closed:
                self._write_gap()
                self._queue.put(None)
            self._closed = True
            self._changed.notify_all()
        self._thread.join(CLOSE_SECONDS)
        if self._thread.is_alive():
            self._faults.say(f"the trace was not written to the end within {CLOSE_SECONDS:.0f} seconds", "error")

    def abandon(self) -> None:
        """Forget everything, as a forked child must: the thread and the trace belong to its parent."""
        self._changed = threading.Condition()  # the parent may have held the old one at the fork
        self._closed, self._stopped = True, "this process was forked from the one that records"
        self._queue = SimpleQueue()

    def _fits(self, nbytes: int) -> bool:
        # One record always fits, however large: else it would never be recorded.
        return self._records == 0 or (self._records < self._capacity and self._bytes + nbytes <= QUEUED_BYTES)

    def _write_gap(self) -> None:
        if self._gap:
            why = "the writer could not keep up" if self._gap_reason == QUEUE_FULL else self._gap_reason
            message = f"{self._gap} record{'s' if self._gap > 1 else ''} dropped: {why}"
            data = {"dropped": self._gap, "reason": self._gap_reason}
            self._queue.put(Event("gap", message, time.time(), self._gap_step, data))
            self._gap = 0

    def _put_line(self, message: _Scalars | Event) -> None:
        if not self._closed and self._queue.qsize() < QUEUED_LINES:
            self._queue.put(message)

    def _run(self) -> None:
        try:
            self._serve()
        except BaseException as error:  # nothing called here raises that: somebody ended this thread
            self._die(type(error).__name__)
        try:
            self._writer.close()
        except (MemvizError, OSError) as error:
            self._faults.say(f"closing the trace failed: {error}", "error")

    def _die(self, why: str) -> None:
        """This thread ends before its time: say what is lost, and let nobody wait for it."""
        with self._changed:
            lost = self._taken - self.recorded
            self._gone = True
            self.dropped += lost
        records = "1 record that waited is" if lost == 1 else f"{lost} records that waited are"
        self._stop(f"the thread that writes was ended by {why}; {records} lost", {"dropped": lost})
        with contextlib.suppress(Empty):
            while True:
                message = self._queue.get_nowait()
                if message is not None:
                    self._settle(message)

    def _serve(self) -> None:
        while True:
            message = self._queue.get()
            if message is None:
                break
            try:
                self._handle(message)
            except (TraceError, OSError) as error:
                self._stop(str(error))
            except Exception as error:
                self._faults.error(error, "writing the trace")
            finally:
                self._settle(message)
            del message  # a record must not live on while the thread waits for the next one

    def _settle(self, message: _Message) -> None:
        if isinstance(message, Draft):
            with self._changed:
                self._records -= 1
                self._bytes -= message.nbytes
                self._changed.notify_all()
        elif isinstance(message, _Flush):
            message.done.set()

    def _handle(self, message: Draft | _Scalars | Event | _Flush) -> None:
        if isinstance(message, _Flush):
            self._writer.flush()
        elif self._stopped:
            return
        elif isinstance(message, Draft):
            self._append(message)
        elif isinstance(message, _Scalars):
            self._writer.log(message.step, {name: float(v) for name, v in message.values.items()}, message.wall)
        else:
            self._writer.event(message)
        self.nbytes = self._writer.nbytes

    def _stop(self, reason: str, data: Mapping[str, Any] = MappingProxyType({})) -> None:
        """Give up for good: one event where the disk allows it, one warning."""
        if self._stopped:
            return
        self._stopped = reason
        with contextlib.suppress(MemvizError, OSError):  # the same full disk may refuse; the warning says it
            self._writer.event(Event("stopped", f"recording stopped: {reason}", time.time(), data=data))
        with self._changed:
            self._changed.notify_all()
        self._on_stop(reason)

    def _append(self, draft: Draft) -> None:
        arrays: dict[str, np.ndarray] = {}
        for copy in draft.copies:
            arrays.update(copy.wait())
        axes = {channel.full_name: channel.layout.stored for channel in draft.channels}
        arrays = {name: kept for name, array in arrays.items() if (kept := _initial(name, array)) is not None}
        self._leave_out_misfits(arrays, axes)
        self._declare(draft, arrays, axes)
        data = RecordData(draft.step, arrays, draft.wall, draft.forward, draft.batch, self._labels(draft.labels))
        try:
            self._writer.append(data)
        except SpoolFull as error:  # the next one may fit: a link that is down comes up again
            self._faults.warn_once(str(error))
            self.drop(draft.step, "too much waited to be sent")
            return
        self.recorded += 1
        if self._writer.nbytes > self._half:
            self._half += (self._writer.limit - self._half) // 2
            self._on_half()

    def _leave_out_misfits(self, arrays: dict[str, np.ndarray], axes: Mapping[str, tuple[str, ...]]) -> None:
        """Remove fields that disagree with those before them about the length of an axis, and say so."""
        lengths: dict[tuple[str, str], int] = {}
        for name in sorted(arrays, key=_is_boundary):
            memory = fields.memory_of(name)
            for axis, length in zip(axes[name], arrays[name].shape, strict=True):
                known = lengths.get((memory, axis), length)
                if known != length and not (length == 1 and _is_boundary(name)):
                    text = f"{name} is left out: its axis {axis!r} has {length} entries, in other fields it has {known}"
                    self._faults.say(text, "error", key=f"lengths {name}")
                    del arrays[name]
                    break
            else:
                if not _is_boundary(name):
                    lengths.update({(memory, axis): n for axis, n in zip(axes[name], arrays[name].shape, strict=True)})

    def _declare(self, draft: Draft, arrays: Mapping[str, np.ndarray], axes: Mapping[str, tuple[str, ...]]) -> None:
        """Declare what is new: a memory, a field, or another dtype than before."""
        new: dict[str, dict[str, FieldSchema]] = {}
        for name, array in arrays.items():
            dtype = dtype_name(array)
            if self._declared.get(name) != dtype:
                new.setdefault(fields.memory_of(name), {})[name] = _schema(name, axes[name], dtype)
        for memory, schemas in new.items():
            info = draft.memories.get(memory, MemoryInfo())
            found = {
                _SIZES[axis]: length
                for name in schemas
                if not _is_boundary(name)
                for axis, length in zip(schemas[name].axes, arrays[name].shape, strict=True)
                if axis in _SIZES
            }
            by_bare_name = {schema.name: schema for schema in schemas.values()}
            self._writer.declare(MemorySchema(memory, info.law, by_bare_name, {**found, **info.attributes}))
            self._declared.update({name: schema.dtype for name, schema in schemas.items()})

    def _labels(self, labels: Mapping[str, Any]) -> Mapping[str, Any]:
        kept = {}
        for name, value in labels.items():
            try:
                encode(value)
            except MemvizError as error:
                self._faults.error(error, f"label {name!r}")
            else:
                kept[name] = value
        return kept


def _schema(name: str, axes: tuple[str, ...], dtype: str) -> FieldSchema:
    bare = fields.bare_name(name)
    known = fields.lookup(bare)
    if known is None:
        return FieldSchema(bare, axes, dtype)
    schema = FieldSchema(bare, axes, dtype, known.kind, known.low, known.high)
    return replace(schema, simplex=known.simplex)


def _is_boundary(name: str) -> bool:
    """Whether a field is the state before the first or after the last time."""
    return fields.bare_name(name).startswith((fields.INITIAL_PREFIX, fields.FINAL_PREFIX))


def _initial(name: str, array: np.ndarray) -> np.ndarray | None:
    """An initial state in short: None when it is zero, and length 1 along axes where it is constant."""
    if not fields.bare_name(name).startswith(fields.INITIAL_PREFIX):
        return array
    if not (array != 0).any():
        return None
    for axis, length in enumerate(array.shape):
        head = array.take([0], axis)
        if length > 1 and (array == head).all():
            array = head
    return array
