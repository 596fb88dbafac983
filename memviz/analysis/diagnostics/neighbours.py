"""Sparse memories: whether an approximate search finds the slots that an exact one would."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from memviz.analysis.diagnostics.base import Array, Diagnostic, Measure, MemoryView
from memviz.analysis.diagnostics.stats import middle, percent, places, worst_time

TIE = 1e-5
"""Cosines that differ by less count as equal: which of two equal slots is read makes no difference."""


def _recall(view: MemoryView) -> Array | None:
    """[time, batch, read_head]: share of the K nearest slots that were read; None where it cannot be worked out."""
    if {"read_keys", "memory"} <= view.fields:
        return _compared(view)
    if "neighbour_recall" in view:
        return view["neighbour_recall"]
    return None


def _compared(view: MemoryView) -> Array:
    """The slots chosen against the K most like the key, by the cosine, one time after the other."""
    chosen, keys = view["read_content_indices"].astype(np.int64), view["read_keys"]
    delta = float(view.schema.attributes.get("cosine_delta", 0.0))
    before = view.schema.attributes.get("read_order") == "before_write"
    count = chosen.shape[-1]
    recall = np.full(chosen.shape[:3], np.nan)
    for time in range(len(chosen)):
        memory = view.memory_before[time] if before else view.at("memory", time)
        norms = np.linalg.norm(keys[time], axis=-1)[..., None] * np.linalg.norm(memory, axis=-1)[:, None] + delta
        dots = np.einsum("brw,bnw->brn", keys[time], memory)
        cosine = np.divide(dots, norms, out=np.zeros_like(dots), where=norms > 0)
        least = np.partition(cosine, -count, axis=-1)[..., -count] if count <= cosine.shape[-1] else cosine.min(axis=-1)
        named = (chosen[time] >= 0) & (chosen[time] < cosine.shape[-1])
        found = np.take_along_axis(cosine, np.where(named, chosen[time], 0), axis=-1)
        hits = named & (found >= least[..., None] - TIE)
        recall[time] = hits.mean(axis=-1)
    return recall


def missed(view: MemoryView) -> Iterator[Measure]:
    """Share of the K nearest slots that a read leaves out; the median over time of the worst head."""
    recall = _recall(view)
    if recall is None or not recall.size:
        return
    share = 1 - recall
    per_head = np.stack([middle(share[..., head], view.asked) for head in range(share.shape[-1])], axis=-1)
    known = np.where(np.isnan(per_head), -np.inf, per_head)
    heads = [int(head) for head in known.argmax(axis=1)]
    values = per_head[np.arange(len(heads)), heads]
    of_head = np.stack([share[:, item, head] for item, head in enumerate(heads)], axis=1)
    times = worst_time(of_head, view.asked)

    def say(item: int) -> str:
        return (
            f"Read head {heads[item]} misses {percent(values[item])} of the slots most like its key at a typical time, "
            f"and {percent(of_head[times[item], item])} at time {times[item]}: what it looks for may be in memory and "
            "yet is not read."
        )

    yield Measure(values, places("read_keys", times, heads=heads), say)


MISSED_NEIGHBOURS = Diagnostic(
    name="missed_neighbours",
    title="An approximate search misses the nearest slots",
    formula="max over heads of the median over time of 1 - |A ∩ E| / K, with A the slots looked up and E the K slots "
    "most like the key by the cosine; ties count as found. Where the memory is too large to derive, the model's own "
    "`neighbour_recall`",
    needs=("read_content_indices",),
    measure=missed,
    levels={"note": 0.15, "warning": 0.4},
    source="Rae et al. 2016, section 3.5 (SAM tolerates an approximate index); Johnson et al. 2017, Billion-scale "
    "similarity search with GPUs (recall of an inverted file against cells looked into)",
    suggestion="Raise index_checks, or set search='exact' for one run and compare the losses. If recall fell while "
    "training went on, the index is stale: build it anew.",
    order=19,
    asks=True,
    family=21,
)
