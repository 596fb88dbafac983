"""The difference of two records, steps or runs: slots aligned, every common field subtracted, and said in words.

found = memviz.compare(memviz.open("runs/a"), memviz.open("runs/b"))
print(found.text())
found.memories[0].difference("read_weights")      # b - a, in the numbering of a
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memviz.analysis.compare_align import Alignment, Method, align, rename
from memviz.analysis.compare_words import behaviour_changes, run_changes
from memviz.analysis.generators import Source
from memviz.analysis.laws import tolerance_of
from memviz.errors import FieldError, RecordError
from memviz.fields import CATALOGUE, MODEL
from memviz.trace.reader import Trace

Array = NDArray[np.float64]

CAUSAL_ORDER = (
    "input",
    "target",
    "read_keys",
    "read_strengths",
    "write_keys",
    "write_strengths",
    "erase_vectors",
    "write_vectors",
    "free_gates",
    "allocation_gate",
    "write_gate",
    "read_modes",
    "usage",
    "allocation_weights",
    "write_content_weights",
    "write_weights",
    "memory",
    "link_matrix",
    "precedence_weights",
    "forward_weights",
    "backward_weights",
    "read_content_weights",
    "read_weights",
    "read_vectors",
    "output",
)
"""Fields of one time in the order in which a DNC computes them: the first that differs is where to look."""


@dataclass(frozen=True)
class FieldDifference:
    """How one field differs between a and b, after alignment.

    Attributes:
        field: bare name.
        largest: largest |b - a|; infinite where one of both is finite and the other is not.
        mean: mean |b - a| over finite values.
        tolerance: up to where a difference is rounding.
        place: where it is largest, axis name to index, in the numbering of a.
        per_time: [time], the largest |b - a| at each time.
    """

    field: str
    largest: float
    mean: float
    tolerance: float
    place: Mapping[str, int]
    per_time: Array

    @property
    def same(self) -> bool:
        """Whether all differences are rounding."""
        return self.largest <= self.tolerance

    @property
    def first(self) -> int | None:
        """The first time at which the field differs by more than rounding."""
        over = np.flatnonzero(self.per_time > self.tolerance)
        return int(over[0]) if len(over) else None


@dataclass(frozen=True)
class MemoryComparison:
    """One memory of a and its counterpart in b.

    Attributes:
        a, b: names of the memory in both.
        alignment: how slots and read heads of b were renamed.
        fields: one entry per field that both have and at least one of both recorded, the largest difference first.
        left_out: fields that both have, in shapes that cannot be compared.
        changes: what the memory does differently, in words.
    """

    a: str
    b: str
    alignment: Alignment
    fields: tuple[FieldDifference, ...]
    left_out: tuple[str, ...]
    changes: tuple[str, ...]
    _records: tuple[Source, Source]

    @property
    def same(self) -> bool:
        """Whether nothing differs by more than rounding."""
        return all(found.same for found in self.fields)

    def aligned(self, field: str) -> tuple[Array, Array]:
        """Both values of a field by bare name, cut to what both have, b in the numbering of a.

        Raises:
            FieldError: one of both has no such field, or the shapes cannot be compared.
        """
        pair = _pair(*self._records, self.a, self.b, field, self.alignment)
        if pair is None:
            raise FieldError(f"{field} cannot be compared between {self.a!r} and {self.b!r}")
        return pair[0], pair[1]

    def difference(self, field: str) -> Array:
        """Values of b minus values of a, in the numbering of a; NaN where b has no counterpart.

        Raises:
            FieldError: as in `aligned`.
        """
        one, other = self.aligned(field)
        return np.asarray(other - one)

    def first(self) -> tuple[int, str] | None:
        """The first time at which anything differs, and the first field that does in the order of computing."""
        known = [(found.first, _rank(found.field), found.field) for found in self.fields]
        differing = [(time, rank, field) for time, rank, field in known if time is not None]
        if not differing:
            return None
        time, _, field = min(differing)
        return time, field

    def text(self) -> str:
        """The comparison of this memory in a few lines."""
        name = self.a if self.a == self.b else f"{self.a} / {self.b}"
        if not self.fields:
            return f"{name}: the two have no field in common."
        if self.same:
            worst = self.fields[0]
            return (
                f"{name}: all {len(self.fields)} fields agree within rounding; the largest difference is "
                f"{worst.largest:.2g} in {worst.field}."
            )
        lines = [f"{name}: {sum(not found.same for found in self.fields)} of {len(self.fields)} fields differ."]
        if self.alignment.slots.size:
            lines.append(f"  {self.alignment.text()}")
        first = self.first()
        if first is not None:
            lines.append(f"  the first difference is at time {first[0]}, in {first[1]}")
        lines += [f"  {change}" for change in self.changes]
        for found in self.fields[:5]:
            if not found.same:
                place = ", ".join(f"{axis} {index}" for axis, index in found.place.items())
                lines.append(f"  {found.field}: {found.largest:.3g} at most ({place}), {found.mean:.3g} on average")
        return "\n".join(lines)


@dataclass(frozen=True)
class Comparison:
    """Two records compared.

    Attributes:
        titles: what a and b are called.
        memories: one entry per pair of memories; the model's own input and output come last.
        notes: what else differs: scalars and model of two runs, memories without a counterpart.
    """

    titles: tuple[str, str]
    memories: tuple[MemoryComparison, ...]
    notes: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether nothing differs by more than rounding."""
        return all(memory.same for memory in self.memories)

    def text(self) -> str:
        """The whole comparison in words."""
        return "\n".join(
            [f"a: {self.titles[0]}", f"b: {self.titles[1]}", *self.notes, *(m.text() for m in self.memories)]
        )

    def to_json(self) -> dict[str, object]:
        """What `memviz diff --json` prints."""
        return {
            "a": self.titles[0],
            "b": self.titles[1],
            "same": self.same,
            "notes": list(self.notes),
            "memories": [
                {
                    "a": memory.a,
                    "b": memory.b,
                    "alignment": {
                        "method": memory.alignment.method,
                        "slots": memory.alignment.slots.tolist(),
                        "read_heads": memory.alignment.read_heads.tolist(),
                    },
                    "changes": list(memory.changes),
                    "fields": [
                        {
                            "field": found.field,
                            "largest": found.largest if np.isfinite(found.largest) else None,
                            "mean": found.mean,
                            "same": found.same,
                            "first": found.first,
                            "place": dict(found.place),
                        }
                        for found in memory.fields
                    ],
                }
                for memory in self.memories
            ],
        }


def compare(
    a: Source | Trace,
    b: Source | Trace,
    *,
    memory: str | None = None,
    align_by: Method | None = None,
    titles: tuple[str, str] | None = None,
) -> Comparison:
    """Compare two records, or the last records of two runs.

    Times, batch items, heads and words beyond what both have are left out. The words of two models that were trained
    apart have nothing to do with each other: compare their weightings, not their contents.

    Args:
        a: a record, or a trace, of which the last record is taken.
        b: another.
        memory: only this memory; by default all that both have by name, or the only one of each.
        align_by: "writes", "content" or "none"; see `compare_align.align`.
        titles: what a and b are called in the text; by default their run and step.

    Raises:
        RecordError: a trace has no record.
        FieldError: there is no such memory, or nothing to align by.
    """
    notes = list(run_changes(a, b)) if isinstance(a, Trace) and isinstance(b, Trace) else []
    one, other = _record(a), _record(b)
    memories = []
    for name_a, name_b in _counterparts(one, other, memory, notes):
        memories.append(_compare_memory(one, other, name_a, name_b, align_by))
    return Comparison(titles or (_title(a, one), _title(b, other)), tuple(memories), tuple(notes))


def _compare_memory(a: Source, b: Source, name_a: str, name_b: str, method: Method | None) -> MemoryComparison:
    # The model's own input and output have no slots to align.
    alignment = align(a, b, name_a, name_b, "none" if name_a == MODEL else method)
    found, left_out = [], []
    for field in _common_fields(a, b, name_a, name_b):
        pair = _pair(a, b, name_a, name_b, field, alignment)
        if pair is None:
            left_out.append(field)
        elif pair[0].size:
            found.append(_difference(field, *pair))
    found.sort(key=lambda entry: (-entry.largest / entry.tolerance, _rank(entry.field)))
    changes = behaviour_changes(a, b, name_a, name_b, alignment) if name_a != MODEL else ()
    return MemoryComparison(name_a, name_b, alignment, tuple(found), tuple(left_out), tuple(changes), (a, b))


def _difference(field: str, one: Array, other: Array, tolerance: float) -> FieldDifference:
    axes = CATALOGUE[field].axes
    both = (one == other) | (np.isnan(one) & np.isnan(other))
    if "slot" in axes or "slot_to" in axes:
        both |= np.isnan(other) & ~np.isnan(one) & _unmatched(other, axes)
    with np.errstate(invalid="ignore"):
        gaps = np.where(both, 0.0, np.abs(other - one))
    gaps = np.where(np.isnan(gaps), np.inf, gaps)
    finite = gaps[np.isfinite(gaps)]
    known = np.abs(one[np.isfinite(one)])
    at = np.unravel_index(int(gaps.argmax()), gaps.shape)
    return FieldDifference(
        field,
        float(gaps.max()),
        float(finite.mean()) if finite.size else float("inf"),
        tolerance * max(1.0, float(known.max(initial=0.0))),
        {axis: int(index) for axis, index in zip(axes, at, strict=True)},
        gaps.reshape(len(gaps), -1).max(axis=1),
    )


def _unmatched(other: Array, axes: tuple[str, ...]) -> NDArray[np.bool_]:
    """Cells of slots without a counterpart: NaN at all times, which `rename` put there."""
    return np.broadcast_to(np.isnan(other).all(axis=0, keepdims=True), other.shape)


def _pair(
    a: Source, b: Source, name_a: str, name_b: str, field: str, alignment: Alignment
) -> tuple[Array, Array, float] | None:
    """Both values of a field, cut to common lengths, b renamed; with the tolerance. None where shapes do not fit."""
    full_a, full_b = f"{name_a}/{field}", f"{name_b}/{field}"
    if full_a not in a.fields or full_b not in b.fields:
        return None
    axes = CATALOGUE[field].axes
    raw = np.asarray(a.read(full_a)), np.asarray(b.read(full_b))
    if any(values.ndim != len(axes) for values in raw):
        return None
    one, other = (values.astype(np.float64) for values in raw)
    slots = ("slot", "slot_to", "slot_from")
    for axis, name in enumerate(axes):
        if name not in slots and name != "read_head":
            common = min(one.shape[axis], other.shape[axis])
            one, other = (np.take(values, np.arange(common), axis=axis) for values in (one, other))
    if "read_head" in axes:
        one = np.take(one, np.arange(len(alignment.read_heads)), axis=axes.index("read_head"))
    if alignment.slots.size or not set(axes) & set(slots):
        other = rename(other, axes, alignment)
    if one.shape != other.shape:
        return None
    return one, other, max(tolerance_of(values) for values in raw)


def _common_fields(a: Source, b: Source, name_a: str, name_b: str) -> list[str]:
    """Fields of the catalogue that both have and at least one recorded; what both derive follows from the rest."""
    have_a, have_b = set(a.fields), set(b.fields)
    stored_a, stored_b = set(a.stored), set(b.stored)
    return [
        field
        for field in CATALOGUE
        if (full_a := f"{name_a}/{field}") in have_a
        and (full_b := f"{name_b}/{field}") in have_b
        and (full_a in stored_a or full_b in stored_b)
        # Which of several slots in equal use was taken is a guess where it was derived.
        and (field != "allocation_weights" or (full_a in stored_a and full_b in stored_b))
    ]


def _counterparts(a: Source, b: Source, memory: str | None, notes: list[str]) -> list[tuple[str, str]]:
    in_a, in_b = ([name for name in record.memories if name != MODEL] for record in (a, b))
    if memory is not None:
        for record, names in ((a, in_a), (b, in_b)):
            if memory not in names and len(names) != 1:
                raise FieldError(f"there is no memory {memory!r}; there are {_list(record.memories)}.")
        return [(memory if memory in in_a else in_a[0], memory if memory in in_b else in_b[0])]
    if len(in_a) == len(in_b) == 1:
        pairs = [(in_a[0], in_b[0])]
    else:
        pairs = [(name, name) for name in in_a if name in in_b]
        alone = [f"{name} (a)" for name in in_a if name not in in_b] + [
            f"{name} (b)" for name in in_b if name not in in_a
        ]
        if alone:
            notes.append(f"without a counterpart: {', '.join(alone)}")
    if MODEL in a.memories and MODEL in b.memories:
        pairs.append((MODEL, MODEL))
    if not pairs:
        raise FieldError(f"the two have no memory in common: {_list(in_a)} and {_list(in_b)}.")
    return pairs


def _record(given: Source | Trace) -> Source:
    if not isinstance(given, Trace):
        return given
    if not len(given):
        raise RecordError(f"there is no record to compare in {given.path}")
    last: Source = given[-1]
    return last


def _title(given: Source | Trace, record: Source) -> str:
    step = f"step {getattr(record, 'step', 'unknown')}"
    return f"{given.name}, {step}" if isinstance(given, Trace) else step


def _rank(field: str) -> int:
    return CAUSAL_ORDER.index(field) if field in CAUSAL_ORDER else len(CAUSAL_ORDER)


def _list(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names)) or "none"
