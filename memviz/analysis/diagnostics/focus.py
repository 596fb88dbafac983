"""How sharp weightings are, and whether they carry any weight."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from memviz.analysis.diagnostics.base import Array, Diagnostic, Measure, MemoryView
from memviz.analysis.diagnostics.stats import average, effective, middle, percent, places, worst_time


def diffuse_reads(view: MemoryView) -> Iterator[Measure]:
    """Effective slots of the sharpest read head, as a share of all slots; the median of the times asked."""
    weights = view["read_weights"]
    slots = weights.shape[-1]
    found = effective(weights)
    sharpest = np.where(np.isnan(found), np.inf, found).min(axis=2)
    share = np.where(np.isinf(sharpest), np.nan, sharpest) / slots
    values = middle(share, view.asked)
    times = worst_time(share, view.asked)
    heads = [int(np.where(np.isnan(found[t, i]), np.inf, found[t, i]).argmin()) for i, t in enumerate(times)]

    def say(item: int) -> str:
        return (
            f"Reads are diffuse: even the sharpest head spreads over {values[item] * slots:.1f} of {slots} slots, so "
            "what it reads is a mixture."
        )

    yield Measure(values, places("read_weights", times, heads=heads), say)


DIFFUSE_READS = Diagnostic(
    name="diffuse_reads",
    title="Reads spread over many slots",
    formula="median over the times asked of min over heads of N_eff / N, with N_eff = exp H(w / Σw)",
    needs=("read_weights",),
    measure=diffuse_reads,
    levels={"warning": 0.4},
    source="Graves et al. 2016, Methods (read weighting); entropy as in attention studies, e.g. Zhai et al. 2023",
    suggestion="Look at read_strengths and read_modes: a strength near 1 cannot single out a slot, and a link mode is "
    "only as sharp as the links.",
    asks=True,
    order=60,
    family=2,
)


def diffuse_writes(view: MemoryView) -> Iterator[Measure]:
    """Effective slots of the sharpest write head as a share of all slots, over what it writes."""
    weights = view["write_weights"]
    slots, mass = weights.shape[-1], weights.sum(axis=-1)
    share = effective(weights) / slots
    per_head = average(share, mass)
    values = np.where(np.isnan(per_head), np.inf, per_head).min(axis=1)
    values = np.where(np.isinf(values), np.nan, values)
    values = np.where(mass.max(axis=(0, 2)) < _SOME_WRITE, np.nan, values)
    heads = [int(np.where(np.isnan(row), np.inf, row).argmin()) for row in per_head]
    scores = np.stack([(share * mass)[:, item, head] for item, head in enumerate(heads)], axis=1)

    def say(item: int) -> str:
        return (
            f"Writes are diffuse: they spread over {values[item] * slots:.1f} of {slots} slots, so each write touches "
            "what others left."
        )

    yield Measure(values, places("write_weights", worst_time(scores), heads=heads), say)


_SOME_WRITE = 0.1

DIFFUSE_WRITES = Diagnostic(
    name="diffuse_writes",
    title="Writes spread over many slots",
    formula="mean over time, weighted by Σw, of N_eff / N of the sharpest write head",
    needs=("write_weights",),
    measure=diffuse_writes,
    levels={"warning": 0.4},
    source="Graves et al. 2016, Methods (write weighting)",
    suggestion="Look at allocation_gate: in between 0 and 1 it mixes two addresses. For writes by content, look at "
    "write_strengths.",
    order=24,
    family=2,
)


def read_mass(view: MemoryView) -> Iterator[Measure]:
    """What is missing from the weight of the read head that keeps most, at the times asked."""
    mass = view["read_weights"].sum(axis=-1)
    best = mass.max(axis=2)
    leak = 1 - best
    values = middle(leak, view.asked)
    times = worst_time(leak, view.asked)
    heads = [int(mass[time, item].argmax()) for item, time in enumerate(times)]
    link = _link_share(view)

    def say(item: int) -> str:
        why = "" if link is None else f" Modes follow links for {percent(float(link[item]))} of it."
        return f"Reads fade: no head keeps more than {percent(1 - values[item])} of its weight at a typical time.{why}"

    yield Measure(values, places("read_weights", times, heads=heads), say)


def _link_share(view: MemoryView) -> Array | None:
    """[batch]: mean share of the backward and forward modes at the times asked; None when modes are not recorded."""
    if "read_modes" not in view:
        return None
    modes = view["read_modes"]
    share = (modes[..., 0] + modes[..., 2]).mean(axis=2)
    return average(share, view.asked.astype(np.float64))


READ_MASS_LEAK = Diagnostic(
    name="read_mass_leak",
    title="Read weights lose their mass",
    formula="1 - median over the times asked of max over heads of Σ_i w_r(i)",
    needs=("read_weights",),
    measure=read_mass,
    levels={"warning": 0.5},
    source="Graves et al. 2016, Methods: w_r = π_1 b + π_2 c + π_3 f, where b and f sum to less than 1 along thin "
    "links",
    suggestion="Look at the sums of the link matrix along the path the head takes; if they are thin, sharpen the "
    "writes or the links.",
    asks=True,
    order=57,
    family=3,
)
