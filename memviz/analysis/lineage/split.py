"""Split a lineage further, exactly: by the part of the write (allocation, content) and by the mode of the read.

A write weighting is w^w = g^w g^a a + g^w (1 - g^a) c, a read weighting is w^r = π_b b + π_c c + π_f f (Graves et al.
2016, Methods). A contribution is linear in both, so every one of them splits into (part of the write) x (read mode),
and each cell again over slots.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memviz.analysis.generators import LoadedMemory
from memviz.analysis.lineage.scan import contributions, slot_view
from memviz.errors import FieldError

Array = NDArray[np.float64]

PARTS = ("initial", "allocation", "content")
"""Parts of a source: source 0, the initial memory, lies wholly in the first, every write in the other two."""


@dataclass(frozen=True)
class Split:
    """A lineage by part of the write and by read mode; sums over parts and modes are those of the lineage.

    Sums hold within the precision of the recorded weightings: what is derived is float32.

    Attributes:
        parts: names of the part axis, `PARTS`.
        modes: names of the mode axis: backward, content, forward; or content, links for several write heads, whose
            recorded read modes do not say which head's links were followed.
        contributions: [source, part, mode, word].
    """

    parts: tuple[str, ...]
    modes: tuple[str, ...]
    contributions: Array
    _view: LoadedMemory
    _read_parts: Array
    _write_parts: Array

    @property
    def read(self) -> Array:
        """[word]: the sum over everything."""
        return np.asarray(self.contributions.sum(axis=(0, 1, 2)))

    @property
    def shares(self) -> Array:
        """Signed shares of the read, [source, part, mode], summing to 1; NaN for a read that is zero."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self.contributions @ self.read / (self.read @ self.read))

    def by_slot(self) -> Array:
        """The shares by where they were stored, [source, part, mode, slot]: the full table, summing to 1."""
        update, stop = self._view.update, len(self._write_parts)
        with np.errstate(invalid="ignore", divide="ignore"):
            direction = self.read / (self.read @ self.read)
        first, rest = slot_view(update, self._view.initial, direction, stop)
        writes = np.einsum("shpi,shi->spi", self._write_parts, rest)
        sources, parts, modes, _ = self.contributions.shape
        table = np.zeros((sources, parts, modes, update.slots))
        table[0, 0] = first
        table[1:, 1:] = _sum_steps(writes, update.steps_per_time, sources - 1)[:, :, None, :]
        return table * self._read_parts


def split_read(seen: LoadedMemory, time: int, head: int, weights: Array, stop: int) -> Split:
    """The split of one read.

    Args:
        seen: the memory, loaded up to `time`.
        time: when the read happened.
        head: the read head; -1 for a slot, which has no read modes.
        weights: [slot], the read weighting.
        stop: how many write steps the read sees.

    Raises:
        FieldError: a field that the parts follow from was neither recorded nor can be derived.
    """
    update = seen.update
    modes, read_parts = _read_parts(seen, time, head) if head >= 0 else (("slot",), weights[None])
    write_parts = _write_parts(seen)[:stop]
    first, steps = contributions(update, seen.initial, read_parts, stop, write_parts)
    result = np.zeros((time + 2, len(PARTS), len(modes), update.words))
    result[0, 0] = first
    writes = steps.sum(axis=1).reshape(stop, -1)
    result[1:, 1:] = _sum_steps(writes, update.steps_per_time, time + 1).reshape(result[1:, 1:].shape)
    return Split(PARTS, modes, result, seen, read_parts, write_parts)


def _write_parts(seen: LoadedMemory) -> Array:
    """Allocation and content part of every write weighting, [step, head, part, slot]."""
    what = "the split by part of the write"
    content, gate, choice = _need(seen, what, "write_content_weights", "write_gate", "allocation_gate")
    by_content = (gate * (1 - choice))[..., None] * content
    steps, heads, slots = seen.update.weights.shape
    if f"{seen.name}/allocation_weights" in seen.record.stored:
        by_allocation = (gate * choice)[..., None] * seen.values("allocation_weights")
    else:
        # Which of several slots in equal use was taken cannot be derived; what content does not explain, it explains.
        by_allocation = seen.update.weights.reshape(by_content.shape) - by_content
    parts = np.stack([by_allocation, by_content], axis=2)  # [time, write_head, part, slot]
    return parts.reshape(steps, heads, 2, slots)


def _read_parts(seen: LoadedMemory, time: int, head: int) -> tuple[tuple[str, ...], Array]:
    """Names of the modes and the part of the read weighting that each brings, [mode, slot]."""
    modes, content = _need(seen, "the split by read mode", "read_modes", "read_content_weights")
    looked_up = modes[time, head, 1] * content[time, head]
    if seen.update.write_heads > 1:
        return ("content", "links"), np.stack([looked_up, seen.read_weights[time, head] - looked_up])
    forward, backward = _need(seen, "the split by read mode", "forward_weights", "backward_weights")
    stepped = modes[time, head, 0] * backward[time, head, 0], modes[time, head, 2] * forward[time, head, 0]
    return ("backward", "content", "forward"), np.stack([stepped[0], looked_up, stepped[1]])


def _need(seen: LoadedMemory, what: str, *fields: str) -> list[Array]:
    missing = [field for field in fields if not seen.has(field)]
    if missing:
        raise FieldError(
            f"{what} of memory {seen.name!r} needs {', '.join(missing)}, which the record neither holds nor allows to "
            "derive; record with fields='all'."
        )
    return [seen.values(field) for field in fields]


def _sum_steps(values: Array, steps_per_time: int, times: int) -> Array:
    """[step, ...] summed to [time, ...]; times that were not reached are zero."""
    full = np.zeros((times * steps_per_time, *values.shape[1:]))
    full[: len(values)] = values
    return np.asarray(full.reshape(times, steps_per_time, *values.shape[1:]).sum(axis=1))
