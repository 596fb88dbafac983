"""What a classic figure shows is what the record holds."""

from __future__ import annotations

import numpy as np
import pytest

from memviz.dashboards.figures.classic import dmn_figure, dnc_figure, facts_of, ntm_figure, supporting_of
from memviz.errors import FieldError


def by_title(sheet):
    return {panel.title: panel for panel in sheet.panels}


def test_the_ntm_figure_is_the_recorded_values(copy_trace, values):
    record = copy_trace[1]
    sheet = ntm_figure(values(record), "memory", 1, time=4)
    panels = by_title(sheet)
    expected = {
        "Input": record["model/input"][:, 1],
        "Output": record["model/output"][:, 1],
        "Adds": record["write_vectors"][:, 1, 0],
        "Reads, read head 0": record["read_vectors"][:, 1, 0],
        "Reads, read head 1": record["read_vectors"][:, 1, 1],
        "Write weights": record["write_weights"][:, 1, 0],
        "Read weights, read head 0": record["read_weights"][:, 1, 0],
        "Read weights, read head 1": record["read_weights"][:, 1, 1],
    }
    assert set(panels) == set(expected)
    for title, array in expected.items():
        np.testing.assert_array_equal(panels[title].values, array.T.astype(np.float64), title)
    # What goes in is on the left, what comes out on the right, as in the paper.
    assert [row[0].title for row in sheet.grid if row[0]] == ["Input", "Adds", "Write weights"]
    assert sheet.time == 4


def test_the_dnc_figure_is_the_recorded_values(copy_trace, values):
    record = copy_trace[1]
    panels = by_title(dnc_figure(values(record), "memory", 0))
    np.testing.assert_array_equal(panels["Usage"].values, record["usage"][:, 0].T)
    gates = panels["Gates"]
    assert gates.row_names == ("Write gate", "Allocation gate", "Free gates, read head 0", "Free gates, read head 1")
    np.testing.assert_array_equal(gates.values[0], record["write_gate"][:, 0, 0])
    np.testing.assert_array_equal(gates.values[3], record["free_gates"][:, 0, 1])
    modes = panels["Read modes, read head 1"]
    assert modes.row_names == ("backward", "content", "forward")
    np.testing.assert_array_equal(modes.values, record["read_modes"][:, 0, 1].T)


def test_weights_are_on_the_fixed_scale_and_signed_values_on_a_symmetric_one(copy_trace, values):
    for panel in ntm_figure(values(copy_trace[0]), "memory", 0).panels:
        low, high = panel.scale
        assert (low, high) == (0.0, 1.0) if panel.kind == "weight" else low == -high


def test_nan_is_marked_in_weights_and_blank_in_a_target(broken_trace, values):
    sheet = dnc_figure(values(broken_trace[1]), "memory", 0)
    panels = by_title(sheet)
    (cells, _, word) = panels["Write weights"].marks[0]
    assert word == "not a number"
    np.testing.assert_array_equal(cells, np.isnan(broken_trace[1]["write_weights"][:, 0, 0].T))
    assert panels["Target"].marks == []
    assert {"Magenta: not a number.", "Blank in the target: nothing was asked."} <= set(sheet.notes())


def test_the_dmn_table_has_raw_effective_and_supporting(story_trace, values):
    sheet = dmn_figure(values(story_trace[0]), "episode", 0)
    raw, effective, support = sheet.panels
    gates = story_trace[0]["episodic_attention"][:, 0].astype(np.float64)
    np.testing.assert_array_equal(raw.values, gates.T)
    # Written out: what later facts leave of the gate of an earlier one.
    for hop, row in enumerate(gates):
        for fact, gate in enumerate(row):
            expected = gate * np.prod(1 - row[fact + 1 :])
            assert effective.values[fact, hop] == pytest.approx(expected, rel=1e-12)
    assert support.values[:, 0].tolist() == [1.0, 0.0, 0.0, 1.0]
    assert raw.row_names[0] == "0  Mary went to the kitchen"
    assert any("Where is Mary?" in note for note in sheet.notes())


def test_a_figure_of_which_nothing_was_recorded_says_what_it_needs(copy_trace, values):
    with pytest.raises(FieldError, match="episodic_attention"):
        dmn_figure(values(copy_trace[0]), "memory", 0)


def test_labels_may_be_of_one_item_or_of_each():
    assert facts_of({"facts": ["a", "b"]}, 0, 3) == ["a", "b", ""]
    assert facts_of({"facts": ["a", "b"]}, 1, 2) == ["", ""]
    assert facts_of({"facts": [["a"], ["b"]]}, 1, 1) == ["b"]
    assert facts_of({"facts": 3}, 0, 1) == [""]
    assert supporting_of({"supporting": [0, "1", 9]}, 0, 2) == [0]
    assert supporting_of({"supporting": [[0], [1]]}, 1, 2) == [1]
    assert supporting_of({}, 0, 2) is None
