"""Pooling against a slow reference: never more cells than asked, and no spike, NaN or infinity lost."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from memviz.dashboards.downsample import curve, edges, pool

ODD = st.sampled_from([math.nan, math.inf, -math.inf])
VALUES = st.one_of(st.floats(-10, 10, width=32), ODD)
MATRICES = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 17), st.integers(1, 17)), elements=st.one_of(VALUES, st.just(0.0))
)


def worst(block, signed):
    """The one value that stands for a block, by a ladder of cases."""
    values = [float(v) for v in block.ravel()]
    if any(math.isnan(v) for v in values):
        return math.nan
    if math.inf in values:
        return math.inf
    if -math.inf in values:
        return -math.inf
    if not signed:
        return max(values)
    best = values[0]
    for v in values:
        if abs(v) > abs(best) or (abs(v) == abs(best) and v > best):
            best = v
    return best


@given(values=MATRICES, rows=st.integers(1, 20), cols=st.integers(1, 20), signed=st.booleans())
def test_each_cell_is_the_worst_of_its_block(values, rows, cols, signed):
    pooled = pool(values, rows, cols, signed=signed)
    tops = [*edges(values.shape[0], rows), values.shape[0]]
    lefts = [*edges(values.shape[1], cols), values.shape[1]]
    expected = [
        [worst(values[tops[i] : tops[i + 1], lefts[j] : lefts[j + 1]], signed) for j in range(len(lefts) - 1)]
        for i in range(len(tops) - 1)
    ]
    np.testing.assert_array_equal(pooled, np.array(expected, np.float32))
    assert pooled.shape == (min(rows, values.shape[0]), min(cols, values.shape[1]))
    assert pooled.dtype == values.dtype


@given(length=st.integers(1, 3000), cells=st.integers(1, 700))
def test_blocks_are_even_and_cover_everything(length, cells):
    starts = edges(length, cells)
    sizes = np.diff([*starts, length])
    assert starts[0] == 0
    assert len(starts) == min(length, cells)
    assert sizes.min() >= 1
    assert sizes.max() - sizes.min() <= 1


@pytest.mark.parametrize("spike", [1.0, -1.0, math.nan, math.inf, -math.inf])
def test_a_spike_of_one_cell_in_four_million_is_seen(spike):
    values = np.zeros((2048, 2048), np.float32)
    values[1237, 991] = spike
    pooled = pool(values, 128, 400, signed=True)
    found = np.argwhere(pooled != 0)
    assert len(found) == 1
    np.testing.assert_equal(float(pooled[tuple(found[0])]), spike)


def test_what_fits_is_passed_on_as_it_is():
    values = np.arange(12.0, dtype=np.float32).reshape(3, 4)
    assert pool(values, 3, 4, signed=False) is values
    assert pool(np.empty((0, 5), np.float32), 2, 2, signed=True).shape == (0, 5)


@given(
    values=hnp.arrays(np.float64, st.integers(1, 400), elements=st.one_of(st.floats(-1e6, 1e6), st.just(math.nan))),
    columns=st.integers(1, 60),
)
def test_a_curve_keeps_the_extremes_and_the_end_of_each_column(values, columns):
    steps = np.arange(len(values)) * 3
    cut = curve(steps, values, columns)
    assert len(cut.steps) == min(columns, len(values))
    bounds = [*edges(len(values), columns), len(values)]
    for column, (first, stop) in enumerate(itertools.pairwise(bounds)):
        part = values[first:stop]
        nan = np.isnan(part).any()
        np.testing.assert_array_equal(cut.low[column], math.nan if nan else min(part))
        np.testing.assert_array_equal(cut.high[column], math.nan if nan else max(part))
        np.testing.assert_array_equal(cut.last[column], part[-1])
        assert cut.steps[column] == steps[stop - 1]
