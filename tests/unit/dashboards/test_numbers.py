"""Strict JSON: names for what is no number, digits that survive a float32."""

from __future__ import annotations

import json
import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from memviz.dashboards.numbers import number, numbers, strict


def back(value):
    """A number from its JSON form, as a browser would read it."""
    return {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}[value] if isinstance(value, str) else value


@given(hnp.arrays(np.float32, hnp.array_shapes(max_dims=3, max_side=5), elements=st.floats(width=32)))
def test_float32_arrays_survive_to_their_last_digit_but_one(values):
    text = json.dumps(numbers(values), allow_nan=False)
    read = np.vectorize(back, otypes=[np.float64])(np.array(json.loads(text), dtype=object)).reshape(values.shape)
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(read, values.astype(np.float64), rtol=1e-6)


@given(st.floats())
def test_one_number(value):
    np.testing.assert_equal(back(json.loads(json.dumps(number(value), allow_nan=False))), value)


@given(st.floats(1e-12, 1e12), st.integers(1, 9))
def test_rounding_keeps_the_significant_digits_and_all_before_the_point(value, digits):
    (rounded,) = numbers(np.array([value]), digits)
    unit = min(1.0, 10.0 ** (math.floor(math.log10(value)) - digits + 1))
    assert abs(rounded - value) <= 0.5000001 * unit
    assert len(repr(rounded).split("e")[0].replace(".", "").strip("0")) <= max(digits, 17 if value >= 10**digits else 0)


def test_integers_stay_integers():
    assert numbers(np.array([[1, 2], [3, 4]], np.int64)) == [[1, 2], [3, 4]]
    assert numbers(np.empty((0,))) == []


def test_strict_goes_through_everything_that_labels_may_hold():
    value = {"a": [1, 2.5, math.nan, None, True], 3: (np.float32(0.5), np.int64(7)), "b": np.array([math.inf, 1.0])}
    clean = strict(value)
    assert json.loads(json.dumps(clean, allow_nan=False)) == {
        "a": [1, 2.5, "NaN", None, True],
        "3": [0.5, 7],
        "b": ["Infinity", 1.0],
    }
    assert strict(object).startswith("<class")
