"""Where a read came from and where a write went: lineage as JSON (memviz.analysis.lineage), within bounds of time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from memviz.analysis.lineage import FROZEN, Lineage, explain_slot
from memviz.analysis.lineage import lineage as resolve
from memviz.analysis.lineage.fast import fast_view, is_fast
from memviz.analysis.lineage.table import lineage_table
from memviz.dashboards.answers.choice import head_of, item_of, memory_of, slot_of, time_of
from memviz.dashboards.answers.naming import names_of
from memviz.dashboards.downsample import edges, pool_at
from memviz.dashboards.fieldview import MAX_VALUES, Values
from memviz.dashboards.numbers import number, numbers
from memviz.dashboards.params import ApiError, Params
from memviz.dashboards.summaries import axis_sizes
from memviz.errors import FieldError

MAX_SLOTS, MAX_TIMES = 128, 512
"""Rows and columns of the table of slots by writes that is sent; a larger one is max-pooled."""

MAX_WORK = 2e11
"""Multiplications for the lineage of all reads, about two seconds; see docs/analysis.md for what it costs."""

LEAST = 0.01
"""Share of a read from which on a write counts as read."""


def lineage(values: Values, params: Params, index: int) -> dict[str, Any]:
    """One read by the writes behind it; with `slot` instead of `head`, what a slot holds."""
    memory, item = memory_of(values, params), item_of(values, params)
    time = time_of(values, params, memory)
    by_slot = "slot" in params
    slot = slot_of(values, params, memory) if by_slot else None
    axis = "head" if is_fast(values.record, memory) else "read_head"
    head = -1 if by_slot else head_of(values, params, memory, axis)
    params.done()
    check_size(values, memory)
    if slot is not None:
        found = explain_slot(values.record, time, slot, item, memory)
    else:
        found = resolve(values.record, time, head, item, memory)
    return {"slot": slot, **_read(values, found)}


def _read(values: Values, found: Lineage) -> dict[str, Any]:
    times = values.record.lengths[found.memory]
    shares = found.shares
    writes = _writes(values, found.memory, found.batch, found.head)
    return {
        "memory": found.memory,
        "time": found.time,
        "times": times,
        "head": found.head,
        "item": found.batch,
        "names": names_of(values.record.labels, found.batch, times),
        "title": _title(found),
        "sentence": found.text(),
        "condition": FROZEN,
        "shares": numbers(shares, 6),
        "by_slot": _slots(found.by_slot),
        "per_slot": numbers(np.nansum(found.by_slot, axis=0), 6),
        "write_mass": numbers(writes.sum(axis=1), 5),
        "write_slot": writes.argmax(axis=1).tolist(),
        "age": number(found.age),
        "sources": number(found.sources),
        "cancellation": number(found.cancellation),
        "mass": number(float(found.read_weights.sum())),
        "error": None if found.error is None else number(found.error),
        **_split(found),
    }


def _title(found: Lineage) -> str:
    what = "this read comes" if found.head >= 0 else "this slot comes"
    shares = found.shares
    if not np.isfinite(shares).all():
        return found.text().split(";")[0].capitalize()
    top = int(np.argmax(np.abs(shares)))
    where = "the initial memory" if top == 0 else f"the write at t = {top - 1}"
    return f"{100 * shares[top]:.0f} % of {what} from {where}"


def _writes(values: Values, memory: str, item: int, head: int) -> NDArray[np.floating[Any]]:
    """What all heads write together, [time, slot]; of fast weights what one head stores in each row."""
    if is_fast(values.record, memory):
        update = fast_view(values.record, memory, max(head, 0), item).update
        return np.asarray(np.nan_to_num(np.abs(update.gain[:, None] * update.keys)))
    weights = values.record.read(f"{memory}/write_weights")[:, item].astype(np.float64)
    return np.asarray(np.nan_to_num(weights.sum(axis=1)))


def _slots(shares: NDArray[np.float64]) -> dict[str, Any]:
    """Shares of [source, slot] as rows of slots over writes, max-pooled when they are too many."""
    table = shares[1:].T
    rows, cols = edges(table.shape[0], MAX_SLOTS), edges(table.shape[1], MAX_TIMES)
    pooled = pool_at(table, rows, cols, signed=True)
    return {
        "slots": table.shape[0],
        "times": table.shape[1],
        "rows": numbers(pooled, 4),
        "first_slots": rows.tolist(),
        "first_times": cols.tolist(),
        "initial": numbers(pool_at(shares[:1].T, rows, np.array([0]), signed=True)[:, 0], 4),
    }


def _split(found: Lineage) -> dict[str, Any]:
    """Shares by part of the write and by read mode, or why they cannot be told."""
    if found.head < 0:
        return {"split": None, "split_missing": "a slot is held, not read: it has no read modes"}
    try:
        split = found.split
        shares = split.shares
    except FieldError as error:
        return {"split": None, "split_missing": str(error)}
    return {
        "split": {
            "parts": dict(zip(split.parts, numbers(shares.sum(axis=(0, 2)), 6), strict=True)),
            "modes": dict(zip(split.modes, numbers(shares.sum(axis=(0, 1)), 6), strict=True)),
        },
        "split_missing": None,
    }


def readers(values: Values, params: Params, index: int) -> dict[str, Any]:
    """Who reads a write later: its share in every read of the sequence."""
    memory, item = memory_of(values, params), item_of(values, params)
    time = time_of(values, params, memory)
    params.done()
    check_size(values, memory)
    _check_work(values, memory)

    def shares_of_all() -> NDArray[Any]:
        return lineage_table(values.record, memory, item).shares

    shares = values.array(f"{memory}: shares of all reads of item {item}", shares_of_all)[:, :, time + 1]
    known = np.nan_to_num(np.abs(shares))
    order = [
        (int(t), int(h)) for t, h in zip(*np.unravel_index(np.argsort(-known, axis=None), known.shape), strict=True)
    ]
    strong = [(t, h) for t, h in order[:12] if known[t, h] >= LEAST]
    return {
        "memory": memory,
        "time": time,
        "shares": numbers(shares.T, 6),
        "strongest": [{"time": t, "head": h, "share": number(float(shares[t, h]))} for t, h in strong],
        "reads": int((known >= LEAST).sum()),
        "sentence": _readers_text(time, strong, shares, int((known >= LEAST).sum())),
        "condition": FROZEN,
    }


def _readers_text(time: int, strong: list[tuple[int, int]], shares: NDArray[Any], count: int) -> str:
    if not strong:
        return f"No read has {100 * LEAST:.0f} % or more from the write at t={time}; {FROZEN}"
    named = [f"{100 * shares[t, h]:.0f} % of what head {h} reads at t={t}" for t, h in strong[:3]]
    more = f", and a part of {count - 3} more reads" if count > 3 else ""
    return f"The write at t={time} is {', '.join(named)}{more}; {FROZEN}"


def check_size(values: Values, memory: str) -> None:
    """Refuse a memory whose weightings do not fit what one request may hold.

    Raises:
        ApiError: more than MAX_VALUES numbers.
    """
    sizes = axis_sizes(values.record, memory)
    heads = sizes.get("read_head", sizes.get("head", 1)) + sizes.get("write_head", 1)
    slots = sizes.get("slot", sizes.get("row", 0))
    count = values.record.lengths.get(memory, 0) * sizes.get("batch", 1) * slots * heads
    if count > MAX_VALUES:
        raise ApiError(
            404,
            f"the weightings of {memory!r} are {count:,} numbers, more than {MAX_VALUES:,} at once",
            "a smaller record",
            "use memviz.lineage in a program",
        )


def _check_work(values: Values, memory: str) -> None:
    sizes = axis_sizes(values.record, memory)
    slots, words = sizes.get("slot", sizes.get("row", 1)), sizes.get("word", sizes.get("column", 1))
    times, cells, heads = values.record.lengths[memory], slots * words, sizes.get("read_head", sizes.get("head", 1))
    if times**2 * cells * heads > MAX_WORK or times * cells > MAX_VALUES:
        raise ApiError(
            404,
            f"resolving all {times} reads of {memory!r} takes too long while somebody waits",
            f"at most {MAX_WORK:.0e} multiplications",
            "use memviz.analysis.lineage.table in a program",
        )
