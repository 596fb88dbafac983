"""Reads by attention over positions, by NTM shifts, and by lists of slots."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from memviz.analysis.diagnostics.base import Array, Diagnostic, Measure, MemoryView
from memviz.analysis.diagnostics.finding import Place
from memviz.analysis.diagnostics.stats import effective, middle, percent, places


def diffuse(view: MemoryView) -> Iterator[Measure]:
    """Effective keys of the sharpest head, as a share of the keys that a query may see; median over queries."""
    weights = view["attention"]
    allowed = np.maximum((weights > 0).sum(axis=-1), 1)
    share = np.where(allowed >= 4, effective(weights) / allowed, np.nan)
    per_head = np.stack([_over_queries(share[:, :, head]) for head in range(share.shape[2])], axis=1)
    values = np.where(np.isnan(per_head), np.inf, per_head).min(axis=1)
    values = np.where(np.isinf(values), np.nan, values)
    heads = [int(np.where(np.isnan(row), np.inf, row).argmin()) for row in per_head]

    def say(item: int) -> str:
        share = percent(values[item])
        return f"Attention is diffuse: even head {heads[item]} spreads over {share} of the keys it may see."

    yield Measure(values, [Place("attention", 0, None, head) for head in heads], say)


def _over_queries(share: Array) -> Array:
    """Median over times and queries of [time, batch, query], for each item."""
    flat = np.moveaxis(share, 2, 1).reshape(-1, share.shape[1])
    return middle(flat, np.ones(flat.shape, dtype=bool))


DIFFUSE_ATTENTION = Diagnostic(
    name="diffuse_attention",
    title="Attention spreads over all keys",
    formula="min over heads of the median over queries of N_eff / keys allowed (from 4)",
    needs=("attention",),
    measure=diffuse,
    levels={"warning": 0.8},
    source="Zhai et al. 2023, Stabilizing Transformer Training by Preventing Attention Entropy Collapse",
    suggestion="Look at the norms of queries and keys: logits near 0 give every key the same weight.",
    order=60,
    family=20,
)


def sink(view: MemoryView) -> Iterator[Measure]:
    """Share of the queries of all heads that put most of their weight on one and the same key."""
    weights = view["attention"]
    keys = weights.shape[-1]
    values = np.full(weights.shape[1], np.nan)
    times, slots = [0] * len(values), [0] * len(values)
    if keys >= 4:
        for item in range(len(values)):
            # Early queries may see few keys, so hitting the first one means nothing.
            allowed = (weights[:, item] > 0).sum(axis=-1) >= 4
            hit = (weights[:, item] > 0.5) & allowed[..., None]
            if not allowed.any():
                continue
            counts = hit.sum(axis=(0, 1, 2))
            slots[item] = int(counts.argmax())
            times[item] = int(hit[..., slots[item]].sum(axis=(1, 2)).argmax())
            values[item] = counts.max() / allowed.sum()

    def say(item: int) -> str:
        return f"{percent(values[item])} of all queries put more than half of their weight on key {slots[item]}."

    yield Measure(values, places("attention", times, slots), say)


ATTENTION_SINK = Diagnostic(
    name="attention_sink",
    title="Nearly all queries look at one key",
    formula="max over keys of the share of queries, over all heads, with a weight above 0.5 on that key",
    needs=("attention",),
    measure=sink,
    levels={"note": 0.5, "warning": 0.95},
    source="Xiao et al. 2024, Efficient Streaming Language Models with Attention Sinks; Zhai et al. 2023",
    suggestion="A first token as a sink is common and harmless; any other key, or all heads at once, is a collapse: "
    "look at the growth of logits.",
    order=61,
    family=20,
)


def shifts(view: MemoryView) -> Iterator[Measure]:
    """Effective number of shifts, as a share of those allowed; the median over time of the sharpest head."""
    weights = view["shift_weights"]
    allowed = weights.shape[-1]
    share = (effective(weights) - 1) / max(allowed - 1, 1)
    middle = np.median(share, axis=0)
    values = middle.min(axis=1)
    heads = [int(head) for head in middle.argmin(axis=1)]
    times = [int(share[:, item, head].argmax()) for item, head in enumerate(heads)]

    def say(item: int) -> str:
        mixed = 1 + values[item] * (allowed - 1)
        return (
            f"Shifts are blurred: head {heads[item]} mixes {mixed:.1f} of {allowed} shifts at a typical time, so its "
            "address widens with every step."
        )

    yield Measure(values, places("shift_weights", times, heads=heads), say)


BLURRED_SHIFTS = Diagnostic(
    name="blurred_shifts",
    title="NTM shifts are no shifts",
    formula="min over heads of the median over time of (N_eff(s) - 1) / (shifts - 1)",
    needs=("shift_weights",),
    measure=shifts,
    levels={"warning": 0.6},
    source="Graves et al. 2014, equations 8 and 9: the convolution widens the weighting, γ sharpens it again",
    suggestion="Compare with sharpening: γ near 1 does not undo the blur.",
    order=47,
    family=20,
)


def duplicates(view: MemoryView) -> Iterator[Measure]:
    """Share of the positions of a sparse access that name a slot which the same access names already."""
    for name in sorted(view.stored):
        axes = view.spec(name).axes
        if not name.endswith("_indices") or axes[:2] != ("time", "batch") or len(axes) < 3:
            continue
        positions = np.sort(view[name], axis=-1)
        again = (positions[..., 1:] == positions[..., :-1]) & (positions[..., 1:] >= 0)
        flat = again.reshape(*again.shape[:2], -1)
        values = flat.mean(axis=-1).max(axis=0) if flat.shape[-1] else np.zeros(view.items)
        times = [int(t) for t in flat.any(axis=-1).argmax(axis=0)]
        slots = []
        for item, time in enumerate(times):
            hits = positions[time, item][..., 1:][again[time, item]]
            slots.append(int(hits[0]) if hits.size else 0)

        def say(item: int, name: str = name, slots: list[int] = slots, times: list[int] = times) -> str:
            return (
                f"{name} name slot {slots[item]} twice in one access, first at time {times[item]}: a scatter to it "
                "has no defined order."
            )

        yield Measure(values, places(name, times, slots), say, name)


DUPLICATE_POSITIONS = Diagnostic(
    name="duplicate_positions",
    title="A sparse access names a slot twice",
    formula="max over time of the share of positions in fields named *_indices that repeat one of the same access",
    needs=(),
    measure=duplicates,
    levels={"error": 1e-9},
    source="torch.Tensor.scatter_: with duplicate indices the result is arbitrary; Rae et al. 2016 (SAM)",
    suggestion="Merge equal positions before the write, or use scatter_add.",
    order=18,
    lasting=True,
    family=21,
)
