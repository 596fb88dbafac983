"""How gradients change on their way back through the sequence. Needs recorded gradients (`grad/<field>`)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from memviz.analysis.diagnostics.base import Array, Diagnostic, Measure, MemoryView
from memviz.analysis.diagnostics.stats import places
from memviz.fields import GRADIENT_PREFIX

_SMALLEST = 1e-30


def _norms(view: MemoryView, name: str) -> Array:
    """|∂L/∂field_t| over time, [time, batch]."""
    gradient = view[name]
    return np.asarray(np.linalg.norm(gradient.reshape(*gradient.shape[:2], -1), axis=-1))


def _decades_back(norms: Array) -> tuple[Array, list[int]]:
    """How many factors of ten the gradient loses from where it is largest to the first times, and where that is."""
    logs = np.log10(np.maximum(norms, _SMALLEST))
    peak = [int(t) for t in logs.argmax(axis=0)]
    start = np.array([logs[: max(1, t // 4 + 1), i].max() for i, t in enumerate(peak)])
    values = np.array([logs[t, i] for i, t in enumerate(peak)]) - start
    return np.where(norms.max(axis=0) > 0, values, np.nan), peak


def vanishing(view: MemoryView) -> Iterator[Measure]:
    """Factors of ten lost between the time of the largest gradient and the first quarter before it."""
    name = f"{GRADIENT_PREFIX}memory"
    values, peaks = _decades_back(_norms(view, name))
    values = np.where(np.asarray(peaks) >= 4, values, np.nan)

    def say(item: int) -> str:
        return (
            f"Gradients vanish: between time {peaks[item]} and the start of the sequence the gradient of the memory "
            f"loses a factor of {10 ** values[item]:.1g}."
        )

    yield Measure(values, places(name, [0] * len(values)), say)


VANISHING_GRADIENT = Diagnostic(
    name="vanishing_gradient",
    title="The gradient does not reach the start of the sequence",
    formula="log10 of |∂L/∂M_t| where it is largest over its largest value in the first quarter before that",
    needs=(f"{GRADIENT_PREFIX}memory",),
    measure=vanishing,
    levels={"warning": 4.0, "error": 8.0},
    source="Pascanu et al. 2013, On the difficulty of training recurrent neural networks",
    suggestion="See which erase or free gates cut the path: the gradient of the memory only passes through 1 - w e.",
    order=90,
    family=14,
)


def exploding(view: MemoryView) -> Iterator[Measure]:
    """Factors of ten gained on the way back from the last time with a gradient."""
    name = f"{GRADIENT_PREFIX}memory"
    norms = _norms(view, name)
    logs = np.log10(np.maximum(norms, _SMALLEST))
    last = [int(np.flatnonzero(norms[:, i] > 0)[-1]) if (norms[:, i] > 0).any() else 0 for i in range(norms.shape[1])]
    typical = np.array([np.median(logs[max(0, t - 3) : t + 1, i]) for i, t in enumerate(last)])
    values = np.where(norms.max(axis=0) > 0, logs.max(axis=0) - typical, np.nan)
    times = [int(t) for t in logs.argmax(axis=0)]

    def say(item: int) -> str:
        return (
            f"Gradients explode: going back to time {times[item]} the gradient of the memory grows by a factor of "
            f"{10 ** values[item]:.1g}."
        )

    yield Measure(values, places(name, times), say)


EXPLODING_GRADIENT = Diagnostic(
    name="exploding_gradient",
    title="The gradient grows on its way back",
    formula="log10 of max over t of |∂L/∂M_t| over its median at the last times",
    needs=(f"{GRADIENT_PREFIX}memory",),
    measure=exploding,
    levels={"warning": 3.0, "error": 6.0},
    source="Pascanu et al. 2013, On the difficulty of training recurrent neural networks",
    suggestion="Clip by norm, and look for a division by a small norm in a lookup near the time shown.",
    order=91,
    family=14,
)
