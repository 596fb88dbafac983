"""Slots that nobody uses, writes that nobody reads, reads of what nobody wrote."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from memviz.analysis.diagnostics.base import Array, Diagnostic, Measure, MemoryView
from memviz.analysis.diagnostics.stats import EMPTY, average, percent, places, worst_time

WRITTEN = 0.1
"""A slot counts as written when a write weight there exceeds this."""

UNREAD = 0.1
"""A write counts as unread when less than this share of it reaches any read."""


def dead_slots(view: MemoryView) -> Iterator[Measure]:
    """Share of the slots that the writes of a sequence could have filled and did not."""
    weights = view["write_weights"]
    slots = weights.shape[-1]
    mass = weights.sum(axis=-1)
    most = weights.max(axis=(0, 2))
    used = (most > WRITTEN).sum(axis=-1)
    # So many writes of half their weight or more: what could have gone to a slot of its own.
    writes = (mass > 0.5).sum(axis=(0, 2))
    could = np.minimum(writes, slots)
    values = np.where((could >= 4) & (used > 0), 1 - used / np.maximum(could, 1), np.nan)
    dead = [np.flatnonzero(row <= WRITTEN) for row in most]
    strongest = [int(row.argmax()) for row in weights.sum(axis=(0, 2))]
    first = [int(item[0]) if len(item) else strongest[i] for i, item in enumerate(dead)]
    # The time at which a slot that was full already is written again.
    again = [_written_again(weights[:, item]) for item in range(view.items)]

    def say(item: int) -> str:
        return (
            f"{len(dead[item])} of {slots} slots are never written although there were {writes[item]} writes: they "
            f"share {used[item]} slots. Never written: {_listed(dead[item])}."
        )

    yield Measure(values, places("write_weights", again, first), say)


def _written_again(weights: Array) -> int:
    """First time at which a slot that was written before is written once more; weights are [time, head, slot]."""
    before = np.maximum.accumulate(weights.max(axis=1), axis=0)
    for time in range(1, len(weights)):
        if ((weights[time].max(axis=0) > 0.5) & (before[time - 1] > 0.5)).any():
            return time
    return int(weights.sum(axis=(1, 2)).argmax())


def _listed(slots: np.ndarray) -> str:
    """`0, 3, 5 to 9`."""
    groups = np.split(slots, np.flatnonzero(np.diff(slots) != 1) + 1)
    return ", ".join(str(g[0]) if len(g) == 1 else f"{g[0]} to {g[-1]}" for g in groups if len(g))


DEAD_SLOTS = Diagnostic(
    name="dead_slots",
    title="Slots stay empty while others are written again and again",
    formula="1 - used / min(N, writes): used = slots with max w_w > 0.1, writes = times and heads with Σw > 0.5 "
    "(from 4)",
    needs=("write_weights",),
    measure=dead_slots,
    levels={"warning": 0.4},
    source="Graves et al. 2016, Methods: allocation gives every write a slot of its own while there are free ones",
    suggestion="Look at allocation_weights at the time shown: with an allocation that never reaches these slots, check "
    "the sort and the scatter back; with writes by content, whether keys differ at all.",
    order=25,
    family=5,
)


def unread_writes(view: MemoryView) -> Iterator[Measure]:
    """Share of what was written that no read ever sees, exactly: reads are traced back through every erasure."""
    reads, weights = view["read_weights"], view["write_weights"]
    erase, vectors = view["erase_vectors"], np.abs(view["write_vectors"])
    before_write = view.schema.attributes.get("read_order") == "before_write"
    times, batch, heads, slots = weights.shape
    seen = np.zeros((batch, slots, erase.shape[-1]))
    reach = np.zeros((times, batch, heads))
    size = np.einsum("tbhn,tbhw->tbh", weights, vectors)
    for time in range(times - 1, -1, -1):
        now = reads[time].sum(axis=1)[:, :, None]
        if not before_write:
            seen = seen + now
        reach[time] = np.einsum("bhn,bhw,bnw->bh", weights[time], vectors[time], seen)
        seen = seen * np.prod(1 - weights[time][:, :, :, None] * erase[time][:, :, None, :], axis=1)
        if before_write:
            seen = seen + now
    times_read = np.divide(reach, size, out=np.full_like(reach, np.nan), where=size > EMPTY)
    mass = weights.sum(axis=-1)
    unread = np.where(np.isnan(times_read), np.nan, (times_read < UNREAD).astype(np.float64))
    # Only full writes count: the crumbs of a nearly closed gate are not meant to be read.
    counted = np.where(mass > 0.5, mass, 0.0)
    flat = (times, batch, heads)
    values = average(
        unread.reshape(flat).transpose(0, 2, 1).reshape(-1, batch), counted.transpose(0, 2, 1).reshape(-1, batch)
    )
    spots = worst_time(np.where(unread == 1, counted, 0.0).max(axis=2))
    targets = [int(weights[time, item].max(axis=0).argmax()) for item, time in enumerate(spots)]

    def say(item: int) -> str:
        return (
            f"{percent(values[item])} of what is written is never read: it is overwritten or left, such as the write "
            f"at time {spots[item]} to slot {targets[item]}."
        )

    yield Measure(values, places("write_weights", spots, targets), say)


UNREAD_WRITES = Diagnostic(
    name="unread_writes",
    title="What is written is never read",
    formula="share of write mass with Σ_i,k w_s(i) |v_s(k)| Σ_t,h w_r(t,h,i) S_{s→t}(i,k) below 0.1 of "
    "Σ_i,k w_s(i) |v_s(k)|",
    needs=("read_weights", "write_weights", "erase_vectors", "write_vectors"),
    measure=unread_writes,
    levels={"note": 0.6, "warning": 0.8},
    source="Lineage of reads (memviz.lineage) with absolute values, so that nothing cancels",
    suggestion="If the task needs these items, look at the reads: where should they have gone? If not, the write gate "
    "could close here.",
    order=65,
    family=5,
)


def unwritten_reads(view: MemoryView) -> Iterator[Measure]:
    """Share of the reads at the times asked that falls on slots nobody has written yet."""
    reads, weights = view["read_weights"], view["write_weights"]
    touched = np.maximum.accumulate(weights.max(axis=2), axis=0) > WRITTEN
    total = reads.sum(axis=-1)
    empty = (reads * ~touched[:, :, None]).sum(axis=-1)
    share = np.where(total > EMPTY, empty / np.maximum(total, EMPTY), np.nan)
    best = np.where(np.isnan(share), np.inf, share).min(axis=2)
    best = np.where(np.isinf(best), np.nan, best)
    values = average(best, view.asked.astype(np.float64))
    times = worst_time(best, view.asked)
    heads = [int(np.where(np.isnan(share[t, i]), np.inf, share[t, i]).argmin()) for i, t in enumerate(times)]
    slots = [int((reads[t, i, heads[i]] * ~touched[t, i]).argmax()) for i, t in enumerate(times)]

    def say(item: int) -> str:
        return (
            f"Heads read where nothing was written: {percent(values[item])} of the reads asked for, most at time "
            f"{times[item]} in slot {slots[item]}."
        )

    yield Measure(values, places("read_weights", times, slots, heads), say)


UNWRITTEN_READS = Diagnostic(
    name="unwritten_reads",
    title="Reads of slots that were never written",
    formula="mean over the times asked of min over heads of Σ_i w_r(i) [no write to i above 0.1 so far] / Σ w_r",
    needs=("read_weights", "write_weights"),
    measure=unwritten_reads,
    levels={"warning": 0.5},
    source="A read before the first write to a slot returns its initial value (Graves et al. 2016, r = M^T w)",
    suggestion="Nothing is there to be found: look whether the write gate was open before, and whether the read key "
    "resembles what was written.",
    asks=True,
    order=58,
    family=5,
)
