"""One compared field as pictures over time: A, B in the numbering of A, and B minus A, on scales that are stated."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memviz.analysis.compare import MemoryComparison
from memviz.dashboards.downsample import Starts, edges, pool_at
from memviz.dashboards.fieldview import HEAD_AXES
from memviz.dashboards.numbers import number
from memviz.dashboards.tiles import UNIT_KINDS, Code, Tile, encode, extent, scale_of
from memviz.fields import CATALOGUE

Array = NDArray[np.float64]

FIXED = 1.0
"""Limit of the scale on which differences of weights, gates and modes are drawn: none can be larger."""


def field_tiles(memory: MemoryComparison, field: str, own: bool, columns: int, rows: int) -> list[Tile]:
    """Three tiles per head of a field: A, B and B - A. A field without a time axis gives none.

    A field that is a matrix at each time is drawn by the norm of each row, and its difference by the norm of the row of
    B - A. Where B has no counterpart of a slot the cells are MISSING.

    Args:
        memory: the comparison, of one batch item.
        field: bare name.
        own: differences up to the largest one instead of the fixed limit.
        columns: largest number of columns of a tile.
        rows: largest number of rows of a tile.
    """
    axes, kind = CATALOGUE[field].axes, CATALOGUE[field].kind
    if "time" not in axes or kind == "index":
        return []
    one, other = memory.aligned(field)
    left = [axis for axis in axes if axis != "batch"]
    a, b = (np.take(values, 0, axis=axes.index("batch")) if "batch" in axes else values for values in (one, other))
    heads = [axis for axis in left if axis in HEAD_AXES]
    body = [axis for axis in left if axis not in HEAD_AXES]
    order = [left.index(axis) for axis in heads + body]
    a, b = a.transpose(order), b.transpose(order)
    # The first axis of a picture stays, such as the slot of a memory; any other is summed up by the norm.
    folded = tuple(range(len(heads) + 2, a.ndim))
    with np.errstate(invalid="ignore", over="ignore"):
        d = b - a
        if folded:
            a, b, d = (np.sqrt(np.sum(values * values, axis=folded)) for values in (a, b, d))
    shown = "positive" if folded else kind
    limits = scale_of(shown, np.stack([a, b]))
    if folded:
        reach = scale_of("positive", d)
    else:
        reach = scale_of("signed", d) if own or kind not in UNIT_KINDS else (-FIXED, FIXED)
    slots = memory.alignment.slots
    alone = slots[0] < 0 if len(slots) and body[1:2] in (["slot"], ["slot_to"]) else None

    def drawn(head: tuple[int, ...], side: str, values: Array, scale: tuple[float, float]) -> Tile:
        first = head[0] if head else None
        renamed = heads[:1] == ["read_head"]
        meta = {
            "id": "|".join([f"{memory.a}/{field}", *map(str, head), side]),
            "field": f"{memory.a}/{field}",
            "side": side,
            "kind": ("positive" if folded else "signed") if side == "d" else shown,
            "head": first,
            "head_axis": heads[0] if heads else None,
            "head_b": int(memory.alignment.read_heads[head[0]]) if renamed else first,
            "row_axis": body[1] if len(body) > 1 else None,
            "folded": body[2] if folded else None,
        }
        return _tile(values[head], scale, meta, alone, (columns, rows))

    return [
        drawn(head, side, values, scale)
        for head in itertools.product(*(range(a.shape[axis]) for axis in range(len(heads))))
        for side, values, scale in (("a", a, limits), ("b", b, limits), ("d", d, reach))
    ]


def _tile(
    values: Array,
    scale: tuple[float, float],
    meta: Mapping[str, Any],
    alone: NDArray[np.bool_] | None,
    room: tuple[int, int],
) -> Tile:
    """One picture from [time, row] or [time], pooled and encoded; B has no counterpart of the rows in `alone`."""
    matrix = values.T if values.ndim == 2 else values[None]
    row_starts, col_starts = edges(matrix.shape[0], room[1]), edges(matrix.shape[1], room[0])
    known = np.where(alone[:, None], 0.0, matrix) if alone is not None else matrix
    codes = encode(pool_at(known, row_starts, col_starts, signed=meta["kind"] == "signed"), *scale)
    if alone is not None and meta["side"] != "a":
        codes[_all_of(alone, row_starts)] = Code.MISSING
    low, high = extent(known)
    sizes: dict[str, Any] = {
        "rows": len(row_starts),
        "cols": len(col_starts),
        "full_rows": matrix.shape[0],
        "full_cols": matrix.shape[1],
        "vmin": scale[0],
        "vmax": scale[1],
        "low": low if np.isfinite(low) else None,
        "high": high if np.isfinite(high) else None,
    }
    if meta["side"] == "d":
        finite = np.abs(known[np.isfinite(known)])
        sizes["mean"] = number(float(finite.mean())) if finite.size else None
        sizes["largest"] = number(float(finite.max())) if finite.size else None
    return Tile({**meta, **sizes}, codes)


def _all_of(alone: NDArray[np.bool_], starts: Starts) -> NDArray[np.bool_]:
    """Blocks of rows of which none has a counterpart."""
    return np.asarray(np.logical_and.reduceat(alone, starts))
