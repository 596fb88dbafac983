"""What a diagnostic is: a measurement with levels, and the view of a record that it measures on."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from memviz.analysis.diagnostics.finding import SEVERITIES, Place, Severity
from memviz.fields import FINAL_PREFIX, GRADIENT_PREFIX, INITIAL_PREFIX, MODEL, bare_name, lookup, memory_of
from memviz.trace.schema import FieldSchema, MemorySchema

Array = NDArray[np.float64]


class Source(Protocol):
    """What a diagnosis asks of a record; `memviz.Record` has it."""

    @property
    def id(self) -> int:
        """Number of the record within its trace."""
        ...

    @property
    def step(self) -> int:
        """Training step."""
        ...

    @property
    def batch(self) -> tuple[int, ...]:
        """Positions in the training batch of the recorded items."""
        ...

    @property
    def labels(self) -> Mapping[str, Any]:
        """What the user said about the record."""
        ...

    @property
    def stored(self) -> Sequence[str]:
        """Full names of the stored fields."""
        ...

    @property
    def fields(self) -> Sequence[str]:
        """Full names of stored and derivable fields."""
        ...

    @property
    def memories(self) -> Mapping[str, MemorySchema]:
        """Schema of each memory."""
        ...

    @property
    def lengths(self) -> Mapping[str, int]:
        """Number of times of each memory."""
        ...

    def schema(self, name: str) -> FieldSchema:
        """Axes, dtype and range of a field."""
        ...

    def shape(self, name: str) -> tuple[int, ...]:
        """Lengths of its axes."""
        ...

    def read(self, name: str, time: slice | int | None = None) -> NDArray[Any]:
        """Its values."""
        ...


class MemoryView:
    """One memory of one record, its fields read once and in float64, with the axes of the catalogue.

    Attributes:
        record: the record.
        memory: name of the memory.
        schema: its law and attributes.
        most: numbers that its fields may hold together; the largest are passed over. None for any number.
    """

    def __init__(self, record: Source, memory: str, most: int | None = None) -> None:
        self.record = record
        self.memory = memory
        self.most = most
        self.schema = record.memories[memory]
        self._cache: dict[str, Array] = {}

    @cached_property
    def fields(self) -> frozenset[str]:
        """Bare names of what can be read, stored or derived, and has the axes of the catalogue, none of them empty."""
        own = (name for name in self.record.fields if memory_of(name) == self.memory)
        return frozenset(bare_name(name) for name in own if self._as_known(name)) - self.heavy

    @cached_property
    def heavy(self) -> frozenset[str]:
        """Bare names of the fields passed over, because they hold more numbers than there is room for."""
        if self.most is None:
            return frozenset()
        own = (name for name in self.record.fields if memory_of(name) == self.memory)
        counts = sorted((math.prod(self.record.shape(name)), bare_name(name)) for name in own)
        together = itertools.accumulate(count for count, _ in counts)
        return frozenset(
            name
            for (count, name), total in zip(counts, together, strict=True)
            # A check may hold a few copies of one field.
            if total > self.most or count > self.most // 3
        )

    def _as_known(self, full: str) -> bool:
        entry = lookup(bare_name(full))
        if entry is None:
            return True
        shape = self.record.shape(full)
        if self.record.schema(full).axes != entry.axes or not all(shape):
            return False
        # A state that is the same for all items is recorded once.
        return entry.axes[0] != "time" or shape[1] == self.items

    @cached_property
    def stored(self) -> frozenset[str]:
        """Bare names of what is stored."""
        return frozenset(bare_name(name) for name in self.record.stored if memory_of(name) == self.memory) - self.heavy

    def __contains__(self, name: str) -> bool:
        return name in self.fields

    def __getitem__(self, name: str) -> Array:
        """All values of a field by bare name.

        Raises:
            FieldError: neither stored nor derivable.
        """
        if name not in self._cache:
            self._cache[name] = np.asarray(self.record.read(f"{self.memory}/{name}"), np.float64)
        return self._cache[name]

    def at(self, name: str, time: int) -> Array:
        """The values of a field at one time, without reading the rest of a large one."""
        if name in self._cache:
            return np.asarray(self._cache[name][time])
        return np.asarray(self.record.read(f"{self.memory}/{name}", time=time), np.float64)

    def spec(self, name: str) -> FieldSchema:
        """Axes, dtype and range of a field."""
        return self.record.schema(f"{self.memory}/{name}")

    @cached_property
    def items(self) -> int:
        """Number of items recorded: what the fields have, whatever the record says of the batch."""
        own = (name for name in self.record.stored if memory_of(name) == self.memory)
        lengths = [
            length
            for name in own
            if not bare_name(name).startswith((INITIAL_PREFIX, FINAL_PREFIX))
            for axis, length in zip(self.record.schema(name).axes, self.record.shape(name), strict=True)
            if axis == "batch"
        ]
        return max(lengths, default=len(self.record.batch))

    @property
    def times(self) -> int:
        """Number of times of this memory."""
        return self.record.lengths[self.memory]

    @cached_property
    def spoiled(self) -> NDArray[np.bool_]:
        """[batch]: items with a stored number that is not finite. What else is found there follows from that number."""
        found = np.zeros(self.items, dtype=bool)
        for name in self.stored:
            axes = self.spec(name).axes
            if "batch" in axes and self[name].shape[axes.index("batch")] == self.items:
                rest = tuple(axis for axis in range(len(axes)) if axes[axis] != "batch")
                found |= ~np.isfinite(self[name]).all(axis=rest)
        return found

    @cached_property
    def memory_before(self) -> Array:
        """The memory as each write found it, [time, batch, slot, word]: what was there at the time before."""
        after = self["memory"]
        first = np.zeros_like(after[:1])
        if INITIAL_PREFIX + "memory" in self.stored:
            first[0] = self[INITIAL_PREFIX + "memory"]
        return np.concatenate([first, after[:-1]])

    @cached_property
    def knows_asked(self) -> bool:
        """Whether a target of the length of this memory says when the model had to answer."""
        name = f"{MODEL}/target"
        if name not in self.record.stored or self.record.shape(name)[:2] != (self.times, self.items):
            return False
        target = self.record.read(name).astype(np.float64)
        return bool(np.isfinite(target.reshape(*target.shape[:2], -1)).any(axis=(0, 2)).all())

    @cached_property
    def asked(self) -> NDArray[np.bool_]:
        """[time, batch]: where the model had to answer, by a target that is not NaN; everywhere without a target.

        A read at a time when nothing is asked can be anything, so statistics of reads leave such times out.
        """
        name = f"{MODEL}/target"
        if self.knows_asked:
            target = self.record.read(name)
            known = np.isfinite(target.reshape(*target.shape[:2], -1).astype(np.float64)).any(axis=-1)
            return np.asarray(known)
        return np.ones((self.times, self.items), dtype=bool)


@dataclass(frozen=True, slots=True)
class Measure:
    """One number per item of a record, and where in the item it comes from.

    Attributes:
        values: [batch]; the higher, the worse. NaN where the check does not apply to an item.
        places: one per item.
        say: the sentence for an item; it is asked for only when a level is reached.
        subject: what was measured, where a check measures several things; findings of different subjects are separate.
    """

    values: Array
    places: Sequence[Place]
    say: Callable[[int], str]
    subject: str = ""


_NONE: Mapping[Severity, float] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A check of one memory of one record.

    Attributes:
        name: short and stable; a heading in docs/diagnostics.md.
        title: what is wrong when it fires.
        formula: what is measured, in the words of the catalogue.
        needs: bare names of the fields that it cannot do without.
        measure: the measurement. It may assume that `needs` can be read. It yields nothing where it does not apply.
        levels: values from which on a finding is a note, a warning, an error.
        source: where the check comes from.
        suggestion: what to try next.
        order: rank among findings of one severity; causes come before what follows from them.
        lasting: a violation that counts for good, because the law it breaks must always hold: the first one is
            reported. Otherwise the last records decide, since what an untrained memory does is no fault.
        asks: reads count at the times when something is asked. Without a target nobody knows these, and a finding is a
            note that says so.
        family: number of the family of checks that it belongs to; plugins leave it at 0.
    """

    name: str
    title: str
    formula: str
    needs: tuple[str, ...]
    measure: Callable[[MemoryView], Iterable[Measure]]
    source: str
    suggestion: str
    levels: Mapping[Severity, float] = field(default_factory=lambda: _NONE)
    order: int = 50
    lasting: bool = False
    asks: bool = False
    family: int = 0

    def __post_init__(self) -> None:
        if not self.levels or not set(self.levels) <= set(SEVERITIES):
            raise ValueError(f"levels of {self.name!r} must give a threshold for some of {', '.join(SEVERITIES)}")

    def level(self, value: float) -> tuple[Severity, float] | None:
        """The worst level that a value reaches, with its threshold; None below all of them, and for NaN."""
        for severity in SEVERITIES:
            threshold = self.levels.get(severity)
            if threshold is not None and value >= threshold:
                return severity, threshold
        return None

    def missing(self, view: MemoryView) -> str | None:
        """Why the check cannot be made on a memory, in words; None when it can."""
        absent = [name for name in self.needs if name not in view]
        if not absent:
            return None
        heavy = [name for name in absent if name in view.heavy]
        if heavy:
            return f"{', '.join(heavy)}: too many numbers to be checked in passing; `memviz doctor` checks them"
        verb = "was" if len(absent) == 1 else "were"
        odd = [name for name in absent if name in view.stored]
        if odd:
            return (
                f"{', '.join(odd)} {'has' if len(odd) == 1 else 'have'} other axes than in the catalogue, or no values"
            )
        return f"{', '.join(absent)} {verb} not recorded and cannot be derived"

    def concerns(self, view: MemoryView) -> bool:
        """Whether a memory is of the kind that the check is about.

        It has one of the fields needed, or the field whose gradient is needed. That a DMN has
        no usage to look at is not worth a word; that no gradient of a memory was recorded is.
        """
        return not self.needs or any(name.removeprefix(GRADIENT_PREFIX) in view for name in self.needs)
