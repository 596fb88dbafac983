"""Panels: pooling, names, ticks."""

from __future__ import annotations

import numpy as np

from memviz.dashboards.figures.sheet import MOST_COLUMNS, MOST_ROWS, Sheet, nice_step, panel, ticks


def test_a_large_panel_keeps_its_spike_and_says_that_it_was_pooled():
    values = np.zeros((2 * MOST_ROWS, 3 * MOST_COLUMNS))
    values[777, 2345] = 1.0
    one = panel("w", values, "weight", rows="slot")
    assert one.values.shape == (MOST_ROWS, MOST_COLUMNS)
    assert one.values.max() == 1.0
    assert one.pooled
    assert one.column_starts[1] == 3
    assert any("Max-pooled" in note for note in Sheet("x", "x", "", ((one,),)).notes())


def test_names_that_do_not_fit_the_rows_are_left_out():
    assert panel("w", np.zeros((3, 2)), "weight", rows="fact", row_names=["a"]).row_names == ()


def test_ticks_are_round_numbers_of_the_record():
    assert ticks(list(range(21)), 12) == [(t, t) for t in range(0, 21, 2)]
    assert ticks([0, 30, 60, 90], 4) == [(0, 0), (1, 50)]
    assert ticks([], 5) == []


def test_steps_are_one_two_or_five():
    assert [nice_step(span, 10) for span in (5, 15, 45, 99, 450)] == [1, 2, 5, 10, 50]
