"""The numerics of lineage: run a memory's update backward and ask, at every write, how much of it survives to a read.

The survival of a write s to a read after step t is S = Π K over the steps after s. It is built from the read backward,
by multiplication only: a cumulative product must never be divided, because a full erase makes it zero. Everything is
float64. Cost of one read: O(t N W) time, O(N W) memory.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from memviz.analysis.updates import DeltaRule, EraseAdd

Array = NDArray[np.float64]

BLOCK = 16
"""Steps per vectorized block: enough to hide the cost of a Python call, few enough to stay in the cache."""


def scan_back(update: EraseAdd, stop: int, measure: Callable[[int, int, Array], None]) -> Array:
    """Go back over the steps [0, stop) and hand out the survival of what each of them wrote.

    Args:
        update: the update of the memory.
        stop: how many steps the read sees.
        measure: called as measure(start, end, survival) for blocks of steps from the last to the first; `survival` is
            [step, word, slot], valid until it returns.

    Returns:
        The survival of the initial memory, [word, slot].
    """
    buffer = np.empty((BLOCK + 1, update.words, update.slots))
    buffer[0] = 1.0
    end = stop
    while end > 0:
        start = max(0, end - BLOCK)
        count = end - start
        buffer[count] = buffer[0]
        keep = update.keep(start, end)
        for step in range(count, 0, -1):
            np.multiply(buffer[step], keep[step - 1], out=buffer[step - 1])
        measure(start, end, buffer[1 : count + 1])
        end = start
    return np.asarray(buffer[0])


def contributions(
    update: EraseAdd, initial: Array, weights: Array, stop: int, write_weights: Array | None = None
) -> tuple[Array, Array]:
    """What each write, and the initial memory, adds to reads that share a place in time.

    Args:
        update: the update of the memory.
        initial: [slot, word].
        weights: [read, slot], the read weightings; several when one read is split into parts.
        stop: how many steps the reads see.
        write_weights: [step, head, part, slot], when writes are split into parts too; one part, the whole, by default.

    Returns:
        The contributions of the initial memory, [read, word], and of the writes, [step, head, part, read, word].
    """
    whole = update.weights[:, :, None] if write_weights is None else write_weights
    _, heads, parts, _ = whole.shape
    reads = len(weights)
    result = np.empty((stop, heads, parts, reads, update.words))

    def measure(start: int, end: int, survival: Array) -> None:
        rows = (whole[start:end, :, :, None, :] * weights).reshape(end - start, -1, update.slots)
        sums = np.matmul(rows, np.swapaxes(survival, 1, 2))
        result[start:end] = sums.reshape(end - start, heads, parts, reads, update.words)

    left = scan_back(update, stop, measure)
    result *= update.write_vectors[:stop, :, None, None, :]
    return np.einsum("ri,ki,ik->rk", weights, left, initial), result


def slot_view(update: EraseAdd, initial: Array, direction: Array, stop: int) -> tuple[Array, Array]:
    """How much one unit of weight on a slot, at a write and at the read, adds along `direction`.

    Args:
        update: the update of the memory.
        initial: [slot, word].
        direction: [word].
        stop: how many steps the read sees.

    Returns:
        Σ_k S[i, k] M_0[i, k] direction[k] as [slot], and Σ_k S[i, k] v[k] direction[k] as [step, head, slot].
    """
    along = update.write_vectors[:stop] * direction
    result = np.empty((stop, along.shape[1], update.slots))

    def measure(start: int, end: int, survival: Array) -> None:
        np.matmul(along[start:end], survival, out=result[start:end])

    left = scan_back(update, stop, measure)
    return np.einsum("ki,ik,k->i", left, initial, direction), result


def delta_strengths(
    update: DeltaRule, queries: Array, stops: NDArray[np.int64], *, by_slot: bool
) -> tuple[Array, Array, Array]:
    """How much of each token's value is in several reads of a fast-weight memory, in one scan.

    Args:
        update: the update of the memory.
        queries: [read, slot].
        stops: [read], how many times each read sees.
        by_slot: resolve by slot, too, which takes that much more memory.

    Returns:
        By read what is left of the query for the initial memory, [read, slot]; the strength of each token's value in
        it, [read, time]; and the same resolved by where it was stored, [read, time, slot], empty unless asked for.
    """
    seen = np.zeros_like(queries, np.float64)
    times = int(stops.max(initial=0))
    strength = np.zeros((len(queries), times))
    resolved = np.zeros((len(queries), times if by_slot else 0, queries.shape[1]))
    for time in range(times - 1, -1, -1):
        begin = stops == time + 1
        seen[begin] = queries[begin]
        if by_slot:
            resolved[:, time] = update.gain[time] * seen * update.keys[time]
        match = seen @ update.keys[time]
        strength[:, time] = update.gain[time] * match
        seen = update.decay[time] * (seen - update.removal[time] * match[:, None] * update.keys[time])
    seen[stops == 0] = queries[stops == 0]
    return seen, strength, resolved


def delta_contributions(update: DeltaRule, initial: Array, query: Array, stop: int) -> tuple[Array, Array]:
    """What each token, and the initial memory, adds to the read q^T M of a fast-weight memory.

    Rows are mixed here rather than scaled, but every column alike: the scan carries one vector over slots.

    Args:
        update: the update of the memory.
        initial: [slot, word].
        query: [slot], q.
        stop: how many times the read sees.

    Returns:
        The contribution of the initial memory, [word], and of the tokens, [time, word].
    """
    seen = np.array(query, np.float64)
    strength = np.empty(stop)
    for time in range(stop - 1, -1, -1):
        match = seen @ update.keys[time]
        strength[time] = update.gain[time] * match
        seen = update.decay[time] * (seen - update.removal[time] * match * update.keys[time])
    return seen @ initial, strength[:, None] * update.write_vectors[:stop]
