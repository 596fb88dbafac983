"""Whether anything is written, by which way, and what it costs what was there."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from memviz.analysis.diagnostics.base import Diagnostic, Measure, MemoryView
from memviz.analysis.diagnostics.stats import EMPTY, average, percent, places, worst_time


def closed_gate(view: MemoryView) -> Iterator[Measure]:
    """What is missing from a full write at the time that writes most."""
    mass = view["write_weights"].sum(axis=-1)
    most = mass.max(axis=2)
    values = 1 - most.max(axis=0)
    times = worst_time(most)
    heads = [int(mass[time, item].argmax()) for item, time in enumerate(times)]
    gated = "write_gate" in view

    def say(item: int) -> str:
        gate = f" The write gate never exceeds {view['write_gate'][:, item].max():.2g}." if gated else ""
        return (
            f"Nothing is written: the largest write of the sequence has {percent(1 - values[item])} of full weight, at "
            f"time {times[item]}.{gate}"
        )

    field = "write_gate" if gated else "write_weights"
    yield Measure(values, places(field, times, heads=heads), say)


CLOSED_WRITE_GATE = Diagnostic(
    name="closed_write_gate",
    title="The write gate never opens",
    formula="1 - max over time and heads of Σ_i w_w(i)",
    needs=("write_weights",),
    measure=closed_gate,
    levels={"warning": 0.7, "error": 0.9},
    source="Graves et al. 2016, Methods: w_w = g_w (g_a a + (1 - g_a) c)",
    suggestion="The controller bypasses the memory. Try a task that it cannot solve without, or start the bias of the "
    "write gate higher.",
    order=10,
    family=7,
)


def never_allocates(view: MemoryView) -> Iterator[Measure]:
    """Share of what is written that goes by content rather than to free slots."""
    gate, share, mass = view["write_gate"], view["allocation_gate"], view["write_weights"].sum(axis=-1)
    free = view["allocation_weights"].sum(axis=-1)
    allocated = (gate * share * free).sum(axis=(0, 2))
    written = mass.sum(axis=(0, 2))
    values = np.where(written > EMPTY, 1 - allocated / np.maximum(written, EMPTY), np.nan)
    values = np.where(mass.max(axis=(0, 2)) < 0.1, np.nan, values)
    times = worst_time((mass * (1 - share)).max(axis=2))

    def say(item: int) -> str:
        return (
            f"Writes go by content: only {percent(max(0.0, 1 - values[item]))} of what is written goes to free slots."
        )

    yield Measure(values, places("allocation_gate", times, heads=[0] * view.items), say)


NEVER_ALLOCATES = Diagnostic(
    name="never_allocates",
    title="Writes hardly ever go to free slots",
    formula="1 - Σ_t g_w g_a Σ_i a(i) / Σ_t Σ_i w_w(i)",
    needs=("write_gate", "allocation_gate", "allocation_weights", "write_weights"),
    measure=never_allocates,
    levels={"note": 0.95},
    source="Graves et al. 2016, Methods (dynamic memory allocation)",
    suggestion="Fine for tasks that update what is stored. If new items should be kept, look at why the allocation "
    "gate stays shut.",
    order=71,
    family=7,
)


def interference(view: MemoryView) -> Iterator[Measure]:
    """How much of a full slot in use each write erases, over the whole sequence."""
    before, weights, erase, usage = view.memory_before, view["write_weights"], view["erase_vectors"], view["usage"]
    # How far the slot was in use when the write came.
    usage = np.clip(usage, 0.0, 1.0)
    erased = np.sqrt(np.einsum("tbnw,tbhw->tbhn", before**2, erase**2))
    lost = weights * usage[:, :, None] * erased
    mass = weights.sum(axis=-1)
    # Against the fullest row there is: landing on rows that are next to empty costs nothing.
    fullest = np.linalg.norm(before, axis=-1).max(axis=(0, 2))
    share = lost.sum(axis=-1) / np.maximum(mass * fullest[None, :, None], EMPTY)
    values = average(share.max(axis=2), mass.max(axis=2))
    values = np.where(mass.max(axis=(0, 2)) < 0.1, np.nan, values)
    times = worst_time((share * mass).max(axis=2))
    heads = [int((share * mass)[t, i].argmax()) for i, t in enumerate(times)]
    slots = [int(lost[t, i, h].argmax()) for i, (t, h) in enumerate(zip(times, heads, strict=True))]

    def say(item: int) -> str:
        return (
            f"Writes overwrite what is in use: a typical write erases {percent(values[item])} of a full slot, "
            f"most at time {times[item]} in slot {slots[item]}."
        )

    yield Measure(values, places("write_weights", times, slots, heads), say)


WRITE_INTERFERENCE = Diagnostic(
    name="write_interference",
    title="Writes destroy what is in use",
    formula="mean over time, weighted by Σw, of Σ_i w(i) u(i) |M_{t-1}(i) ∘ e| / (Σ_i w(i) max |M|)",
    needs=("write_weights", "erase_vectors", "usage", "memory"),
    measure=interference,
    levels={"warning": 0.2},
    source="Graves et al. 2014, equations 3 and 4: what is erased is w e of the old content",
    suggestion="See who destroyed what with the lineage of a late read. More slots, an open allocation gate or free "
    "gates that release earlier are the usual cures.",
    order=30,
    family=8,
)


def piled_up(view: MemoryView) -> Iterator[Measure]:
    """Largest norm of a slot against the largest vector written until then."""
    norms = np.linalg.norm(view["memory"], axis=-1)
    vectors = np.linalg.norm(view["write_vectors"], axis=-1).max(axis=2)
    start = np.linalg.norm(view.memory_before[0], axis=-1).max(axis=-1)
    reach = np.maximum(np.maximum.accumulate(vectors, axis=0), np.maximum(start, EMPTY)[None])
    ratio = norms / reach[:, :, None]
    values = ratio.max(axis=(0, 2))
    times = worst_time(ratio.max(axis=2))
    slots = [int(ratio[time, item].argmax()) for item, time in enumerate(times)]

    def say(item: int) -> str:
        return (
            f"Content piles up: slot {slots[item]} has {values[item]:.1f} times the norm of the largest vector ever "
            f"written, at time {times[item]}. Writes add up without erasing."
        )

    yield Measure(values, places("memory", times, slots), say)


PILED_UP_MEMORY = Diagnostic(
    name="piled_up_memory",
    title="Slots grow beyond what is written",
    formula="max over time and slots of |M_t(i)| / max over s <= t of |v_s|",
    needs=("memory", "write_vectors"),
    measure=piled_up,
    levels={"warning": 3.0, "error": 10.0},
    source="Follows from M = M ∘ (1 - w e) + w v: a norm above that of every v is a sum of writes",
    suggestion="Look at erase_vectors of the writes to this slot; near 0 they never clear.",
    order=20,
    family=16,
)
