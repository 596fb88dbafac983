"""Numbers that several diagnostics take of weightings and of arrays over time and batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from memviz.analysis.diagnostics.finding import Place

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

EMPTY = 1e-12


def effective(weights: Array) -> Array:
    """Effective number of places of a weighting: N_eff = exp H(p), p = w / Σ w, over the last axis.

    1 for all weight in one place, N for equal weight in all N; NaN for a weighting that sums to 0.
    """
    total = weights.sum(axis=-1, keepdims=True)
    p = np.divide(weights, total, out=np.full_like(weights, np.nan), where=total > EMPTY)
    logs = np.log(p, out=np.zeros_like(p), where=p > 0)
    entropy = -(p * logs).sum(axis=-1)
    return np.asarray(np.exp(entropy))


def overlap(a: Array, b: Array) -> Array:
    """Σ_i min(p_i, q_i) of two weightings over the last axis, each first made to sum to 1: 1 where they are equal."""
    p = a / np.maximum(a.sum(axis=-1, keepdims=True), EMPTY)
    q = b / np.maximum(b.sum(axis=-1, keepdims=True), EMPTY)
    return np.asarray(np.minimum(p, q).sum(axis=-1))


def middle(values: Array, mask: Mask) -> Array:
    """Median over time of values [time, batch] where `mask` [time, batch]; NaN for an item without such a time."""
    found = np.full(values.shape[1], np.nan)
    for item in range(values.shape[1]):
        chosen = values[mask[:, item], item]
        chosen = chosen[~np.isnan(chosen)]
        if chosen.size:
            found[item] = np.median(chosen)
    return found


def average(values: Array, weights: Array) -> Array:
    """Mean over the first axis weighted by `weights` of the same shape; NaN where all weights are 0."""
    known = ~np.isnan(values)
    weights = np.where(known, weights, 0.0)
    total = weights.sum(axis=0)
    summed = (np.where(known, values, 0.0) * weights).sum(axis=0)
    return np.asarray(np.divide(summed, total, out=np.full_like(total, np.nan), where=total > EMPTY))


def worst_time(values: Array, mask: Mask | None = None) -> list[int]:
    """For each item the time of its largest value of values [time, batch], where `mask`; 0 when there is none."""
    ranked = np.where(np.isnan(values) | (False if mask is None else ~mask), -np.inf, values)
    return [int(time) for time in ranked.argmax(axis=0)]


def places(field: str, times: Sequence[int], slots: Sequence[int] = (), heads: Sequence[int] = ()) -> list[Place]:
    """One place per item from its time, slot and head, as far as given."""
    return [
        Place(field, time, slots[item] if len(slots) else None, heads[item] if len(heads) else None)
        for item, time in enumerate(times)
    ]


def percent(value: float) -> str:
    """`37 %`, with one digit more below 10 %."""
    return f"{100 * value:.0f} %" if abs(value) >= 0.0995 or value == 0 else f"{100 * value:.1f} %"
