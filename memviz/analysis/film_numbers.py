"""The numbers that the training film takes of each record: how many of them there are is fixed, whatever the record."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from memviz.analysis.diagnostics.base import Array, MemoryView, Source
from memviz.analysis.diagnostics.stats import EMPTY, average, effective, middle
from memviz.analysis.replay import replay_error
from memviz.errors import FieldError
from memviz.fields import MODEL, READ_MODES

EXACT = 1e-7
"""A distance from the law below this is rounding, and counts as this."""


@dataclass(frozen=True, slots=True)
class Statistic:
    """One kind of number of a record.

    Attributes:
        name: short and stable.
        title: for a sentence.
        needs: fields that it is computed from.
        measure: its values, one per head where `per_head`, else one; each a mean over the items of the record.
        smallest: the smallest change worth a word, in the unit of `scale`.
        scale: "linear", or "log" for numbers that change by factors (`smallest` is then the factor).
    """

    name: str
    title: str
    needs: tuple[str, ...]
    measure: Callable[[MemoryView], Array]
    smallest: float
    scale: str = "linear"
    per_head: bool = False


def _mean(values: Array) -> Array:
    """Mean over items of values [batch, ...], those without a value left out."""
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def _per_head(values: Array, view: MemoryView) -> Array:
    """Median over the times asked of values [time, batch, head], averaged over items: [head]."""
    return np.array([float(_mean(middle(values[:, :, head], view.asked))) for head in range(values.shape[2])])


def _read_slots(view: MemoryView) -> Array:
    return _per_head(effective(view["read_weights"]), view)


def _read_mass(view: MemoryView) -> Array:
    return _per_head(view["read_weights"].sum(axis=-1), view)


def _write_slots(view: MemoryView) -> Array:
    weights = view["write_weights"]
    return _mean(average(effective(weights), weights.sum(axis=-1)))


def _writes(view: MemoryView) -> Array:
    return _mean(view["write_weights"].sum(axis=-1).sum(axis=0))


def _allocation(view: MemoryView) -> Array:
    free = view["allocation_weights"].sum(axis=-1)
    by_allocation = (view["write_gate"] * view["allocation_gate"] * free).sum(axis=(0, 2))
    written = view["write_weights"].sum(axis=(0, 2, 3))
    share = np.where(written > EMPTY, by_allocation / np.maximum(written, EMPTY), np.nan)
    return np.atleast_1d(_mean(share))


def _usage(view: MemoryView) -> Array:
    return np.atleast_1d(_mean(view["usage"].mean(axis=-1).max(axis=0)))


def _free_gates(view: MemoryView) -> Array:
    asked = view.asked.astype(np.float64)
    return np.array(
        [float(_mean(average(view["free_gates"][..., h], asked))) for h in range(view["free_gates"].shape[2])]
    )


def _memory_norm(view: MemoryView) -> Array:
    return np.atleast_1d(_mean(np.linalg.norm(view["memory"], axis=-1).max(axis=(0, 2))))


def _key_strength(view: MemoryView) -> Array:
    return _per_head(view["read_strengths"], view)


def _residual(view: MemoryView) -> Array:
    try:
        error = replay_error(view.record, view.memory)
    except FieldError:
        error = None
    return np.array([np.nan if error is None or not math.isfinite(error) else max(error, EXACT)])


def _mode(index: int) -> Callable[[MemoryView], Array]:
    def measure(view: MemoryView) -> Array:
        modes = view["read_modes"][..., index]
        asked = view.asked.astype(np.float64)
        return np.array([float(_mean(average(modes[..., head], asked))) for head in range(modes.shape[2])])

    return measure


STATISTICS = (
    Statistic("read_slots", "effective slots of reads", ("read_weights",), _read_slots, 1.5, "log", per_head=True),
    Statistic("read_mass", "mass of reads", ("read_weights",), _read_mass, 0.2, per_head=True),
    *(
        Statistic(f"mode_{mode}", f"{mode} mode", ("read_modes",), _mode(index), 0.25, per_head=True)
        for index, mode in enumerate(READ_MODES)
    ),
    Statistic("write_slots", "effective slots of writes", ("write_weights",), _write_slots, 1.5, "log", per_head=True),
    Statistic("writes", "writes per sequence", ("write_weights",), _writes, 1.3, "log", per_head=True),
    Statistic(
        "allocation_share",
        "share of writes to free slots",
        ("allocation_weights", "write_gate", "allocation_gate", "write_weights"),
        _allocation,
        0.2,
    ),
    Statistic("usage", "peak of mean usage", ("usage",), _usage, 0.15),
    Statistic("free_gates", "free gates at the times asked", ("free_gates",), _free_gates, 0.25, per_head=True),
    Statistic("memory_norm", "largest norm of a slot", ("memory",), _memory_norm, 2.0, "log"),
    Statistic("read_strength", "read strength", ("read_strengths",), _key_strength, 1.5, "log", per_head=True),
    Statistic("law_residual", "distance from the update law", ("memory",), _residual, 100.0, "log"),
)
"""Numbers of a record; reads count at the times when something is asked."""

_BY_NAME = {statistic.name: statistic for statistic in STATISTICS}


def numbers(record: Source) -> dict[str, float]:
    """The statistics of one record, by `memory/statistic` or `memory/statistic[head]`."""
    found: dict[str, float] = {}
    for memory in record.memories:
        if memory == MODEL:
            continue
        view = MemoryView(record, memory)
        for statistic in STATISTICS:
            if not all(need in view for need in statistic.needs):
                continue
            with np.errstate(all="ignore"):
                values = np.atleast_1d(statistic.measure(view))
            for head, value in enumerate(values.tolist()):
                found[key_of(memory, statistic.name, head if statistic.per_head else None)] = value
    return found


def parse_key(key: str) -> tuple[str, Statistic, int | None]:
    """Memory, statistic and head of a key of `Film.series`."""
    memory, _, name = key.rpartition("/")
    name, _, head = name.partition("[")
    return memory, _BY_NAME[name], int(head.rstrip("]")) if head else None


def key_of(memory: str, statistic: str, head: int | None) -> str:
    """The key of `Film.series` for a statistic of a memory, and of a head where it has one per head."""
    return f"{memory}/{statistic}" if head is None else f"{memory}/{statistic}[{head}]"
