"""Fewer cells than asked, and no spike lost: pooling by the extreme value instead of the mean.

A matrix is pooled to at most as many cells as there are pixels. A cell of the result shows the largest value of its
block (the largest by magnitude where the sign matters), a NaN wins over an infinity and an infinity over any number, so
whatever is wrong anywhere in a block is seen. Curves keep the minimum, maximum and last value of each column.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


Starts = NDArray[np.int64]
"""First index of each block."""


def edges(length: int, cells: int) -> Starts:
    """First index of each of `min(length, cells)` blocks that cut `length` as evenly as possible.

    Block k is `[edges[k], edges[k + 1])`, the last one ends at `length`; no block is empty.
    """
    count = max(1, min(length, cells))
    return np.arange(count, dtype=np.int64) * length // count


def pool(values: Array, rows: int, cols: int, *, signed: bool) -> Array:
    """Pool a matrix to at most `rows` × `cols` cells by its extreme values; see `pool_at`."""
    return pool_at(values, edges(values.shape[0], rows), edges(values.shape[1], cols), signed=signed)


def pool_at(values: Array, rows: Starts, cols: Starts, *, signed: bool) -> Array:
    """Pool the blocks of a matrix by their extreme values.

    Args:
        values: [row, column], floating point.
        rows: first row of each block, ascending from 0.
        cols: first column of each block, ascending from 0.
        signed: take the value of largest magnitude of a block, keeping its sign (the positive one of two equal
            magnitudes), instead of the largest value.

    Returns:
        [block row, block column] of the same dtype; `values` itself when every block is one cell.
    """
    if values.size == 0 or (len(rows) == values.shape[0] and len(cols) == values.shape[1]):
        return values
    if not signed and not np.isneginf(values).any():
        return _reduce(np.maximum, values, rows, cols)
    high, low = _reduce(np.maximum, values, rows, cols), _reduce(np.minimum, values, rows, cols)
    with np.errstate(invalid="ignore"):
        # -Inf outranks every number even where the maximum is wanted; NaN is in both and compares false.
        take_low = -low > high if signed else np.isneginf(low) & (high < np.inf)
    return np.where(take_low, low, high)


def _reduce(extreme: np.ufunc, values: Array, rows: Starts, cols: Starts) -> Array:
    """Reduce blocks by `extreme`, rows first: whole rows are contiguous, so most of the work runs at memory speed."""
    if len(rows) < values.shape[0]:
        values = extreme.reduceat(values, rows, axis=0)
    if len(cols) < values.shape[1]:
        values = extreme.reduceat(values, cols, axis=1)
    return values


@dataclass(frozen=True, slots=True)
class Columns:
    """A curve in columns: the steps at which columns end, and the minimum, maximum and last value of each.

    A column that holds a NaN has NaN as its minimum and maximum.
    """

    steps: NDArray[np.int64]
    low: Array
    high: Array
    last: Array


def curve(steps: NDArray[np.int64], values: Array, columns: int) -> Columns:
    """Cut a curve into at most `columns` columns of equal numbers of points.

    Args:
        steps: [point], ascending.
        values: [point].
        columns: largest number of columns, at least 1.

    Returns:
        Columns of one point each when there are few enough.
    """
    if len(values) <= columns:
        return Columns(steps, values, values, values)
    starts = edges(len(values), columns)
    ends = np.append(starts[1:], len(values)) - 1
    return Columns(steps[ends], np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts), values[ends])
