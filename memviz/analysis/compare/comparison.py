"""The difference of two records, steps or runs: slots aligned, every common field subtracted, and said in words.

found = memviz.compare(memviz.open("runs/a"), memviz.open("runs/b"))
print(found.text())
found.memories[0].difference("read_weights")      # b - a, in the numbering of a
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memviz.analysis.compare.align import Alignment, Method, align
from memviz.analysis.compare.fields import FieldDifference, difference_of, pair_of, rank
from memviz.analysis.compare.words import behaviour_changes, run_changes
from memviz.analysis.generators import Source
from memviz.errors import FieldError, RecordError
from memviz.fields import CATALOGUE, MODEL
from memviz.trace.reader import Trace

Array = NDArray[np.float64]


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
        pair = pair_of(*self._records, self.a, self.b, field, self.alignment)
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
        known = [(found.first, rank(found.field), found.field) for found in self.fields]
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
        pair = pair_of(a, b, name_a, name_b, field, alignment)
        if pair is None:
            left_out.append(field)
        elif pair[0].size:
            found.append(difference_of(field, *pair, alignment))
    found.sort(key=lambda entry: (-entry.largest / entry.tolerance, rank(entry.field)))
    changes = behaviour_changes(a, b, name_a, name_b, alignment) if name_a != MODEL else ()
    return MemoryComparison(name_a, name_b, alignment, tuple(found), tuple(left_out), tuple(changes), (a, b))


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


def _list(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names)) or "none"
