"""Which slot of one memory corresponds to which slot of another: an optimal assignment.

Slots are exchangeable: a model that puts the first item into slot 7 computes the same as one that puts it into slot 3.
Two memories are therefore compared after the slots of one are renamed, separately for each item of the batch, so that
what was written where agrees best (or, by choice, what they hold at the end). Read heads are exchangeable too, and are
renamed after the slots.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from memviz.analysis.generators import Source
from memviz.errors import FieldError

Array = NDArray[np.float64]

Method = Literal["writes", "content", "none"]

_SMALL = 1e-6
"""Weight of the preference for keeping the number of a slot, which decides between equals only."""


@dataclass(frozen=True)
class Alignment:
    """How b is renamed to be compared with a.

    Attributes:
        method: "writes", "content" or "none".
        slots: [item, slot of a], the slot of b that stands for it; -1 where b has fewer slots.
        read_heads: [read head of a], the read head of b that stands for it.
        moved: how many slots have another number in b, over all items.
        unexplained: of the squared distance before renaming, the part that is left after it, 0 to 1; 0 where there was
            none before.
    """

    method: Method
    slots: NDArray[np.int64]
    read_heads: NDArray[np.int64]
    moved: int
    unexplained: float

    def text(self) -> str:
        """One sentence."""
        if self.method == "none":
            return "slots are compared by their numbers"
        by = "what was written where" if self.method == "writes" else "what they hold at the end"
        count = self.slots.size
        missing = int((self.slots < 0).sum())
        rest = f"; {missing} have no counterpart" if missing else ""
        if not self.moved and not missing:
            return f"slots correspond by their numbers (aligned by {by})"
        return f"{self.moved} of {count} slots have another number in b (aligned by {by}){rest}"


def align(a: Source, b: Source, memory_a: str, memory_b: str, method: Method | None = None) -> Alignment:
    """Align the slots, then the read heads, of two memories.

    Args:
        a: a record.
        b: another.
        memory_a: which memory of a.
        memory_b: which memory of b.
        method: by "writes" (times and write heads that both have), by the "content" after the last common time, or
            "none"; by default the first for which both have the fields.

    Raises:
        FieldError: the fields that the method needs are missing.
    """
    signatures: list[tuple[Array, Array]] = []
    chosen: Method = method or "none"
    for candidate, field in (("writes", "write_weights"), ("content", "memory")):
        have = f"{memory_a}/{field}" in a.fields and f"{memory_b}/{field}" in b.fields
        if method == candidate and not have:
            raise FieldError(f"aligning by {candidate} needs {field} in both records, and it is missing in one")
        if have and method in (None, candidate):
            chosen = "writes" if candidate == "writes" else "content"
            signatures = _signatures(a, b, memory_a, memory_b, chosen)
            break
    items, slots_a, slots_b = _sizes(a, b, memory_a, memory_b)
    if chosen == "none":
        slots = np.where(np.arange(slots_a) < slots_b, np.arange(slots_a), -1)
        return Alignment("none", np.tile(slots, (items, 1)), _same_heads(a, b, memory_a, memory_b), 0, 1.0)

    slots = np.full((items, slots_a), -1, np.int64)
    before = after = 0.0
    for item, (one, other) in enumerate(signatures):
        cost = _distances(one, other)
        scale = float(cost.max(initial=0.0)) or 1.0
        rows, columns = linear_sum_assignment(cost + _SMALL * scale * (1 - np.eye(slots_a, slots_b)))
        slots[item, rows] = columns
        common = np.arange(min(slots_a, slots_b))
        before += float(cost[common, common].sum())
        after += float(cost[rows, columns].sum())
    moved = int(((slots != np.arange(slots_a)) & (slots >= 0)).sum())
    heads = _read_heads(a, b, memory_a, memory_b, slots)
    return Alignment(chosen, slots, heads, moved, after / before if before else 0.0)


def rename(values: Array, axes: tuple[str, ...], alignment: Alignment) -> Array:
    """A field of b in the numbering of a; slots without a counterpart are NaN.

    Args:
        values: a field of b, cut to the items that a has.
        axes: its axes.
        alignment: from `align`.
    """
    result = values
    if "read_head" in axes:
        result = np.take(result, alignment.read_heads, axis=axes.index("read_head"))
    for name in ("slot", "slot_to", "slot_from"):
        if name in axes:
            axis, batch = axes.index(name), axes.index("batch")
            moved = np.moveaxis(result, (batch, axis), (0, 1))
            known = np.where(alignment.slots < 0, 0, alignment.slots)
            taken = np.stack([values[slots] for values, slots in zip(moved, known, strict=True)])
            taken[alignment.slots < 0] = np.nan
            result = np.moveaxis(taken, (0, 1), (batch, axis))
    return result


def _signatures(a: Source, b: Source, memory_a: str, memory_b: str, method: Method) -> list[tuple[Array, Array]]:
    """What slots are recognised by, per item: [slot, feature] of both."""
    times = min(a.lengths[memory_a], b.lengths[memory_b])
    field, part = ("write_weights", slice(0, times)) if method == "writes" else ("memory", slice(times - 1, times))
    one, other = (
        np.asarray(record.read(f"{name}/{field}", part)).astype(np.float64)
        for record, name in ((a, memory_a), (b, memory_b))
    )
    items = min(one.shape[1], other.shape[1])
    middle = min(one.shape[2], other.shape[2])  # write heads; of the content, slots, which stay
    if method == "writes":
        return [(_features(one[:, i, :middle]), _features(other[:, i, :middle])) for i in range(items)]
    words = min(one.shape[3], other.shape[3])
    return [(np.nan_to_num(one[0, i, :, :words]), np.nan_to_num(other[0, i, :, :words])) for i in range(items)]


def _features(weights: Array) -> Array:
    """[time, head, slot] as [slot, feature]."""
    return np.nan_to_num(np.moveaxis(weights, -1, 0).reshape(weights.shape[-1], -1))


def _distances(one: Array, other: Array) -> Array:
    """Squared distances, [row of one, row of other]."""
    squares = (one * one).sum(1)[:, None] + (other * other).sum(1) - 2 * one @ other.T
    return np.asarray(np.maximum(squares, 0.0))


def _sizes(a: Source, b: Source, memory_a: str, memory_b: str) -> tuple[int, int, int]:
    """Common items, and slots of both; 0 slots where nothing has a slot axis."""
    shapes = []
    for record, name in ((a, memory_a), (b, memory_b)):
        shapes.append((1, 0))
        for field in ("write_weights", "read_weights"):
            if f"{name}/{field}" in record.fields:
                shape = np.asarray(record.read(f"{name}/{field}", slice(0, 1))).shape
                shapes[-1] = (shape[1], shape[-1])
                break
    return min(shapes[0][0], shapes[1][0]), shapes[0][1], shapes[1][1]


def _read_heads(a: Source, b: Source, memory_a: str, memory_b: str, slots: NDArray[np.int64]) -> NDArray[np.int64]:
    """The read head of b for each of a, by where they read once the slots are renamed."""
    same = _same_heads(a, b, memory_a, memory_b)
    if any(f"{name}/read_weights" not in record.fields for record, name in ((a, memory_a), (b, memory_b))):
        return same
    times, items = min(a.lengths[memory_a], b.lengths[memory_b]), len(slots)
    one = np.asarray(a.read(f"{memory_a}/read_weights", slice(0, times))).astype(np.float64)[:, :items]
    other = np.asarray(b.read(f"{memory_b}/read_weights", slice(0, times))).astype(np.float64)[:, :items]
    if len(same) < 2 or one.shape[2] != other.shape[2]:
        return same
    whole = Alignment("none", slots, np.arange(other.shape[2]), 0, 0.0)
    renamed = np.nan_to_num(rename(other, ("time", "batch", "read_head", "slot"), whole))
    cost = _distances(_by_head(np.nan_to_num(one)), _by_head(renamed))
    scale = float(cost.max(initial=0.0)) or 1.0
    _, columns = linear_sum_assignment(cost + _SMALL * scale * (1 - np.eye(len(cost))))
    return np.asarray(columns, np.int64)


def _by_head(weights: Array) -> Array:
    return np.moveaxis(weights, 2, 0).reshape(weights.shape[2], -1)


def _same_heads(a: Source, b: Source, memory_a: str, memory_b: str) -> NDArray[np.int64]:
    counts = [
        np.asarray(record.read(f"{name}/read_weights", slice(0, 1))).shape[2]
        for record, name in ((a, memory_a), (b, memory_b))
        if f"{name}/read_weights" in record.fields
    ]
    return np.arange(min(counts, default=0))
