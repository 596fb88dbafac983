"""Weights on a log scale: what the key l of the Scope page asks for."""

import numpy as np
import pytest

from memviz.dashboards.tiles import LOG_FLOOR, Code, encode, on_log_scale


def codes(*weights):
    return encode(on_log_scale(np.array(weights, dtype=np.float32)), 0.0, 1.0).tolist()


def test_decades_are_evenly_spaced_from_the_floor_to_one():
    assert codes(LOG_FLOOR, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0) == [0, 41, 83, 124, 165, 207, 248]


def test_nothing_and_less_than_the_floor_are_the_floor():
    assert codes(0.0, 1e-9, -1e-9) == [0, 0, 0]


@pytest.mark.parametrize(
    ("weight", "code"),
    [
        (-0.5, Code.BELOW),
        (-np.inf, Code.NEGATIVE_INFINITY),
        (np.inf, Code.POSITIVE_INFINITY),
        (np.nan, Code.NAN),
        (30.0, Code.ABOVE),
    ],
)
def test_what_is_no_weight_keeps_its_own_code(weight, code):
    assert codes(weight) == [code]
