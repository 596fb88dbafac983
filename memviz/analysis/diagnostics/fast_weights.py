"""Memories that are the weights of a network, learned while it reads (Titans): surprise, momentum and forgetting.

S_t = η_t S_{t-1} - θ_t ∇ℓ_t and M_t = (1 - α_t) M_{t-1} + S_t (Behrouz et al. 2024, equations 8 to 14). A time is a
token or a chunk of tokens, whichever the model learns from at once.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from memviz.analysis.diagnostics.base import Array, Diagnostic, Measure, MemoryView
from memviz.analysis.diagnostics.stats import percent, places

_TITANS = "Behrouz et al. 2024, Titans: Learning to Memorize at Test Time"
_LEAST = 8
"""Times from which on a median over time says something."""

_SMALLEST = 1e-30


def _worst_head(per_head: Array, *, best: bool = False) -> tuple[Array, list[int]]:
    """The largest value of [batch, head] (the smallest with `best`), and whose it is; NaN where no head has one."""
    sign = -1.0 if best else 1.0
    ranked = np.where(np.isnan(per_head), -np.inf, sign * per_head)
    heads = ranked.argmax(axis=1)
    return per_head[np.arange(len(heads)), heads], [int(head) for head in heads]


def _of_heads(values: Array, heads: list[int]) -> Array:
    """[time, batch]: values [time, batch, head] of one head for each item."""
    return np.stack([values[:, item, head] for item, head in enumerate(heads)], axis=1)


def spike(view: MemoryView) -> Iterator[Measure]:
    """Largest surprise over its median, of the head with the largest such ratio."""
    surprise = view["surprise_loss"]
    if len(surprise) < _LEAST:
        return
    typical = np.median(surprise, axis=0)
    ratio = np.divide(surprise, typical, out=np.full_like(surprise, np.nan), where=typical > 0)
    values, heads = _worst_head(ratio.max(axis=0))
    times = [int(time) for time in _of_heads(ratio, heads).argmax(axis=0)]

    def say(item: int) -> str:
        return (
            f"Surprise jumps at time {times[item]}: head {heads[item]} recalls the value {values[item]:.0f} times "
            "worse than at a typical time, and the step of the fast weights grows with it."
        )

    yield Measure(values, places("surprise_loss", times, heads=heads), say)


SURPRISE_SPIKE = Diagnostic(
    name="surprise_spike",
    title="A single token surprises the memory far beyond all others",
    formula="max over heads and times of ℓ_t / median over time of ℓ (from 8 times)",
    needs=("surprise_loss",),
    measure=spike,
    levels={"note": 10.0, "warning": 30.0},
    source=f"{_TITANS}, section 3.1: surprise is the gradient of the recall loss",
    suggestion="Look at the token there: an unseen or broken input is a fair surprise. If all heads jump at once, clip "
    "the step (titans-pytorch: max_grad_norm), or look at the norm of keys and values.",
    order=56,
    family=22,
)


def _half_lives(decay: Array) -> Array:
    """The half-life ln 2 / -ln(1 - α), in times; infinite where nothing is forgotten, 0 where all is."""
    with np.errstate(divide="ignore"):
        rate = -np.log1p(-np.clip(decay, 0.0, 1.0))
    return np.divide(np.log(2), rate, out=np.full_like(rate, np.inf), where=rate > 0)


def forgetting(view: MemoryView) -> Iterator[Measure]:
    """How many half-lives of the head that forgets slowest fit into the sequence."""
    life = np.median(_half_lives(view["decay_gate"]), axis=0)
    per_head = view.times / np.maximum(life, _SMALLEST)
    values, heads = _worst_head(per_head, best=True)
    times = [int(time) for time in _of_heads(view["decay_gate"], heads).argmax(axis=0)]

    def say(item: int) -> str:
        return (
            f"The memory forgets quickly: even head {heads[item]} halves what it holds every "
            f"{life[item, heads[item]]:.2g} times, so of the first of {view.times} times a share of "
            f"2^-{values[item]:.0f} is left at the end."
        )

    yield Measure(values, places("decay_gate", times, heads=heads), say)


FAST_FORGETTING = Diagnostic(
    name="fast_forgetting",
    title="Fast weights are forgotten long before the sequence ends",
    formula="min over heads of T / h, with the half-life h = ln 2 / -ln(1 - α), its median over time",
    needs=("decay_gate",),
    measure=forgetting,
    levels={"note": 8.0, "warning": 32.0},
    source=f"{_TITANS}, equation 13: M_t = (1 - α_t) M_{{t-1}} + S_t",
    suggestion="Fine for a head that serves as a short memory. If all do, start the bias of the decay gate lower "
    "(titans-pytorch: init_decay_bias), or learn from larger chunks.",
    order=57,
    family=22,
)


def stale(view: MemoryView) -> Iterator[Measure]:
    """Least share of past surprise in the step, at a typical time, of the head with the smallest such share."""
    momentary, both = view["gradient_norm"], view["momentum_norm"]
    share = np.divide(both - momentary, both, out=np.full_like(both, np.nan), where=both > 0).clip(0.0, 1.0)
    if len(share) < _LEAST:
        return
    values, heads = _worst_head(_median(share), best=True)
    times = [int(time) for time in np.nan_to_num(_of_heads(share, heads)).argmax(axis=0)]

    def say(item: int) -> str:
        return (
            f"The memory goes on by inertia: at a typical time at least {percent(values[item])} of the step of head "
            f"{heads[item]} is past surprise, so what is read now hardly changes it."
        )

    yield Measure(values, places("momentum_norm", times, heads=heads), say)


def _median(values: Array) -> Array:
    """Median over time without NaN, [batch, head]; NaN where there is nothing else."""
    known = np.asarray((~np.isnan(values)).any(axis=0))
    # A head without any number would make nanmedian warn.
    middle = np.nanmedian(np.where(known, values, 0.0), axis=0)
    return np.where(known, middle, np.nan)


STALE_SURPRISE = Diagnostic(
    name="stale_surprise",
    title="Past surprise drowns what is read now",
    formula="min over heads of the median over time of (‖S_t‖ - ‖θ_t ∇ℓ_t‖) / ‖S_t‖, the least share that past "
    "surprise can have in a step of this size (from 8 times)",
    needs=("gradient_norm", "momentum_norm"),
    measure=stale,
    levels={"note": 0.9, "warning": 0.97},
    source=f"{_TITANS}, equations 9 and 10: S_t = η_t S_{{t-1}} - θ_t ∇ℓ_t, past and momentary surprise",
    suggestion="Look at momentum_gate: near 1 at every time it never lets go of what it saw; a gate that depends on "
    "the token can. Look at step_size, too, which weighs what is read now.",
    order=58,
    family=22,
)


def frozen(view: MemoryView) -> Iterator[Measure]:
    """How many factors of ten the step of the fast weights is below their size, for the head that moves most."""
    moved, size = view["update_norm"], view["weight_norm"]
    if len(moved) < _LEAST:
        return
    step = np.divide(moved, size, out=np.full_like(moved, np.nan), where=size > 0)
    decades = -np.log10(np.maximum(_median(step), _SMALLEST))
    values, heads = _worst_head(decades, best=True)
    times = [int(time) for time in np.nan_to_num(_of_heads(step, heads)).argmax(axis=0)]

    def say(item: int) -> str:
        return (
            f"The fast weights stand still: at a typical time even head {heads[item]} moves by "
            f"{10 ** -values[item]:.1g} of its size, so nothing is kept of what is read."
        )

    yield Measure(values, places("update_norm", times, heads=heads), say)


FROZEN_FAST_WEIGHTS = Diagnostic(
    name="frozen_fast_weights",
    title="Fast weights do not learn while they read",
    formula="min over heads of -log10 of the median over time of ‖ΔM_t‖ / ‖M_t‖ (from 8 times)",
    needs=("update_norm", "weight_norm"),
    measure=frozen,
    levels={"warning": 5.0},
    source=f"{_TITANS}, equation 13: a step of size 0 leaves M_t = M_{{t-1}}",
    suggestion="Look at step_size: a θ that has gone to 0 lets nothing in. If it has not, the gradient is 0: look at "
    "surprise_loss, which is then small from the start.",
    order=20,
    family=22,
)


def growing(view: MemoryView) -> Iterator[Measure]:
    """Factors of ten by which the fast weights grow over the sequence, of the head that grows most."""
    size = view["weight_norm"]
    grown = np.log10(np.maximum(size, _SMALLEST)) - np.log10(np.maximum(size[:1], _SMALLEST))
    values, heads = _worst_head(np.where(size[0] > 0, grown.max(axis=0), np.nan))
    times = [int(time) for time in _of_heads(size, heads).argmax(axis=0)]

    def say(item: int) -> str:
        return (
            f"The fast weights blow up: those of head {heads[item]} are {10 ** values[item]:.2g} times as large at "
            f"time {times[item]} as at the start."
        )

    yield Measure(values, places("weight_norm", times, heads=heads), say)


GROWING_FAST_WEIGHTS = Diagnostic(
    name="growing_fast_weights",
    title="Fast weights grow without bound",
    formula="max over heads and times of log10 ‖M_t‖ / ‖M_0‖",
    needs=("weight_norm",),
    measure=growing,
    levels={"warning": 1.0, "error": 3.0},
    source=f"{_TITANS}, section 3.1: forgetting (α) keeps the memory from overflowing",
    suggestion="Look at decay_gate, which must forget about as much as is learned, and at momentum_gate: at 1 steps "
    "only add up. Smaller steps or clipped gradients slow it down.",
    order=21,
    family=16,
)
