"""One field of two memories, cut to what both have and brought into the numbering of the first: how far they differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memviz.analysis.compare.align import Alignment, rename
from memviz.analysis.generators import Source
from memviz.analysis.laws.checking import tolerance_of
from memviz.fields import CATALOGUE, CAUSAL_ORDER

Array = NDArray[np.float64]

_ORDER = ("input", "target", *CAUSAL_ORDER[1:])
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


def difference_of(field: str, one: Array, other: Array, tolerance: float, alignment: Alignment) -> FieldDifference:
    """Measure the difference of a pair from `pair_of`; slots without a counterpart do not count."""
    axes = CATALOGUE[field].axes
    both = (one == other) | (np.isnan(one) & np.isnan(other))
    both |= _unmatched(one.shape, axes, alignment)
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


def _unmatched(shape: tuple[int, ...], axes: tuple[str, ...], alignment: Alignment) -> NDArray[np.bool_]:
    """Cells of slots of a that have no counterpart in b."""
    missing, mask = alignment.slots < 0, np.zeros(shape, bool)
    for name in ("slot", "slot_to", "slot_from"):
        if name in axes:
            np.moveaxis(mask, (axes.index("batch"), axes.index(name)), (0, 1))[missing] = True
    return mask


def pair_of(
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


def rank(field: str) -> int:
    """Position in the order of computing; fields outside it come last."""
    return _ORDER.index(field) if field in _ORDER else len(_ORDER)
