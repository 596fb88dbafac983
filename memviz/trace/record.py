"""One record of a trace: names, labels, and values read from disk or derived only when they are asked for."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np

from memviz.errors import FieldError
from memviz.fields import FINAL_PREFIX, INITIAL_PREFIX, bare_name, lookup, memory_of
from memviz.trace import dtypes
from memviz.trace.caps import corrupt
from memviz.trace.live import LiveRecord
from memviz.trace.recent import Recent
from memviz.trace.schema import FieldSchema, Json, MemorySchema
from memviz.trace.segments import SealedRecord

if TYPE_CHECKING:
    from memviz.trace.reader import Trace

Place = LiveRecord | SealedRecord
"""Where the values of a record lie."""

_WHOLE_BYTES = 16 * 2**20
"""Bytes up to which a derived field is computed whole even if a part of it is asked for."""

_SAME_LENGTH = {"slot_to": "slot", "slot_from": "slot"}
"""Axes of derived fields whose length is that of another axis of the memory."""


class Home(Protocol):
    """What a record asks of its trace."""

    @property
    def memories(self) -> Mapping[str, MemorySchema]:
        """Declared memories by name."""
        ...

    @property
    def derived(self) -> Recent[tuple[int, str], np.ndarray]:
        """Derived fields that were used most recently, by record id and full name."""
        ...

    def place(self, record: int) -> Place:
        """Where a record lies now."""
        ...

    def labels_of(self, place: Place, record: int) -> dict[str, Json]:
        """The labels of a record."""
        ...

    def derivable_fields(self, memory: str, stored: frozenset[str]) -> frozenset[str]:
        """Bare names that follow from those stored."""
        ...


@dataclass(frozen=True, slots=True)
class RecordInfo:
    """What the listing of a trace knows of a record."""

    id: int
    step: int
    forward: int
    wall: float


class Record:
    """What was captured in one sampled forward pass.

    `record["read_weights"]` or, where several memories have such a field, `record["layer0/read_weights"]` gives the
    values, stored or derived, as a numpy array of one's own. Nothing is read before it is asked for, and a record stays
    readable while its trace goes on being written.
    """

    def __init__(self, home: Home, info: RecordInfo, place: Place) -> None:
        self._home = home
        self._info = info
        self._place = place
        self._stored = _stored(place)
        self._derivable: Mapping[str, FieldSchema] | None = None

    def __repr__(self) -> str:
        return (
            f"<Record {self.id}: step {self.step}, {len(self._stored)} fields of {', '.join(self.memories) or 'none'}>"
        )

    def _repr_html_(self) -> str:
        """What a notebook shows: a table and a small picture."""
        from memviz.trace.rich_html import record_html

        return record_html(self)

    @property
    def id(self) -> int:
        """Number of the record within its trace, from 0 up; it never changes."""
        return self._info.id

    @property
    def trace(self) -> Trace:
        """The trace that the record is part of."""
        return cast("Trace", self._home)

    @property
    def step(self) -> int:
        """Training step of the forward pass."""
        return self._info.step

    @property
    def forward(self) -> int:
        """Which forward pass of the recorder this was."""
        return self._info.forward

    @property
    def wall(self) -> float:
        """When it was recorded, in seconds since the epoch."""
        return self._info.wall

    @property
    def batch(self) -> tuple[int, ...]:
        """Positions in the batch of the recorded items."""
        place = self._place
        return place.batch if isinstance(place, LiveRecord) else place.segment.batches[place.row]

    @property
    def labels(self) -> dict[str, Json]:
        """What the user or a demo said about this record."""
        return self._home.labels_of(self._place, self.id)

    @property
    def memories(self) -> dict[str, MemorySchema]:
        """The memories that this record holds fields of, by name."""
        present = {memory_of(name) for name in self._stored}
        return {name: memory for name, memory in self._home.memories.items() if name in present}

    @property
    def lengths(self) -> dict[str, int]:
        """Number of times of each memory; 0 for one of which nothing with a time axis was recorded."""
        lengths = {memory_of(name): 0 for name in self._stored}
        for name in self._stored:
            if self._timed(name):
                lengths[memory_of(name)] = self._stored_shape(name)[0]
        return lengths

    @property
    def stored(self) -> tuple[str, ...]:
        """Full names of the fields on disk."""
        return tuple(self._stored)

    @property
    def fields(self) -> tuple[str, ...]:
        """Full names of all fields that can be read, the stored ones first, then those that can be derived."""
        return (*self._stored, *self._derived())

    def is_derived(self, name: str) -> bool:
        """Whether a field is computed from others rather than read.

        Raises:
            FieldError: see `read`.
        """
        return self.full_name(name) not in self._stored

    def full_name(self, name: str) -> str:
        """The full name for a full or bare name.

        Raises:
            FieldError: no field has this name, or several memories share it.
        """
        if name in self._stored or name in self._derived():
            return name
        matches = [full for full in self.fields if bare_name(full) == name]
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise FieldError(f"several memories have {name!r}: choose one of {', '.join(map(repr, matches))}")
        raise FieldError(self._missing(name))

    def schema(self, name: str) -> FieldSchema:
        """Axes, dtype, kind and range of a field, with the dtype that this record has.

        Raises:
            FieldError: see `read`.
        """
        full = self.full_name(name)
        if full not in self._stored:
            return self._derived()[full]
        shape, dtype = self._stored_shape(full), self._stored_dtype(full)
        declared = _declared(self._home.memories, full)
        if declared is not None and len(declared.axes) == len(shape):
            return replace(declared, dtype=dtype)
        return FieldSchema(bare_name(full), self._axes(full), dtype)

    def shape(self, name: str) -> tuple[int, ...]:
        """Lengths of the axes of a field, found without reading its values.

        Raises:
            FieldError: see `read`.
        """
        full = self.full_name(name)
        if full in self._stored:
            return self._stored_shape(full)
        memory = memory_of(full)
        known = {"time": self.lengths[memory], "write_head": 1, "mode": 3}
        slots = self.memories[memory].attributes.get("slots")
        if isinstance(slots, int):
            known["slot"] = slots  # a sparse memory records few of them
        for other in self._stored:
            if memory_of(other) == memory and not bare_name(other).startswith((INITIAL_PREFIX, FINAL_PREFIX)):
                known |= dict(zip(self._axes(other), self._stored_shape(other), strict=True))
        axes = [_SAME_LENGTH.get(axis, axis) for axis in self._derived()[full].axes]
        if all(axis in known for axis in axes) or not known["time"]:
            return tuple(known.get(axis, 0) for axis in axes)
        from memviz.analysis.replay import derive

        values: np.ndarray = derive(self, memory, bare_name(full))
        return values.shape

    def __getitem__(self, name: str) -> np.ndarray:
        return self.read(name)

    def __contains__(self, name: object) -> bool:
        try:
            return isinstance(name, str) and bool(self.full_name(name))
        except FieldError:
            return False

    def read(self, name: str, time: slice | int | None = None) -> np.ndarray:
        """The values of a field, or of a part of its time axis.

        Args:
            name: full name, or a bare name that one memory has.
            time: times wanted, all by default. A single time drops the axis, as in numpy.

        Returns:
            An array with the axes of `schema(name)`, the caller's own to change.

        Raises:
            FieldError: no field has this name, or several memories share it, or it has no time axis to select from.
            TraceCorrupt: the values are damaged on disk.
        """
        full = self.full_name(name)
        if time is None:
            return self._values(full, 0, None)
        if not (self._timed(full) if full in self._stored else "time" in self._derived()[full].axes):
            raise FieldError(f"{full} has no time axis to take {time} from; read it whole")
        length = self.lengths[memory_of(full)]
        if not isinstance(time, slice):
            if not -length <= time < length:
                raise FieldError(f"{full} has the times 0 to {length - 1}, not {time}")
            value: np.ndarray = self._values(full, time % length, time % length + 1)[0]
            return value
        times = range(length)[time]
        if not times:
            return np.empty((0, *self.shape(full)[1:]), dtypes.numpy_dtype(self.schema(full).dtype))
        start, stop = min(times), max(times) + 1
        values = self._values(full, start, stop)
        return values if times.step == 1 else values[:: times.step]

    def _values(self, full: str, start: int, stop: int | None) -> np.ndarray:
        if full not in self._stored:
            return self._derive(full, start, stop)
        for _ in range(3):
            try:
                return self._place.read(full, start, stop)
            except FileNotFoundError:
                # Sealed since this record was opened: the values did not change, only the place.
                self._place = self._home.place(self.id)
                if full not in _stored(self._place):
                    raise corrupt(f"record {self.id}", f"{full} was lost when the trace was repaired") from None
        return self._place.read(full, start, stop)

    def _derive(self, full: str, start: int, stop: int | None) -> np.ndarray:
        from memviz.analysis.replay import derive

        memory, name = memory_of(full), bare_name(full)
        shape = self.shape(full)
        timed = "time" in self._derived()[full].axes
        if timed and not shape[0]:
            return np.empty(shape, np.float32)
        if timed and math.prod(shape) * 4 > _WHOLE_BYTES:
            return np.asarray(derive(self, memory, name, slice(start, stop)))
        # Whole, and kept: whoever looks at one time of it will look at the next.
        values = self._home.derived.get((self.id, full), lambda: derive(self, memory, name))
        return np.array(values[start:stop])

    def _derived(self) -> Mapping[str, FieldSchema]:
        if self._derivable is None:
            found: dict[str, FieldSchema] = {}
            for memory in self.memories:
                own = [name for name in self._stored if memory_of(name) == memory]
                if not all(self._as_catalogued(name) for name in own):
                    continue  # the laws are written for the axes of the catalogue
                stored = frozenset(map(bare_name, own))
                for name in sorted(self._home.derivable_fields(memory, stored)):
                    field = lookup(name)
                    if field is not None:
                        found[f"{memory}/{name}"] = FieldSchema(
                            name, field.axes, "float32", field.kind, field.low, field.high, field.simplex
                        )
            self._derivable = found
        return self._derivable

    def _as_catalogued(self, full: str) -> bool:
        known = lookup(bare_name(full))
        return known is None or self._axes(full) == known.axes

    def _timed(self, full: str) -> bool:
        return self._axes(full)[:1] == ("time",)

    def _axes(self, full: str) -> tuple[str, ...]:
        if isinstance(self._place, SealedRecord):
            return self._place.segment.fields[full].axes
        declared = _declared(self._home.memories, full)
        count = len(self._place.tensors[full].shape)
        if declared is not None and len(declared.axes) == count:
            return declared.axes
        return tuple(f"axis_{axis}" for axis in range(count))

    def _stored_shape(self, full: str) -> tuple[int, ...]:
        place = self._place
        return place.tensors[full].shape if isinstance(place, LiveRecord) else place.segment.shape(full, place.row)

    def _stored_dtype(self, full: str) -> str:
        place = self._place
        return place.tensors[full].dtype if isinstance(place, LiveRecord) else place.segment.fields[full].dtype

    def _missing(self, name: str) -> str:
        known = list(self.fields)
        near = difflib.get_close_matches(name, [*known, *map(bare_name, known)], n=3, cutoff=0.6)
        hint = f" Nearest: {', '.join(map(repr, near))}." if near else ""
        text = f"record {self.id} has no field {name!r}.{hint}"
        bare = bare_name(name)
        if lookup(bare) is not None and bare not in map(bare_name, known):
            text += f" To record it, attach(model, path, fields=['default', {bare!r}]), or fields='all'."
        return f"{text} It has: {', '.join(known) or 'none'}."


def _stored(place: Place) -> dict[str, None]:
    # A dict keeps the order and answers `in` at once.
    return dict.fromkeys(sorted(place.tensors if isinstance(place, LiveRecord) else place.segment.fields))


def _declared(memories: Mapping[str, MemorySchema], full: str) -> FieldSchema | None:
    memory = memories.get(memory_of(full))
    return memory.fields.get(bare_name(full)) if memory else None
