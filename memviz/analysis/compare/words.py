"""What a memory does differently, in sentences: statistics of two records side by side, and how two runs differ."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memviz.analysis.compare.align import Alignment
from memviz.analysis.generators import Source
from memviz.fields import READ_MODES
from memviz.trace.reader import Trace

Array = NDArray[np.float64]


@dataclass(frozen=True)
class _Statistic:
    """A number that says how a memory is used.

    `per_head` names the axis of heads that it is told apart by, or is "". A change is told from `least` on, absolute,
    or as a ratio where `ratio`.
    """

    words: str
    field: str
    measure: Callable[[Array], Array]
    per_head: str = ""
    least: float = 0.15
    ratio: bool = False


def _mean(values: Array) -> Array:
    return np.asarray(np.nanmean(values, axis=(0, 1)))


def _effective_slots(weights: Array) -> Array:
    """Exponential of the entropy of each weighting, averaged over times and items by mass, [head]."""
    mass = weights.sum(axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = np.where(mass > 0, weights / mass, 0.0)
        entropy = -np.where(p > 0, p * np.log(p), 0.0).sum(axis=-1)
        spread = (np.exp(entropy) * mass[..., 0]).sum(axis=(0, 1)) / mass[..., 0].sum(axis=(0, 1))
    return np.asarray(spread)


def _mass(weights: Array) -> Array:
    return _mean(weights.sum(axis=-1))


def _overall(values: Array) -> Array:
    return np.asarray([np.nanmean(values)])


def _row_norm(memory: Array) -> Array:
    return np.asarray([np.nanmax(np.linalg.norm(memory, axis=-1))])


_STATISTICS = (
    _Statistic("writes", "write_gate", _mean, "write head"),
    _Statistic("share of free slots in writes", "allocation_gate", _mean, "write head"),
    _Statistic("frees", "free_gates", _mean, "read head"),
    _Statistic("reads with a mass of", "read_weights", _mass, "read head"),
    _Statistic("slots per read", "read_weights", _effective_slots, "read head", 1.5, True),
    _Statistic("slots per write", "write_weights", _effective_slots, "write head", 1.5, True),
    _Statistic("strength of lookups", "read_strengths", _mean, "read head", 1.5, True),
    _Statistic("erases", "erase_vectors", lambda values: np.asarray(np.nanmean(values, axis=(0, 1, 3))), "write head"),
    _Statistic("mean usage", "usage", _overall),
    _Statistic("largest row norm", "memory", _row_norm, "", 1.5, True),
)


def behaviour_changes(a: Source, b: Source, memory_a: str, memory_b: str, alignment: Alignment) -> Iterator[str]:
    """Sentences such as "read head 0: slots per read 7.9 in a, 1.1 in b".

    Args:
        a: a record.
        b: another.
        memory_a: which memory of a.
        memory_b: which memory of b.
        alignment: which read head of b stands for which of a.
    """
    yield from _mode_changes(a, b, memory_a, memory_b, alignment)
    for statistic in _STATISTICS:
        pair = _stored(a, b, memory_a, memory_b, statistic.field)
        if pair is None:
            continue
        with warnings.catch_warnings():
            # numpy says that nothing finite is left to average; the NaN that it gives says so too.
            warnings.simplefilter("ignore", RuntimeWarning)
            one, other = (statistic.measure(values) for values in pair)
        if statistic.per_head == "read head":
            one, other = one[: len(alignment.read_heads)], other[alignment.read_heads]
        for head, (x, y) in enumerate(zip(one.tolist(), other.tolist(), strict=False)):
            if _differs(x, y, statistic):
                where = f"{statistic.per_head} {head}: " if statistic.per_head else ""
                yield f"{where}{statistic.words} {x:.2g} in a, {y:.2g} in b"


def _mode_changes(a: Source, b: Source, memory_a: str, memory_b: str, alignment: Alignment) -> Iterator[str]:
    """Which mode each read head relies on, where that changed."""
    pair = _stored(a, b, memory_a, memory_b, "read_modes")
    if pair is None:
        return
    # What is not finite counts as no share of any mode.
    one, other = (np.nan_to_num(values).mean(axis=(0, 1)) for values in pair)
    for head, (x, y) in enumerate(zip(one, other[alignment.read_heads], strict=False)):
        if np.abs(x - y).max() >= 0.15:
            if x.argmax() != y.argmax():
                yield (
                    f"read head {head} reads by {READ_MODES[x.argmax()]} ({x.max():.0%}) in a, by "
                    f"{READ_MODES[y.argmax()]} ({y.max():.0%}) in b"
                )
            else:
                mode = READ_MODES[x.argmax()]
                yield f"read head {head} reads by {mode} in both, {x.max():.0%} in a, {y.max():.0%} in b"


def run_changes(a: Trace, b: Trace) -> Iterator[str]:
    """What differs between two runs beside their records: model, attributes, last scalars."""
    for what, one, other in (
        ("model", _flat(a.header.model), _flat(b.header.model)),
        ("run", _flat(a.header.attributes), _flat(b.header.attributes)),
    ):
        for key in sorted(set(one) | set(other)):
            if one.get(key) != other.get(key):
                yield f"{what} {key}: {one.get(key, 'not given')} in a, {other.get(key, 'not given')} in b"
    for name in sorted(set(a.scalars) & set(b.scalars)):
        last = [float(trace.scalars[name].values[-1]) for trace in (a, b) if len(trace.scalars[name].values)]
        if len(last) == 2 and last[0] != last[1]:
            yield f"last {name}: {last[0]:.4g} in a, {last[1]:.4g} in b"


def _flat(facts: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Facts within facts by the path of their names, so that only what differs is told."""
    flat: dict[str, Any] = {}
    for name, value in facts.items():
        nested = isinstance(value, Mapping) and value
        flat |= _flat(value, f"{before}{name}.") if nested else {f"{before}{name}": value}
    return flat


def _stored(a: Source, b: Source, memory_a: str, memory_b: str, field: str) -> tuple[Array, Array] | None:
    """Both values of a field, where at least one of both recorded it and the other can give it."""
    names: Mapping[str, Source] = {f"{memory_a}/{field}": a}
    full_a, full_b = next(iter(names)), f"{memory_b}/{field}"
    if full_a not in a.fields or full_b not in b.fields or (full_a not in a.stored and full_b not in b.stored):
        return None
    one, other = (np.asarray(record.read(full)).astype(np.float64) for record, full in ((a, full_a), (b, full_b)))
    return (one, other) if one.size and other.size else None


def _differs(x: float, y: float, statistic: _Statistic) -> bool:
    if not (math.isfinite(x) and math.isfinite(y)):
        return math.isfinite(x) != math.isfinite(y)
    if statistic.ratio:
        low, high = sorted((abs(x), abs(y)))
        return high > statistic.least * max(low, 1e-12)
    return abs(x - y) >= statistic.least
