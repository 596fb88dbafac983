"""What is plainly wrong with values is said with its number and place, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest

from memviz.dashboards.visdom.checks import findings
from memviz.dashboards.visdom.pictures import Axis, Picture


def weights(values, name="m/read_weights", rows="slot", columns="time", when=""):
    values = np.asarray(values, np.float64)
    return Picture(
        "k", name, "Read weights", "read_weights", values, Axis(rows), Axis(columns), "weight", (0, 1), False, when
    )


@pytest.fixture
def sound():
    return np.array([[0.2, 0.9, 0.0], [0.8, 0.1, 0.5]])


def test_a_sound_weighting_is_not_mentioned(sound):
    assert findings([weights(sound)]) == []


def test_rounding_is_not_mentioned(sound):
    assert findings([weights(sound * 1.0005)]) == []


def test_a_weighting_that_is_more_than_a_whole_is_caught_where_it_is_worst(sound):
    sound[:, 1] = 1.0, 0.9
    sound[0, 0] = 0.4
    assert findings([weights(sound)]) == ["Read weights: sums to 1.9 at time 1, more than the 1 of a weighting"]


def test_values_outside_their_range_are_caught(sound):
    sound[1, 2] = -0.25
    assert findings([weights(sound)]) == ["Read weights: -0.25 is below 0 at time 2, slot 1"]
    sound[1, 2] = 0.5
    sound[0, 0], sound[1, 0] = 2.6, -2.0
    assert findings([weights(sound)]) == [
        "Read weights: 2.6 is above 1 at time 0, slot 0",
        "Read weights: -2 is below 0 at time 0, slot 1",
    ]


def test_what_is_no_number_is_counted_by_kind_and_the_earliest_comes_first(sound):
    late, early = sound.copy(), sound.copy()
    late[0, 2] = np.nan
    early[0, 1], early[1, 1], early[1, 2] = np.inf, -np.inf, np.inf
    assert findings([weights(late), weights(early)]) == [
        "Read weights: 2 +Inf, 1 -Inf from time 1 on",
        "Read weights: 1 NaN from time 2 on",
    ]


def test_a_usage_may_be_more_than_a_whole(sound):
    assert findings([weights(sound + 0.1, name="m/usage")]) == []


def test_links_are_summed_along_where_they_come_from():
    links = np.array([[0.0, 0.9, 0.9], [0.5, 0.0, 0.0], [0.9, 0.1, 0.0]])
    picture = weights(links, "m/link_matrix", "slot, to", "slot, from", "at time 4")
    assert findings([picture]) == ["Read weights: sums to 1.8 at slot, to 0 at time 4, more than the 1 of a weighting"]


def test_a_field_of_unknown_name_is_only_checked_for_numbers():
    assert findings([weights([[7.0, -3.0], [9.0, 1.0]], name="m/mine")]) == []
    assert findings([weights([[7.0, np.nan], [9.0, 1.0]], name="m/mine")]) == ["Read weights: 1 NaN from time 1 on"]


def test_nothing_but_nan_and_nothing_at_all_are_survived():
    assert findings([weights(np.full((2, 2), np.nan))]) == ["Read weights: 4 NaN from time 0 on"]
    assert findings([weights(np.zeros((2, 0)))]) == []
