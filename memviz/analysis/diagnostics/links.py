"""Temporal links: whether a walk along them stays in one place, and whether precedence knows the last write."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from memviz.analysis.diagnostics.base import Array, Diagnostic, Measure, MemoryView
from memviz.analysis.diagnostics.stats import EMPTY, average, effective, percent, places, worst_time

HOPS = 8
"""Hops along the links after which a walk is judged; fewer where fewer writes were made."""

USED = 0.1
"""Mean share of the link modes from which on links matter to the reads."""


def _link_use(view: MemoryView) -> Array:
    """[batch]: mean share of backward and forward modes at the times asked; 1 where modes are not recorded."""
    if "read_modes" not in view:
        return np.ones(view.items)
    modes = view["read_modes"]
    return average((modes[..., 0] + modes[..., 2]).max(axis=2), view.asked.astype(np.float64))


def blurred(view: MemoryView) -> Iterator[Measure]:
    """Effective slots, as a share of all, of a walk along the links from the first slot written."""
    weights = view["write_weights"]
    slots, heads = weights.shape[-1], weights.shape[2]
    use = _link_use(view)
    values = np.full(view.items, np.nan)
    starts, times, worst = [0] * view.items, [0] * view.items, [0] * view.items
    hops, kept = [0] * view.items, [0.0] * view.items
    for item in range(view.items):
        if not use[item] >= USED:
            continue
        for head in range(heads):
            full = np.flatnonzero(weights[:, item, head].sum(axis=-1) > 0.5)
            if len(full) < 3:
                continue
            # When the answer begins, all that it needs has been linked.
            asked = np.flatnonzero(view.asked[:, item])
            time = int(asked[0]) if asked[0] > full[1] else view.times - 1
            steps = min(HOPS, int((full <= time).sum()) - 1)
            link = view.at("link_matrix", time)[item, head]
            start = int(weights[full[0], item, head].argmax())
            walk = np.zeros(slots)
            walk[start] = 1.0
            for _ in range(steps):
                walk = link @ walk
                walk = walk / max(walk.sum(), EMPTY)
            spread = float(effective(walk)) / slots
            if np.isnan(values[item]) or spread > values[item]:
                values[item], starts[item], times[item], worst[item], hops[item] = spread, start, time, head, steps
                kept[item] = float(_kept(link, start, slots, steps))

    def say(item: int) -> str:
        return (
            f"Links are blurred: {hops[item]} hops on from slot {starts[item]} at time {times[item]} a walk is spread "
            f"over {values[item] * slots:.1f} of {slots} slots and has {percent(kept[item])} of its weight left."
        )

    yield Measure(values, places("link_matrix", times, starts, worst), say)


def _kept(link: Array, start: int, slots: int, steps: int) -> float:
    """Weight left of a walk of so many steps without making it sum to 1 on the way."""
    walk = np.zeros(slots)
    walk[start] = 1.0
    for _ in range(steps):
        walk = link @ walk
    return float(walk.sum())


BLURRED_LINKS = Diagnostic(
    name="blurred_links",
    title="A walk along the links spreads out",
    formula="N_eff(L^k e_s) / N from the first slot s written, k = min(8, writes - 1), when the first answer is asked; "
    "only where backward and forward modes have a share of at least 0.1",
    needs=("link_matrix", "write_weights"),
    measure=blurred,
    levels={"warning": 0.3},
    source="Csordas & Schmidhuber 2019: soft writes blur links with every hop; (d / max d)^s sharpens them",
    suggestion="Sharpen the links, or the writes they come from: look at diffuse_writes first.",
    order=48,
    family=11,
)


def flat_precedence(view: MemoryView) -> Iterator[Measure]:
    """Effective slots of precedence as a share of all slots, right after full writes."""
    precedence, mass = view["precedence_weights"], view["write_weights"].sum(axis=-1)
    share = effective(precedence) / precedence.shape[-1]
    counted = np.where(mass > 0.5, mass, 0.0)
    values = np.where(counted.any(axis=(0, 2)), average(share, counted).max(axis=1, initial=-1.0), np.nan)
    values = np.where(_link_use(view) >= USED, values, np.nan)
    scores = np.where(counted > 0, share, -np.inf)
    times = worst_time(scores.max(axis=2))
    heads = [int(scores[t, i].argmax()) for i, t in enumerate(times)]

    def say(item: int) -> str:
        count = values[item] * precedence.shape[-1]
        return (
            f"Precedence is flat: after a write it names {count:.1f} slots as the last one written, so the next "
            "link starts from all of them."
        )

    yield Measure(values, places("precedence_weights", times, heads=heads), say)


FLAT_PRECEDENCE = Diagnostic(
    name="flat_precedence",
    title="Precedence does not know the last write",
    formula="mean over times with Σw > 0.5 of N_eff(p_t) / N; only where link modes have a share of at least 0.1",
    needs=("precedence_weights", "write_weights"),
    measure=flat_precedence,
    levels={"warning": 0.35},
    source="Graves et al. 2016, Methods: p_t = (1 - Σ w) p_{t-1} + w",
    suggestion="Writes are too soft, or several per item: look at diffuse_writes and at write_gate.",
    order=49,
    family=17,
)
