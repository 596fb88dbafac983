"""Names of times from what a run said about itself, whatever it said."""

from __future__ import annotations

import pytest

from memviz.dashboards.answers.naming import names_of


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({}, ["", "", ""]),
        ({"tokens": ["a", "b"]}, ["a", "b", ""]),
        ({"tokens": [["a", "b", "c"], ["x", "y", "z"]]}, ["x", "y", "z"]),
        ({"phases": [["in", 0, 2], ["end", 2, 3]]}, ["in 0", "in 1", "end"]),
        ({"phases": [["in", "0", 2], 7, ["far", 2, 900]]}, ["", "", "far"]),
        ({"tokens": [], "phases": "none"}, ["", "", ""]),
    ],
)
def test_names(labels, expected):
    assert names_of(labels, 1, 3) == expected
