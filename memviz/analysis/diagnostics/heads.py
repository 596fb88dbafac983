"""Heads that do the same thing."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from memviz.analysis.diagnostics.base import Array, Diagnostic, Measure, MemoryView
from memviz.analysis.diagnostics.stats import EMPTY, average, overlap, percent, places, worst_time


def _overlaps(weights: Array, counted: Array) -> tuple[Array, Array]:
    """Overlap of every pair of heads over time [time, batch, pair], and its mean [batch, pair] over what counts."""
    pairs = list(combinations(range(weights.shape[2]), 2))
    found = np.stack([overlap(weights[:, :, a], weights[:, :, b]) for a, b in pairs], axis=2)
    return found, average(found, np.repeat(counted[:, :, None], len(pairs), axis=2))


def collapsed_heads(view: MemoryView) -> Iterator[Measure]:
    """How far even the two most different heads look at the same slots."""
    for side in ("read", "write"):
        name = f"{side}_weights"
        if name not in view or view[name].shape[2] < 2:
            continue
        weights = view[name]
        # A read counts where something is asked; a write by how much every head writes.
        counted = view.asked.astype(np.float64) if side == "read" else weights.sum(axis=-1).min(axis=2)
        if not (counted > EMPTY).any():
            continue
        by_time, mean = _overlaps(weights, counted)
        values = mean.min(axis=1)
        times = worst_time(by_time.min(axis=2) * (counted > 0))

        def say(item: int, side: str = side, count: int = weights.shape[2], values: Array = values) -> str:
            which = "Both" if count == 2 else f"All {count}"
            return f"{which} {side} heads use the same slots: their weights overlap by {percent(values[item])}."

        yield Measure(values, places(name, times, heads=[1] * view.items), say, name)


COLLAPSED_HEADS = Diagnostic(
    name="collapsed_heads",
    title="All heads of a kind use the same slots",
    formula="min over pairs h, h' of the mean over time of Σ_i min(p_h(i), p_h'(i)), p = w / Σw; for reads over the "
    "times asked, for writes weighted by the smaller mass",
    needs=("read_weights",),
    measure=collapsed_heads,
    levels={"note": 0.9},
    source="Overlap coefficient of two distributions; head redundancy as in Michel et al. 2019 for attention",
    suggestion="Common in healthy runs of tasks that one head can do. Train with one head fewer: if nothing is lost, "
    "the head was redundant.",
    asks=True,
    order=84,
    family=4,
)


INTERFACE = ("read_keys", "read_strengths", "read_modes", "free_gates")


def identical_heads(view: MemoryView) -> Iterator[Measure]:
    """How nearly the two most different read heads are told the same by the controller, at all times."""
    fields = [view[name] for name in INTERFACE if name in view]
    count = fields[0].shape[2]
    if count < 2:
        return
    alike = np.ones(view.items)
    for a, b in combinations(range(count), 2):
        apart = np.zeros(view.items)
        for values in fields:
            wide = values if values.ndim == 4 else values[..., None]
            gaps = np.linalg.norm(wide[:, :, a] - wide[:, :, b], axis=(0, 2))
            scale = np.linalg.norm(wide[:, :, a], axis=(0, 2)) + np.linalg.norm(wide[:, :, b], axis=(0, 2))
            apart = np.maximum(apart, gaps / np.maximum(scale, EMPTY))
        alike = np.minimum(alike, 1 - apart)

    def say(item: int) -> str:
        return (
            f"All {count} read heads are one: what the controller tells them differs by {1 - alike[item]:.1g} at most, "
            "so their gradients are the same and they will never part."
        )

    yield Measure(alike, places("read_keys", [0] * view.items, heads=[1] * view.items), say)


IDENTICAL_HEADS = Diagnostic(
    name="identical_heads",
    title="Read heads are copies of each other",
    formula="min over pairs of heads of 1 - max over keys, strengths, modes and free gates x of |x_h - x_h'| / "
    "(|x_h| + |x_h'|), norms over all times",
    needs=("read_keys", "read_weights"),
    measure=identical_heads,
    levels={"warning": 0.999},
    source="Heads with equal parameters get equal gradients (symmetry)",
    suggestion="Initialize the heads differently, and check that they do not share a slice of the interface vector.",
    order=44,
    family=4,
)
