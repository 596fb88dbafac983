from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from memviz.analysis.changes import SHORTEST, splits


def test_a_step_is_found_where_it_is():
    assert splits(np.repeat([0.0, 1.0], [7, 9])[:, None], 0.2) == [7]


def test_several_levels_are_found_in_order():
    series = np.repeat([0.0, 1.0, 0.2, 3.0], [5, 6, 7, 8])[:, None]
    assert splits(series, 0.2) == [5, 11, 18]


def test_a_change_too_small_is_left_out():
    assert splits(np.repeat([0.0, 0.1], 10)[:, None], 0.2) == []


def test_noise_has_no_changes():
    rng = np.random.default_rng(0)
    found = [splits(rng.normal(0, 0.3, (60, 1)), 0.2) for _ in range(50)]
    assert sum(map(bool, found)) <= 1


def test_a_step_in_noise_is_found_nearby():
    rng = np.random.default_rng(1)
    for _ in range(20):
        series = rng.normal(0, 0.2, (60, 1))
        series[35:] += 1
        assert any(abs(at - 35) <= 2 for at in splits(series, 0.3))


def test_channels_are_cut_together():
    series = np.zeros((12, 3))
    series[:6, 0] = series[6:, 2] = 1
    assert splits(series, 0.3) == [6]


def test_records_without_a_value_are_stepped_over():
    series = np.repeat([0.0, 1.0], 6)[:, None]
    series[[2, 6]] = np.nan
    assert splits(series, 0.3) == [7]


@given(st.lists(st.floats(-5, 5), max_size=30))
def test_levels_last_and_differ(values):
    series = np.array(values)[:, None] if values else np.zeros((0, 1))
    edges = [0, *splits(series, 0.5), len(series)]
    assert all(b - a >= SHORTEST for a, b in pairwise(edges)) or len(edges) == 2
    levels = [series[a:b].mean() for a, b in pairwise(edges) if b > a]
    assert all(abs(b - a) >= 0.5 for a, b in pairwise(levels))
