"""Gates that never move."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from memviz.analysis.diagnostics.base import Diagnostic, Measure, MemoryView
from memviz.analysis.diagnostics.finding import Place

GATES = (
    "free_gates",
    "allocation_gate",
    "write_gate",
    "erase_vectors",
    "interpolation_gate",
    "momentum_gate",
    "decay_gate",
)

SATURATED = 1 / (1 + np.exp(-4.0))
"""sigmoid(4) = 0.982: beyond it, or below its complement, hardly any gradient passes."""

STILL = 0.02
"""Standard deviation over time below which a gate does not move."""


def stuck(view: MemoryView) -> Iterator[Measure]:
    """Share of the values of a gate that are saturated, where no part of it moves over time."""
    for name in GATES:
        if name not in view or view.times < 2:
            continue
        values = view[name]
        flat = values.reshape(*values.shape[:2], -1)
        spread = flat.std(axis=0).max(axis=-1)
        high, low = flat > SATURATED, flat < 1 - SATURATED
        share = (high | low).mean(axis=(0, 2))
        result = np.where(spread < STILL, share, 0.0)
        side = np.where(high.mean(axis=(0, 2)) >= low.mean(axis=(0, 2)), "open", "shut")
        level = flat.mean(axis=(0, 2))

        def say(item: int, name: str = name, side: np.ndarray = side, level: np.ndarray = level) -> str:
            return (
                f"{name} are stuck {side[item]}: {level[item]:.3f} at every time, so far into the sigmoid that hardly "
                "any gradient moves them."
            )

        spots = [Place(name, 0, None, None if name == "erase_vectors" else 0)] * view.items
        yield Measure(result, spots, say, name)


STUCK_GATES = Diagnostic(
    name="stuck_gates",
    title="A gate is saturated and never moves",
    formula="share of values beyond sigmoid(±4), where the standard deviation over time of every head is below 0.02",
    needs=(),
    measure=stuck,
    levels={"note": 0.95},
    source="Saturation of gates as in Karpathy et al. 2015, Visualizing and Understanding Recurrent Networks",
    suggestion="Fine for a gate that the task does not need to move. Otherwise look at its bias and at its gradient.",
    order=85,
    family=15,
)
