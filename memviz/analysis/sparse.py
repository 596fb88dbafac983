"""How a sparse memory is updated, on dense arrays: the equations of SAM and SDNC (Rae et al. 2016).

A record holds a weighting as slots and their weights, see `memviz.fields_sparse`. What is derived from it is dense, so
these equations are for memories of up to `DENSE_SLOTS` slots, and links of up to `LINKED_SLOTS`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from memviz.analysis import dynamics

Array = NDArray[Any]

DENSE_SLOTS = 65536
"""Slots up to which weightings and memory are derived as dense arrays."""

LINKED_SLOTS = 4096
"""Slots up to which the link matrix is."""


def dense(indices: Array, values: Array, slots: int) -> Array:
    """A weighting over all slots.

    Args:
        indices: [..., position], -1 for none.
        values: [..., position]; weights of one slot add up.
        slots: N.

    Returns:
        [..., slot].
    """
    positions = indices.astype(np.int64).reshape(-1, indices.shape[-1])
    named = (positions >= 0) & (positions < slots)
    spread = np.zeros((len(positions), slots), values.dtype)
    rows = np.broadcast_to(np.arange(len(positions))[:, None], positions.shape)
    np.add.at(spread, (rows[named], positions[named]), values.reshape(positions.shape)[named])
    return spread.reshape(*indices.shape[:-1], slots)


def one_hot(least_used: Array, slots: int) -> Array:
    """I, 1 at the least recently used slot: [...] to [..., slot]."""
    found: Array = least_used[..., None] == np.arange(slots)
    return found.astype(least_used.dtype)


def write(memory: Array, write_weights: Array, write_vectors: Array, least_used: Array) -> Array:
    """M <- (1 - I 1^T) ∘ M + w a^T (Rae et al. 2016, equation 3).

    Args:
        memory: [batch, slot, word].
        write_weights: [batch, write_head, slot].
        write_vectors: [batch, write_head, word].
        least_used: [batch, write_head], the slot that is cleared.
    """
    cleared = one_hot(least_used, memory.shape[1]).max(axis=1)
    kept = memory * (1 - cleared)[..., None]
    return np.asarray(kept + np.swapaxes(write_weights, 1, 2) @ write_vectors)


def update_link(link: Array, precedence: Array, write_weights: Array, kept: int) -> Array:
    """The links of a DNC, of which each row keeps its largest entries, and then each column.

    Args:
        link: [batch, write_head, slot_to, slot_from].
        precedence: [batch, write_head, slot], of the time before.
        write_weights: [batch, write_head, slot].
        kept: K_L.
    """
    grown = dynamics.update_link(link, precedence, write_weights)
    return np.swapaxes(_largest(np.swapaxes(_largest(grown, kept), -1, -2), kept), -1, -2)


def _largest(rows: Array, count: int) -> Array:
    """Rows with all but their `count` largest entries set to zero."""
    if count >= rows.shape[-1]:
        return rows
    order = np.argsort(-rows, axis=-1, kind="stable")[..., :count]
    result = np.zeros_like(rows)
    np.put_along_axis(result, order, np.take_along_axis(rows, order, axis=-1), axis=-1)
    return result
