"""The lineage of every read of a record at once: shares of each write in each read, as one table.

Reads of nearby times share most of the survival behind them. Time is cut into blocks; the survival of a write to a read
in a later block is the product of three factors: to the end of the write's block, over the blocks between, and from the
start of the read's block. The first goes with the write, the last with the read, and the sum over slots is then one
matrix product per word. Nothing is divided. Cost O(T^2 N W R), almost all of it in matrix products; O(T N W)
memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memviz.analysis.generators import LoadedMemory, Source, choose, view
from memviz.analysis.rules import FAST_LAWS
from memviz.analysis.updates import EraseAdd

Array = NDArray[np.float64]

BLOCK = 8
"""Steps per block, the fastest at N = 128, W = 20, T = 100."""


@dataclass(frozen=True)
class LineageTable:
    """Every read of one batch item, resolved by write; addressing frozen.

    Source 0 is the initial memory, source s + 1 the write at time s. Reads that are zero have NaN shares.

    Attributes:
        memory: name of the memory.
        batch: position among the recorded batch items.
        shares: [time, read_head, source], signed; each read's sum to 1.
        norms: [time, read_head, source], |c_s|: what each source brought, before anything cancelled.
        read_norms: [time, read_head], |r|.
    """

    memory: str
    batch: int
    shares: Array
    norms: Array
    read_norms: Array

    @property
    def cancellation(self) -> Array:
        """Σ |c_s| / |r|, [time, read_head], at least 1."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(self.norms.sum(axis=2) / self.read_norms)

    @property
    def age(self) -> Array:
        """Mean age of what was read in times, weighted by |share| over writes, [time, read_head]."""
        times = len(self.shares)
        ages = np.arange(times)[:, None, None] - np.arange(times)
        weights = np.abs(self.shares[:, :, 1:])
        with np.errstate(invalid="ignore"):
            return np.asarray((weights * ages).sum(axis=2) / weights.sum(axis=2))

    @property
    def sources(self) -> Array:
        """Effective number of sources of each read, [time, read_head], at least 1."""
        with np.errstate(divide="ignore", invalid="ignore"):
            p = np.abs(self.shares) / np.abs(self.shares).sum(axis=2, keepdims=True)
            return np.asarray(np.exp(-np.where(p == 0, 0.0, p * np.log(p)).sum(axis=2)))

    def never_read(self, least: float = 0.01) -> NDArray[np.int64]:
        """Times whose write has no share of `least` or more in any read."""
        most = np.nanmax(np.abs(np.nan_to_num(self.shares[:, :, 1:])), axis=(0, 1), initial=0.0)
        return np.flatnonzero(most < least)


def lineage_table(record: Source, memory: str | None = None, batch: int = 0) -> LineageTable:
    """Resolve every read of a record by the writes behind it.

    Args:
        record: a record of a trace.
        memory: name of the memory; may be left out when the record has only one that is read.
        batch: position among the recorded batch items.

    Raises:
        FieldError: the memory's law is unknown, or a generator was not recorded.
        PlaceError: there is no such batch item.
    """
    name = choose(record, memory)
    if record.memories[name].law in FAST_LAWS:
        from memviz.analysis.lineage.fast import fast_table

        return fast_table(record, name, batch)
    seen = view(record, name, batch)
    times, heads, slots = seen.read_weights.shape
    stops = np.array([seen.steps_seen(t, h) for t in range(times) for h in range(heads)])
    order = np.argsort(stops, kind="stable")
    reads = seen.read_weights.reshape(-1, slots)[order]
    shares, norms = np.zeros((2, times * heads, times + 1))
    lengths = np.zeros(times * heads)
    # What is not finite in the record is not finite in the table, and no reason to warn.
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        _fill(seen, reads, stops[order], order, shares, norms, lengths)
    shares[lengths == 0] = np.nan
    shape = (times, heads, times + 1)
    return LineageTable(seen.name, batch, shares.reshape(shape), norms.reshape(shape), lengths.reshape(shape[:2]))


def _fill(
    seen: LoadedMemory,
    reads: Array,
    stops: NDArray[np.int64],
    order: NDArray[np.int64],
    shares: Array,
    norms: Array,
    lengths: Array,
) -> None:
    """Write shares and norms [read, source] and lengths [read] of all reads; `order` says which rows they are."""
    per_time = seen.update.write_heads
    for part, values in _read_blocks(seen.update, seen.initial, reads, stops):
        rows = order[part]
        # The writes of several heads at one time count together: they add up before anything is measured.
        initial, writes = values[:, :, :1], values[:, :, 1:]
        if per_time > 1:
            short = -writes.shape[2] % per_time
            writes = np.pad(writes, ((0, 0), (0, 0), (0, short)))
            writes = writes.reshape(*writes.shape[:2], -1, per_time).sum(axis=3)
        known = np.concatenate([initial, writes], axis=2)  # [word, read, source]
        count = known.shape[2]
        total = known.sum(axis=2)
        squares = (total * total).sum(axis=0)
        shares[rows, :count] = np.einsum("krs,kr->rs", known, total / squares)
        norms[rows, :count] = np.sqrt(np.einsum("krs,krs->rs", known, known))
        lengths[rows] = np.sqrt(squares)


def _read_blocks(
    update: EraseAdd, initial: Array, reads: Array, stops: NDArray[np.int64]
) -> Iterator[tuple[slice, Array]]:
    """Contributions to the reads of each block of steps, as (which reads, [word, read, 1 + event]).

    Args:
        update: the update of the memory; event `step * heads + head` is one write.
        initial: [slot, word].
        reads: [read, slot], in the order of `stops`.
        stops: how many steps each read sees, ascending.
    """
    words, slots, heads = update.words, update.slots, update.weights.shape[1]
    first = np.ascontiguousarray(initial.T)[:, None, :]  # [word, 1, slot]: the initial memory, as it survives
    behind: list[Array] = []  # of each earlier block, its writes as they survive to the start of this one
    before = slice(0, int(np.searchsorted(stops, 0, "right")))
    if before.stop:
        yield before, np.matmul(reads[before], np.swapaxes(first, 1, 2))
    for start in range(0, update.steps, BLOCK):
        end = min(start + BLOCK, update.steps)
        keep = update.keep(start, end)
        reached = keep.copy()  # [step, word, slot]: the product of `keep` from the start of the block on
        for step in range(1, end - start):
            reached[step] *= reached[step - 1]
        part = slice(int(np.searchsorted(stops, start, "right")), int(np.searchsorted(stops, end, "right")))
        result = np.zeros((words, part.stop - part.start, 1 + end * heads))
        # [word, read, slot]: the read weighting, carried back to the start of the block.
        carried = np.ascontiguousarray(np.swapaxes(reached[stops[part] - start - 1] * reads[part, None], 0, 1))
        result[:, :, :1] = np.matmul(carried, np.swapaxes(first, 1, 2))
        column = 1
        for earlier in behind:
            np.matmul(carried, np.swapaxes(earlier, 1, 2), out=result[:, :, column : column + earlier.shape[1]])
            column += earlier.shape[1]

        live = np.empty((words, (end - start) * heads, slots))
        for step in range(start, end):
            now = (step - start) * heads
            live[:, :now] *= keep[step - start][:, None]
            live[:, now : now + heads] = update.weights[step]
            here = slice(int(np.searchsorted(stops, step + 1)), int(np.searchsorted(stops, step + 1, "right")))
            if here.start < here.stop:
                rows = slice(here.start - part.start, here.stop - part.start)
                upto = now + heads
                result[:, rows, column : column + upto] = np.matmul(reads[here], np.swapaxes(live[:, :upto], 1, 2))
        added = np.swapaxes(update.write_vectors[:end].reshape(end * heads, words), 0, 1)
        result[:, :, 1:] *= added[:, None, :]
        if part.start < part.stop:
            yield part, result

        whole = reached[-1][:, None]
        first = first * whole
        for earlier in behind:
            earlier *= whole
        behind.append(live)
