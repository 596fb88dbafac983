"""What must hold in any implementation: ranges, weightings that sum to at most 1, the update law of the memory.

One number per item, for a finding. Every law by itself, with its first violation, is in `memviz.analysis.laws`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from memviz.analysis.diagnostics.base import Array, Diagnostic, Measure, MemoryView
from memviz.analysis.diagnostics.finding import Place
from memviz.analysis.diagnostics.stats import places, worst_time
from memviz.analysis.replay import STATE, derivable, derive, replay_error
from memviz.errors import FieldError
from memviz.fields import CATALOGUE, FINAL_PREFIX

TOLERANCE = {"float16": 2e-3, "bfloat16": 2e-2}
"""What rounding of stored values may cost; single and double precision need none beyond the threshold."""


def _per_item(excess: Array, axes: tuple[str, ...]) -> tuple[Array, list[Place], list[tuple[int, ...]]]:
    """The largest excess of each item, and where it is; `excess` has the given axes, `batch` among them."""
    moved = np.moveaxis(excess, axes.index("batch"), 0)
    rest = [axis for axis in axes if axis != "batch"]
    values, spots, positions = [], [], []
    for item in moved:
        known = np.where(np.isnan(item), -np.inf, item)
        at = tuple(int(i) for i in np.unravel_index(int(known.argmax()), known.shape))
        index = dict(zip(rest, at, strict=True))
        values.append(float(known[at]))
        positions.append(at)
        spots.append(
            Place(
                "",
                index.get("time"),
                index.get("slot", index.get("slot_to")),
                index.get("read_head", index.get("write_head", index.get("head"))),
            )
        )
    return np.asarray(values), spots, positions


def ranges(view: MemoryView) -> Iterator[Measure]:
    """How far values lie outside the range of the catalogue, and weightings above a sum of 1."""
    for name in sorted(view.stored & set(CATALOGUE)):
        entry, spec = CATALOGUE[name], view.spec(name)
        if name not in view or "batch" not in spec.axes:
            continue
        values, slack = view[name], TOLERANCE.get(spec.dtype, 0.0)
        excess = np.zeros_like(values)
        if entry.low is not None:
            excess = np.maximum(excess, entry.low - values)
        if entry.high is not None:
            excess = np.maximum(excess, values - entry.high)
        yield _violation(name, excess - slack, spec.axes, "lies outside its range")
        if entry.simplex is not None:
            axis = spec.axes.index(entry.simplex)
            left = tuple(a for a in spec.axes if a != entry.simplex)
            yield _violation(name, values.sum(axis=axis) - 1 - slack, left, f"sums over {entry.simplex} to more than 1")
        if name == "link_matrix":
            into = (*spec.axes[:-2], "slot_from")
            yield _violation(name, values.sum(axis=-2) - 1 - slack, into, "sums over slot_to to more than 1")
            diagonal = np.abs(np.diagonal(values, axis1=-2, axis2=-1))
            yield _violation(name, diagonal - slack, spec.axes[:-1], "has a diagonal, a slot linked to itself,")


def _violation(name: str, excess: Array, axes: tuple[str, ...], words: str) -> Measure:
    worst, spots, _ = _per_item(excess, axes)
    spots = [Place(name, place.time, place.slot, place.head) for place in spots]

    def say(item: int) -> str:
        place = spots[item]
        time = "" if place.time is None else f" at time {place.time}"
        head = "" if place.head is None else f", head {place.head}"
        return f"{name} {words}, by {worst[item]:.2g}{time}{head}: no {CATALOGUE[name].title.lower()} can be so."

    return Measure(np.maximum(worst, 0.0), spots, say, f"{name} {words}")


LAW_RANGE = Diagnostic(
    name="law_range",
    title="A field breaks a law that holds in every implementation",
    formula="largest distance of a stored field to its range in the catalogue; excess of Σ_i w_i over 1 for weightings",
    needs=(),
    measure=ranges,
    levels={"error": 1e-3},
    source="Graves et al. 2016, Methods: weightings lie in Δ_N, gates in [0, 1], usage in [0, 1]^N",
    suggestion="Test the layer that makes this field on its own; a softmax over the wrong axis or a missing sigmoid is "
    "the usual cause.",
    order=5,
    lasting=True,
    family=1,
)


def residual(view: MemoryView) -> Iterator[Measure]:
    """How far the recorded state departs from the law that its memory declares, relative to its largest value."""
    schema = view.schema
    if not schema.law or any(view.spec(name).dtype in TOLERANCE for name in view.stored):
        return
    try:
        error = replay_error(view.record, view.memory)
    except FieldError:
        return
    if error is None or not np.isfinite(error):
        return
    values = np.full(view.items, np.nan)
    spots = [Place("memory")] * view.items
    field = "memory"
    for name in STATE:
        checked = name if name in view.stored else FINAL_PREFIX + name
        if checked not in view.stored or name not in derivable(schema, view.stored - {name}):
            continue
        recorded = view[checked]
        timed = checked == name
        derived = derive(view.record, view.memory, name, None if timed else slice(-1, None)).astype(np.float64)
        gaps = np.abs(derived - recorded) if timed else np.abs(derived[0] - recorded)[None]
        scale = max(1.0, float(np.abs(recorded).max()))
        per_time = gaps.reshape(*gaps.shape[:2], -1).max(axis=-1) / scale
        if np.isnan(values).all() or per_time.max() > np.nanmax(values):
            values, field = per_time.max(axis=0), name
            # The first time at which it departs, not the time at which it has drifted furthest.
            first = [int(np.argmax(per_time[:, i] >= max(per_time[:, i].max() / 10, 1e-12))) for i in range(view.items)]
            spots = places(name, first if timed else [view.times - 1] * view.items)

    def say(item: int) -> str:
        return (
            f"The recorded {field} departs from the law {schema.law!r} that this memory declares, by "
            f"{values[item]:.2g} of its largest value, from time {spots[item].time} on."
        )

    yield Measure(values, spots, say)


LAW_RESIDUAL = Diagnostic(
    name="law_residual",
    title="The state does not follow from what was written",
    formula="max |M_t - (M_{t-1} ∘ K_t + U_t)| / max(1, max |M|), also for usage, links and precedence where recorded",
    needs=("memory",),
    measure=residual,
    levels={"warning": 1e-3, "error": 1e-2},
    source="Graves et al. 2016, Methods; the update law as in memviz.analysis.rules",
    suggestion="If the model is meant to differ, say so in the attributes of its adapter; otherwise compare one time "
    "step with memviz.analysis.dynamics.",
    order=6,
    lasting=True,
    family=1,
)


def strengths(view: MemoryView) -> Iterator[Measure]:
    """How far the smallest lookup strength lies below 1; an NTM's need only be positive (Graves et al. 2014)."""
    if view.schema.law == "ntm":
        return
    for side in ("read", "write"):
        name = f"{side}_strengths"
        if name not in view:
            continue
        below = 1 - view[name]
        gaps = np.maximum(below.max(axis=-1).max(axis=0), 0.0)
        times = worst_time(below.max(axis=-1))
        heads = [int(below[time, item].argmax()) for item, time in enumerate(times)]
        spots = places(name, times, heads=heads)

        def say(item: int, name: str = name, gaps: Array = gaps) -> str:
            return (
                f"{name} fall to {1 - gaps[item]:.2g}; the paper's oneplus keeps them at 1 or above, so this lookup is "
                "flatter than a DNC's can be."
            )

        yield Measure(gaps, spots, say, name)


WEAK_STRENGTHS = Diagnostic(
    name="weak_strengths",
    title="Lookup strengths below 1",
    formula="1 - min β over time and heads",
    needs=("read_strengths",),
    measure=strengths,
    levels={"note": 1e-3},
    source="Graves et al. 2016, Methods: β = oneplus(x) in [1, ∞). The package dnc 1.1.0 uses softplus.",
    suggestion="Nothing, if intended: it is a known departure of several implementations.",
    order=70,
    family=1,
)
