from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from memviz.analysis.diagnostics.stats import average, effective, middle, overlap, percent, worst_time


def test_effective_slots_of_known_weightings():
    weights = np.array([[1.0, 0, 0, 0], [0.25] * 4, [0.5, 0.5, 0, 0], [0, 0, 0, 0]])
    found = effective(weights)
    np.testing.assert_allclose(found[:3], [1, 4, 2])
    assert np.isnan(found[3])


@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=20), st.floats(1e-3, 10))
def test_effective_slots_lie_between_1_and_n_and_do_not_depend_on_mass(weights, factor):
    weights = np.array(weights)
    found = float(effective(weights))
    assert 1 - 1e-9 <= found <= len(weights) + 1e-9
    np.testing.assert_allclose(found, effective(weights * factor))


def test_overlap_is_1_for_equal_and_0_for_disjoint():
    a, b = np.array([0.2, 0.2, 0, 0]), np.array([0, 0, 0.1, 0.3])
    np.testing.assert_allclose([overlap(a, 3 * a), overlap(a, b)], [1, 0])


def test_middle_and_average_leave_out_what_does_not_count():
    values = np.array([[1.0, 5], [2, np.nan], [9, 7]])
    mask = np.array([[True, True], [True, True], [False, False]])
    np.testing.assert_allclose(middle(values, mask), [1.5, 5])
    np.testing.assert_allclose(average(values, mask.astype(float)), [1.5, 5])
    assert np.isnan(average(values, np.zeros((3, 2)))).all()
    assert worst_time(values) == [2, 2]
    assert worst_time(values, mask) == [1, 0]


def test_percent_keeps_a_digit_for_small_shares():
    assert [percent(0), percent(0.031), percent(0.5)] == ["0 %", "3.1 %", "50 %"]
