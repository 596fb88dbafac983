"""Whether the memory matters for what the model answers: its share of the output, and how far back gradients reach."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from memviz.analysis.diagnostics.base import Diagnostic, Measure, MemoryView
from memviz.analysis.diagnostics.stats import middle, percent, places, worst_time
from memviz.fields import GRADIENT_PREFIX

_WRITTEN = f"{GRADIENT_PREFIX}write_vectors"


def bypassed(view: MemoryView) -> Iterator[Measure]:
    """Share of the output that comes past the memory, at a typical time at which something is asked."""
    share = 1 - view["memory_influence"]
    values = middle(share, view.asked)
    times = worst_time(share, view.asked)

    def say(item: int) -> str:
        return (
            f"The controller answers on its own: {percent(values[item])} of the output at a typical time comes past "
            f"the memory, {percent(share[times[item], item])} at time {times[item]}."
        )

    yield Measure(values, places("memory_influence", times), say)


BYPASSED_MEMORY = Diagnostic(
    name="bypassed_memory",
    title="The output hardly depends on what is read",
    formula="median over the times asked of ‖W_c c‖ / (‖W_r r‖ + ‖W_c c‖), with c the output of the controller and r "
    "all read vectors, in the linear output y = W_c c + W_r r + b",
    needs=("memory_influence",),
    measure=bypassed,
    levels={"warning": 0.9},
    source="Franke et al. 2018, Robust and Scalable Differentiable Neural Computer for Question Answering (memory "
    "influence; with both parts divided by the same sum)",
    suggestion="Train with dropout on the controller's part of the output (bypass dropout, Franke et al. 2018), or "
    "with a smaller controller; memviz.ablate with the write gate held shut says what the answer loses without memory.",
    order=54,
    asks=True,
    family=13,
)


def short_reach(view: MemoryView) -> Iterator[Measure]:
    """Share of the gradient of what is written that stays at the times at which something is asked, and after them."""
    if not view.knows_asked:
        return
    gradient = view[_WRITTEN]
    norms = np.linalg.norm(gradient.reshape(*gradient.shape[:2], -1), axis=-1)
    times = np.arange(len(norms))[:, None]
    first = np.where(view.asked, times, len(norms)).min(axis=0)
    before = times < first
    total = norms.sum(axis=0)
    reached = np.divide((norms * before).sum(axis=0), total, out=np.full_like(total, np.nan), where=total > 0)
    # Where something is asked from the first time on, nothing lies before it to be reached.
    values = np.where(first > 0, 1 - reached, np.nan)

    def say(item: int) -> str:
        return (
            f"The loss hardly depends on what was written before the first answer at time {first[item]}: "
            f"{percent(values[item])} of the gradient of the write vectors stays at times after that."
        )

    yield Measure(values, places(_WRITTEN, [int(time) for time in first]), say)


SHORT_REACH = Diagnostic(
    name="short_reach",
    title="Answers do not depend on what was written before them",
    formula="1 - Σ_{t < t_1} ‖∂L/∂v_t‖ / Σ_t ‖∂L/∂v_t‖, with t_1 the first time asked",
    needs=(_WRITTEN,),
    measure=short_reach,
    levels={"warning": 0.9},
    source="Connectivity ‖∂y_t / ∂x_s‖, Madsen 2019, Visualizing memorization in RNNs, taken where an input enters the "
    "memory; Pascanu et al. 2013",
    suggestion="memviz.connectivity of the record and its checkpoint says which inputs each output depends on, by "
    "every path: memory, addressing and controller. See closed_write_gate, and the gates that erase and free.",
    order=92,
    family=14,
)
