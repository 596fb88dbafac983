"""Where a read came from: the exact contribution of every write, and of the initial memory, to one read vector.

A read is r = Σ_i w^r[i] M[i], and the memory is a sum over writes of what survived of each. With the weightings held at
their recorded values (*addressing frozen*) the read is therefore a sum over writes s,

    r[k] = Σ_i w^r[i] M_0[i,k] S_0[i,k] + Σ_s v_s[k] Σ_i w^r[i] w_s[i] S_s[i,k],     S_s = Π K over the steps after s,

and equals gradient times input of the frozen path. What a changed write would do through the addressing, by turning
later lookups elsewhere, is not in it; for that the model must be run again without the write.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from memviz.analysis.generators import LoadedMemory, Source, check_place, choose, view
from memviz.analysis.lineage.scan import contributions, slot_view
from memviz.analysis.lineage.split import Split, split_read
from memviz.analysis.rules import FAST_LAWS

Array = NDArray[np.float64]

FROZEN = "addressing frozen"
"""The label that goes with every number of a lineage."""


@dataclass(frozen=True)
class Lineage:
    """One read, resolved by write.

    Source 0 is the initial memory; source s + 1 is the write at time s, all write heads together.

    Attributes:
        memory: name of the memory.
        time: when the read happened.
        head: read head, or -1 for the content of a slot (`explain_slot`).
        batch: position among the recorded batch items.
        contributions: [source, word]; their sum is the read.
        by_head: [time, write_head, word], the contributions of the single write heads.
        recorded: [word], the read as the model computed it, or None where it was not recorded.
        read_weights: [slot], where it read.
    """

    memory: str
    time: int
    head: int
    batch: int
    contributions: Array
    by_head: Array
    recorded: Array | None
    read_weights: Array
    _view: LoadedMemory
    _stop: int

    @cached_property
    def total(self) -> Array:
        """The sum of the contributions, [word]: the read as the law gives it."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.contributions.sum(axis=0))

    @property
    def read(self) -> Array:
        """The read vector, [word]: as recorded, or the sum of the contributions where it was not recorded."""
        return self.total if self.recorded is None else self.recorded

    @property
    def error(self) -> float | None:
        """The largest |sum of contributions - recorded read|, or None where the read was not recorded.

        Far above rounding, it says that the memory does not follow the law that its schema names.
        """
        if self.recorded is None:
            return None
        with np.errstate(invalid="ignore"):
            return float(np.abs(self.total - self.recorded).max(initial=0.0))

    @cached_property
    def shares(self) -> Array:
        """<c_s, r> / |r|^2, [source]: signed, summing to 1; NaN for a read that is zero."""
        length, unit = _direction(self.total)
        return np.asarray(self.contributions @ unit / length if length else np.full(len(self.contributions), np.nan))

    @property
    def ages(self) -> Array:
        """How many times before the read each source was written, [source]; NaN for the initial memory."""
        return np.concatenate([[np.nan], self.time - np.arange(len(self.contributions) - 1.0)])

    @property
    def age(self) -> float:
        """Mean age of what was read, weighted by |share|, over writes alone; NaN when no write has a share."""
        weights = np.abs(self.shares[1:])
        return float(weights @ self.ages[1:] / weights.sum()) if weights.sum() > 0 else float("nan")

    @property
    def sources(self) -> float:
        """Effective number of sources: exp of the entropy of |share|, 1 when one write explains the read."""
        weights = np.abs(self.shares) / np.abs(self.shares).sum()
        positive = weights[weights > 0]
        return float(np.exp(-(positive * np.log(positive)).sum())) if len(positive) else float("nan")

    @property
    def cancellation(self) -> float:
        """Σ |c_s| / |r|, at least 1: how much of what was read cancels out; infinite for a read that is zero."""
        length, _ = _direction(self.total)
        parts = float(np.linalg.norm(self.contributions, axis=1).sum())
        return parts / length if length else (float("inf") if parts else float("nan"))

    @cached_property
    def by_slot(self) -> Array:
        """The shares by where they were stored, [source, slot]; summed over slots they are `shares`."""
        update, stop = self._view.update, self._stop
        length, unit = _direction(self.total)
        if not length:
            return np.full((len(self.contributions), update.slots), np.nan)
        with np.errstate(invalid="ignore", over="ignore"):
            first, rest = slot_view(update, self._view.initial, unit / length, stop)
        per_step = (rest * update.weights[:stop]).sum(axis=1)
        result = np.zeros((len(self.contributions), update.slots))
        result[0] = first
        result[1:] = _per_time(per_step[:, None], update.steps_per_time, self.time + 1).sum(axis=1)
        return result * self.read_weights

    @cached_property
    def split(self) -> Split:
        """The contributions by part of the write (allocation, content) and by read mode.

        Raises:
            FieldError: the record has not what the parts follow from.
        """
        return split_read(self._view, self.time, self.head, self.read_weights, self._stop)

    def text(self) -> str:
        """The read in one sentence, such as "81 % from the write at t=4, 12 % from t=9, ...; addressing frozen"."""
        if not np.isfinite(self.total).all():
            return f"the read is not finite, so it has no shares; {FROZEN}"
        if not self.total.any():
            return f"the read is zero; {FROZEN}"
        order = np.argsort(-np.abs(self.shares), kind="stable")
        named = [int(source) for source in order[:3] if abs(self.shares[source]) >= 0.02]
        parts: list[str] = []
        for source in named:
            where = "the initial memory" if source == 0 else f"t={source - 1}"
            where = f"the write at {where}" if source and not parts else where
            parts.append(f"{_percent(self.shares[source])} from {where}")
        rest = 1.0 - float(self.shares[named].sum())
        if len(named) < len(self.shares) and abs(rest) >= 0.005:
            parts.append(f"{_percent(rest)} from all others")
        if self.cancellation >= 2:
            parts.append(f"{self.cancellation:.1f} times as much was read as did not cancel out")
        return f"{', '.join(parts)}; {FROZEN}"


def lineage(record: Source, time: int, head: int, batch: int = 0, memory: str | None = None) -> Lineage:
    """Resolve one read by the writes behind it.

    Args:
        record: a record of a trace.
        time: when the read happened; negative counts from the end.
        head: read head.
        batch: position among the recorded batch items (not the item's number in the training batch).
        memory: name of the memory; may be left out when the record has only one that is read.

    Raises:
        FieldError: the memory's law is unknown, or a generator was not recorded.
        PlaceError: there is no such time, head or batch item.
    """
    name = choose(record, memory)
    if record.memories[name].law in FAST_LAWS:
        from memviz.analysis.lineage.fast import fast_lineage

        return fast_lineage(record, name, time, head, batch)
    time = check_place("time", time, record.lengths[name])
    seen = view(record, name, batch, time + 1)
    head = check_place("read head", head, seen.read_weights.shape[1])
    return _resolve(seen, time, head, seen.read_weights[time, head], seen.steps_seen(time, head))


def explain_slot(record: Source, time: int, slot: int, batch: int = 0, memory: str | None = None) -> Lineage:
    """Why a slot holds what it holds after `time`: the lineage of its content, as if it were read with weight 1.

    Arguments and errors as in `lineage`.
    """
    name = choose(record, memory)
    if record.memories[name].law in FAST_LAWS:
        from memviz.analysis.lineage.fast import fast_slot

        return fast_slot(record, name, time, slot, batch)
    time = check_place("time", time, record.lengths[name])
    seen = view(record, name, batch, time + 1)
    weights = np.zeros(seen.update.slots)
    weights[check_place("slot", slot, seen.update.slots)] = 1.0
    return _resolve(seen, time, -1, weights, (time + 1) * seen.update.steps_per_time)


def _resolve(seen: LoadedMemory, time: int, head: int, weights: Array, stop: int) -> Lineage:
    # What is not finite in the record is not finite here, and no reason to warn.
    with np.errstate(invalid="ignore", over="ignore"):
        first, steps = contributions(seen.update, seen.initial, weights[None], stop)
    by_head = _per_time(steps[:, :, 0, 0], seen.update.steps_per_time, time + 1)
    return Lineage(
        memory=seen.name,
        time=time,
        head=head,
        batch=seen.batch,
        contributions=np.concatenate([first, by_head.sum(axis=1)]),
        by_head=by_head,
        recorded=None if head < 0 else seen.recorded_read(time, head),
        read_weights=weights,
        _view=seen,
        _stop=stop,
    )


def _per_time(values: Array, steps_per_time: int, times: int) -> Array:
    """[step, head, x] as [time, write_head, x]; writes that the read did not see are zero."""
    steps, heads, width = values.shape
    full = np.zeros((times * steps_per_time, heads, width))
    full[:steps] = values
    return full.reshape(times, steps_per_time * heads, width)


def _direction(vector: Array) -> tuple[float, Array]:
    """Length and unit vector, without overflow or underflow of the squares."""
    scale = float(np.abs(vector).max(initial=0.0))
    if scale == 0:
        return 0.0, vector
    if not np.isfinite(scale):
        return float("nan"), np.full(vector.shape, np.nan)
    length = scale * float(np.linalg.norm(vector / scale))
    return length, vector / length


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
