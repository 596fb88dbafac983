"""Tiles: matrices as one byte per cell, and the envelope in which a browser receives many of them at once.

A canvas needs a colour index per cell and no more, so values travel as bytes on a stated scale, with codes of their own
for what is no number (see `Code`). What the bytes cannot say exactly, where the peak is, how much mass, how spread,
travels beside them, computed from the unpooled values.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memviz.dashboards.downsample import pool
from memviz.dashboards.numbers import numbers

Array = NDArray[np.floating]

MAGIC = b"MVF1"
"""First bytes of an envelope."""

LEVELS = 248
"""Highest code that stands for a number; even, so that code 124 is exactly the middle of a signed scale."""

LOG_FLOOR = 1e-6
"""Lowest weight that a log scale tells from none; it is stated on the page."""

UNIT_KINDS = ("weight", "gate", "mode")
"""Kinds drawn on the fixed scale 0..1."""


class Code(IntEnum):
    """Byte codes beyond the numbers 0..LEVELS."""

    BELOW = 249
    ABOVE = 250
    MISSING = 251
    NEGATIVE_INFINITY = 252
    POSITIVE_INFINITY = 253
    NAN = 255


@dataclass(frozen=True, slots=True)
class Tile:
    """A matrix ready to send: what describes it (`meta`, JSON) and its bytes, [row, column]."""

    meta: Mapping[str, Any]
    codes: NDArray[np.uint8]


def scale_of(kind: str, values: Array) -> tuple[float, float]:
    """The ends `(vmin, vmax)` of the scale on which `values` are drawn.

    Args:
        kind: 0..1 for a weight, gate or mode; symmetric around 0 for a signed field; 0 to the maximum otherwise.
        values: any shape; only finite ones count.

    Returns:
        Two finite numbers with `vmin < vmax`; 1 stands in for a maximum that is 0 or missing.
    """
    if kind in UNIT_KINDS or values.size == 0:
        return (-1.0, 1.0) if kind == "signed" else (0.0, 1.0)
    low, high = extent(values)
    reach = max(abs(low), abs(high)) if kind == "signed" else high
    if not np.isfinite(reach):
        reach = 1.0
    # The bounds keep `vmax - vmin` and its inverse finite, whatever a diverging run has recorded.
    reach = min(max(reach, 1e-290), 8e307) if reach > 0 else 1.0
    return (-reach if kind == "signed" else 0.0), reach


def extent(values: Array) -> tuple[float, float]:
    """The smallest and the largest finite value; (inf, -inf) where there is none."""
    if values.size == 0:
        return np.inf, -np.inf
    low, high = float(np.min(values)), float(np.max(values))
    if not (np.isfinite(low) and np.isfinite(high)):
        finite = values[np.isfinite(values)]
        return (float(finite.min()), float(finite.max())) if finite.size else (np.inf, -np.inf)
    return low, high


def encode(values: Array, vmin: float, vmax: float) -> NDArray[np.uint8]:
    """Codes of `values` on the scale `vmin`..`vmax`.

    Code c is `vmin + c / 248 * (vmax - vmin)` to the nearest; a value counts as below or above only when it lies more
    than half a code outside, so that a weight of 1.0000001 is a 1.

    Args:
        values: any shape; NaN and infinities have codes of their own.
        vmin: value of code 0.
        vmax: value of code 248, larger than vmin.

    Returns:
        Bytes of the same shape.
    """
    if not 1e-30 < vmax - vmin < 1e30:
        values = values.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        level = np.rint((values - vmin) * (LEVELS / (vmax - vmin)))
        codes = np.clip(level, -1, LEVELS + 1)
        codes = np.where(codes < 0, float(Code.BELOW), np.where(codes > LEVELS, float(Code.ABOVE), codes))
    finite = np.isfinite(values)
    if not finite.all():
        codes = np.where(np.isnan(values), float(Code.NAN), codes)
        codes = np.where(np.isposinf(values), float(Code.POSITIVE_INFINITY), codes)
        codes = np.where(np.isneginf(values), float(Code.NEGATIVE_INFINITY), codes)
    return codes.astype(np.uint8)


def on_log_scale(weights: Array) -> Array:
    """Weights as shares of a log scale: 0 at LOG_FLOOR and below it, 1 at a weight of 1.

    Args:
        weights: any shape; a value below -LOG_FLOOR stays negative, NaN and infinities stay what they are.

    Returns:
        Float64 of the same shape, to be encoded from 0 to 1.
    """
    exact = weights.astype(np.float64)
    with np.errstate(invalid="ignore"):
        share = 1.0 - np.log10(np.maximum(exact, LOG_FLOOR)) / np.log10(LOG_FLOOR)
        return np.where(exact < -LOG_FLOOR, np.where(np.isneginf(exact), exact, -1.0), share)


def statistics(values: Array, kind: str) -> dict[str, list[Any]]:
    """What a panel says about each time, from the exact values.

    Args:
        values: [row, time].
        kind: of the field; "weight" has a mass and an effective number.

    Returns:
        Lists over time: `mean` over rows and, with more than one row, `peak_slot` (row of the largest value, by
        magnitude where signed; a NaN counts as largest) and `peak`, the value there. For weights also `mass`, the sum,
        and `n_eff`, the exponential of the entropy of the weighting divided by its mass: how many slots share it (null
        where there is no mass).
    """
    exact = values.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        result = {"mean": numbers(exact.mean(axis=0))}
        if len(exact) > 1:
            rows = np.argmax(np.abs(exact) if kind == "signed" else exact, axis=0)
            result["peak_slot"] = rows.tolist()
            result["peak"] = numbers(np.take_along_axis(exact, rows[None], axis=0)[0])
        if kind == "weight" and len(exact) > 1:
            mass = exact.sum(axis=0)
            result["mass"] = numbers(mass)
            result["n_eff"] = [
                None if m <= 0 else n for m, n in zip(mass.tolist(), numbers(spread(exact)), strict=True)
            ]
    return result


def spread(weights: Array) -> Array:
    """Effective number of rows that share each column's mass: exp of the entropy of the normalised column.

    Args:
        weights: [row, column]; negative rounding errors count as 0.

    Returns:
        [column]: 1 for a one-hot column up to the number of rows for an even one; 0 without mass; NaN where any is.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.maximum(weights, 0.0)
        total = share.sum(axis=0)
        share = share / total
        entropy = -np.where(share > 0, share * np.log(share), share * 0.0).sum(axis=0)
        return np.where(total == 0, 0.0, np.exp(entropy))


def tile(values: Array, meta: Mapping[str, Any], scale: tuple[float, float], rows: int, cols: int) -> Tile:
    """Pool and encode one matrix.

    Args:
        values: [row, column].
        meta: what describes it; must have `kind`.
        scale: ends of the scale, from `scale_of`.
        rows: largest number of rows to send.
        cols: largest number of columns to send.

    Returns:
        A tile whose meta also has `rows`, `cols`, `full_rows`, `full_cols`, `vmin`, `vmax`, and `low` and `high`, the
        smallest and largest finite value (null without any).
    """
    pooled = pool(values, rows, cols, signed=meta["kind"] == "signed")
    low, high = extent(values)
    sizes = {
        "rows": pooled.shape[0],
        "cols": pooled.shape[1],
        "full_rows": values.shape[0],
        "full_cols": values.shape[1],
        "vmin": scale[0],
        "vmax": scale[1],
        "low": low if np.isfinite(low) else None,
        "high": high if np.isfinite(high) else None,
    }
    return Tile({**meta, **sizes}, encode(pooled, *scale))


def envelope(head: Mapping[str, Any], tiles: Sequence[Tile]) -> bytes:
    """Pack tiles behind one JSON header: magic, length, JSON padded to a multiple of 8, bytes back to back.

    Args:
        head: members of the header beside `tiles`, strict JSON.
        tiles: each gets its `offset` from the first byte after the header.

    Returns:
        The bytes described in docs/api.md.
    """
    offset, metas = 0, []
    for one in tiles:
        metas.append({**one.meta, "offset": offset})
        offset += one.codes.size
    text = json.dumps({**head, "tiles": metas}, allow_nan=False, separators=(",", ":")).encode()
    # Padding the JSON alone would leave the tiles at 8 + a multiple of 8, which is aligned as well.
    text += b" " * (-len(text) % 8)
    return b"".join([MAGIC, struct.pack("<I", len(text)), text, *(one.codes.tobytes() for one in tiles)])
