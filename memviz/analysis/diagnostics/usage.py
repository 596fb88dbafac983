"""Whether there is room: usage near 1 everywhere, allocation that finds nothing free."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from memviz.analysis.diagnostics.base import Diagnostic, Measure, MemoryView
from memviz.analysis.diagnostics.stats import percent, places, worst_time


def saturated(view: MemoryView) -> Iterator[Measure]:
    """Largest mean usage over the slots."""
    usage = view["usage"]
    mean = usage.mean(axis=-1)
    times = [int(np.argmax(mean[:, i] >= max(SATURATED, mean[:, i].max() - 1e-3))) for i in range(view.items)]
    values = mean.max(axis=0)
    slots = [int(usage[time, item].argmin()) for item, time in enumerate(times)]

    def say(item: int) -> str:
        lead = f"The memory is full from time {times[item]} on: mean usage reaches {values[item]:.3f}"
        freed = ""
        if "free_gates" in view:
            freed = f", and free gates never exceed {view['free_gates'][:, item].max():.2g}"
        return f"{lead}{freed}."

    yield Measure(values, places("usage", times, slots), say)


SATURATED = 0.95

SATURATED_USAGE = Diagnostic(
    name="saturated_usage",
    title="All slots are in use",
    formula="max over time of the mean over slots of u(i)",
    needs=("usage",),
    measure=saturated,
    levels={"warning": SATURATED, "error": 0.99},
    source="Graves et al. 2016, Methods: u_t = (u + w - u ∘ w) ∘ ψ",
    suggestion="Look at free_gates and at the reads they act on: only what is read while its gate is open is released. "
    "Otherwise give it more slots.",
    order=15,
    family=6,
)


def starved(view: MemoryView) -> Iterator[Measure]:
    """What allocation cannot find at the times that want to allocate."""
    free = view["allocation_weights"].sum(axis=-1)
    wanted = view["write_gate"] * view["allocation_gate"] > 0.5
    lacking = np.where(wanted, 1 - free, np.nan)
    worst = np.where(np.isnan(lacking), -np.inf, lacking).max(axis=(0, 2))
    values = np.where(np.isinf(worst), np.nan, worst)
    by_time = np.where(np.isnan(lacking), -np.inf, lacking).max(axis=2)
    times = worst_time(by_time)
    first = [
        int(np.argmax(by_time[:, i] >= min(0.5, values[i]))) if values[i] == values[i] else 0
        for i in range(len(values))
    ]
    heads = [int(lacking[t, i].argmax()) for i, t in enumerate(times)]

    def say(item: int) -> str:
        return (
            f"Allocation starves: at time {first[item]} the write wants a free slot and allocation finds "
            f"{percent(max(0.0, 1 - by_time[first[item], item]))} of one."
        )

    yield Measure(values, places("allocation_weights", first, heads=heads), say)


STARVED_ALLOCATION = Diagnostic(
    name="starved_allocation",
    title="Allocation finds no free slot",
    formula="max over times with g_w g_a > 0.5 of 1 - Σ_i a(i), where Σ a = 1 - Π u",
    needs=("allocation_weights", "write_gate", "allocation_gate"),
    measure=starved,
    levels={"warning": 0.5, "error": 0.9},
    source="Graves et al. 2016, Methods: a[φ_j] = (1 - u[φ_j]) Π_{i<j} u[φ_i]",
    suggestion="A write by allocation then writes nothing at all. Free slots earlier, or give it more of them.",
    order=16,
    family=6,
)
