"""One story of a dynamic memory network: which facts its hops really kept, beside what the gates alone would say.

A story is one item of one record with the field `episodic_attention`; what was told, asked and answered comes from the
labels of the record (memviz.analysis.story_labels), where it has any.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from memviz.analysis.episodes import KINDS, divergence, effective_gates
from memviz.analysis.story_labels import Told, told
from memviz.errors import FieldError
from memviz.fields import CATALOGUE
from memviz.trace.schema import MemorySchema

Array = NDArray[np.float64]

FIELD = "episodic_attention"

ECLIPSED = 0.3
"""What a gate must exceed the effective gate by for the fact to count as eclipsed."""

MOST = 0.5
"""Share of an episode from which on it is said to be that of one fact, or of none."""

SAME, APART = 0.02, 0.5
"""Bits of Jensen-Shannon divergence up to which two hops do the same, and from which on they do different things."""

KINDS_OF_RESULT = (
    "wrong, facts missed",
    "wrong, facts found",
    "wrong",
    "right, facts missed",
    "right, facts found",
    "right",
    "not judged",
)
"""How a story ended, the worst first: the answer, and whether the supporting facts were among those kept most."""


class Source(Protocol):
    """What is asked of a record; `memviz.trace.reader.Record` and ArrayRecord have it."""

    @property
    def labels(self) -> Mapping[str, Any]:
        """What somebody said about the record."""
        ...

    @property
    def stored(self) -> Collection[str]:
        """Full names of the stored fields."""
        ...

    @property
    def fields(self) -> Collection[str]:
        """Full names of the stored fields and of those that can be derived."""
        ...

    @property
    def memories(self) -> Mapping[str, MemorySchema]:
        """Schema of each memory."""
        ...

    def read(self, name: str) -> NDArray[Any]:
        """Values of a field."""
        ...


@dataclass(frozen=True, slots=True)
class Eclipse:
    """A fact whose gate was open, and of which later facts left little.

    Attributes:
        hop, fact: where.
        gate: g, in [0, 1].
        kept: E, what the episode kept of it.
    """

    hop: int
    fact: int
    gate: float
    kept: float


@dataclass(frozen=True)
class Story:
    """What the hops made of one story.

    Attributes:
        memory: name of the memory.
        item: position among the recorded items.
        episode: how a hop sums up, "gated" or "sum" (memviz.analysis.episodes).
        declared: whether the memory says so; otherwise "gated" is assumed.
        gates: g, [hop, fact], as recorded.
        effective: E, [hop, fact], what each episode kept of each fact.
        left: [hop], what it kept of its initial state; with E it sums to 1.
        told: what the labels say.
    """

    memory: str
    item: int
    episode: str
    declared: bool
    gates: Array
    effective: Array
    left: Array
    told: Told

    @property
    def hops(self) -> int:
        """Number of hops."""
        return len(self.gates)

    @property
    def facts(self) -> int:
        """Length of the axis `fact`."""
        return int(self.gates.shape[1])

    @property
    def finite(self) -> bool:
        """Whether all gates are numbers."""
        return bool(np.isfinite(self.gates).all())

    @cached_property
    def most(self) -> NDArray[np.int64]:
        """The fact that each hop kept most of, [hop]."""
        return np.asarray(np.nan_to_num(self.effective, nan=-1.0).argmax(axis=1))

    @cached_property
    def opened(self) -> NDArray[np.int64]:
        """The fact with the largest gate of each hop, [hop]."""
        return np.asarray(np.nan_to_num(self.gates, nan=-1.0).argmax(axis=1))

    @cached_property
    def eclipsed(self) -> tuple[Eclipse, ...]:
        """Facts of which later ones left little, in the order of hops and facts."""
        lost = np.argwhere(self.gates - self.effective > ECLIPSED)
        return tuple(
            Eclipse(hop, fact, float(self.gates[hop, fact]), float(self.effective[hop, fact]))
            for hop, fact in lost.tolist()
        )

    @cached_property
    def divergence(self) -> Array:
        """Jensen-Shannon divergence between what each two hops kept, [hop, hop], in bits, 0 to 1."""
        shares = np.concatenate([self.effective, self.left[:, None]], axis=1)
        return divergence(shares[:, None], shares[None])

    @cached_property
    def found(self) -> tuple[int, ...] | None:
        """The supporting facts among those kept most; None where nobody said which they are.

        Of n supporting facts those are found that are among the n facts with the largest effective gate of any hop.
        """
        if self.told.supporting is None or not self.finite:
            return None
        kept = self.effective.max(axis=0)
        best = np.argsort(-kept, kind="stable")[: len(self.told.supporting)].tolist()
        return tuple(fact for fact in self.told.supporting if fact in best)

    @property
    def missed(self) -> tuple[int, ...]:
        """The supporting facts that are not."""
        return tuple(fact for fact in self.told.supporting or () if fact not in (self.found or ()))

    @property
    def kind(self) -> str:
        """How it ended; one of `KINDS_OF_RESULT`."""
        if self.told.right is None:
            return "not judged"
        said = "right" if self.told.right else "wrong"
        if self.found is None or not self.told.supporting:
            return said
        return f"{said}, facts {'missed' if self.missed else 'found'}"


def memories_of(record: Source) -> tuple[str, ...]:
    """The memories of a record that have gates over facts, in the order of the record."""
    fields = set(record.stored)
    return tuple(
        name
        for name, memory in record.memories.items()
        if f"{name}/{FIELD}" in fields and axes_of(memory, FIELD) == CATALOGUE[FIELD].axes
    )


def axes_of(memory: MemorySchema, field: str) -> tuple[str, ...]:
    """The axes that a memory declares for a field; () where it declares none."""
    return tuple(memory.fields[field].axes) if field in memory.fields else ()


def read_stories(record: Source, memory: str | None = None) -> list[Story]:
    """The story of every item of a record.

    Args:
        record: a record, or an ArrayRecord.
        memory: one of `memories_of(record)`; the first by default.

    Raises:
        FieldError: the record has no gates over facts.
    """
    known = memories_of(record)
    if not known or (memory is not None and memory not in known):
        where = "this record" if memory is None else f"memory {memory!r}"
        raise FieldError(
            f"{where} has no {FIELD} [{', '.join(CATALOGUE[FIELD].axes)}], the gates over facts that a story is made "
            f"of; {'memories that have it: ' + ', '.join(known) if known else 'record a model that has episodes'}"
        )
    name = known[0] if memory is None else memory
    gates = np.asarray(record.read(f"{name}/{FIELD}"), np.float64)
    if not gates.size:
        raise FieldError(f"{name}/{FIELD} is empty in this record, {gates.shape}; choose a record with hops and facts")
    given = record.memories[name].attributes.get("episode")
    episode = str(given) if given in KINDS else "gated"
    effective, left = effective_gates(gates, episode)
    items, facts = gates.shape[1:]
    labels = record.labels
    batch = tuple(getattr(record, "batch", ()))
    batch = batch if len(batch) == items else tuple(range(items))
    return [
        Story(
            memory=name,
            item=item,
            episode=episode,
            declared=given in KINDS,
            gates=gates[:, item],
            effective=effective[:, item],
            left=left[:, item],
            told=told(labels, item, batch, facts),
        )
        for item in range(items)
    ]
