"""Checks of episodes: how a hop sums up decides what it keeps, and supporting facts are counted per item."""

from __future__ import annotations

import numpy as np
import pytest

from memviz.analysis.array_record import ArrayRecord
from memviz.analysis.diagnostics import MemoryView, get
from memviz.analysis.episodes import effective_gates, rebuild


def view(gates, episode="gated", **labels):
    fields = {"episodic_attention": np.asarray(gates, np.float64)}
    return MemoryView(ArrayRecord(fields, law="dmn", attributes={"episode": episode}, labels=labels), "memory")


def measured(name, *arguments, **labels):
    found = list(get(name).measure(view(*arguments, **labels)))
    return found[0] if found else None


ONE_HOP = [[[0.9, 0.1, 0.8]]]


def test_gates_of_a_sum_are_what_it_keeps():
    assert measured("leftover_episode", ONE_HOP).values[0] == pytest.approx(0.1 * 0.9 * 0.2)
    assert measured("leftover_episode", [[[0.5, 0.1, 0.1]]], "sum").values[0] == pytest.approx(0.3)
    assert measured("eclipsed_fact", ONE_HOP).values[0] == pytest.approx(1 - 0.9 * 0.2)
    assert measured("eclipsed_fact", ONE_HOP, "sum").values[0] == pytest.approx(0)


def test_supporting_facts_count_by_what_is_kept_of_them_and_not_by_their_gates():
    # The gate of fact 0 is the largest, but fact 2 overwrites it.
    assert measured("missed_supporting_facts", ONE_HOP, supporting=[2]).values[0] == 0
    assert measured("missed_supporting_facts", ONE_HOP, supporting=[0]).values[0] == 1
    assert measured("missed_supporting_facts", ONE_HOP, "sum", supporting=[0]).values[0] == 0
    assert measured("missed_supporting_facts", ONE_HOP, supporting=[0, 1]).values[0] == 0.5


def test_the_best_hop_counts_for_each_fact():
    hops = [[[0.9, 0.0, 0.0]], [[0.0, 0.0, 0.9]]]
    measure = measured("missed_supporting_facts", hops, supporting=[0, 2])
    assert measure.values[0] == 0
    measure = measured("missed_supporting_facts", hops, supporting=[0, 1])
    assert measure.values[0] == 0.5
    assert "1 of the 2 facts" in measure.say(0)
    assert "fact 1 no hop keeps more than 0.00" in measure.say(0)
    assert measure.places[0].slot == 1


def test_each_item_has_supporting_facts_of_its_own():
    gates = [[[0.9, 0.0], [0.9, 0.0], [0.9, 0.0]]]
    values = measured("missed_supporting_facts", gates, supporting=[[0], [1]]).values
    np.testing.assert_array_equal(values, [0, 1, np.nan])
    np.testing.assert_array_equal(
        measured("missed_supporting_facts", gates, supporting=[1]).values, [1, np.nan, np.nan]
    )


@pytest.mark.parametrize("label", [None, [], "01", [7, -1, 1.5, "0", True], [[7], "x"], {"0": 1}])
def test_labels_that_name_no_fact_are_passed_over(label):
    assert measured("missed_supporting_facts", ONE_HOP, supporting=label) is None


def test_the_record_says_what_is_kept():
    rng = np.random.default_rng(0)
    gates, candidates = rng.random((2, 1, 5)), rng.normal(size=(2, 1, 5, 3))
    for episode in ("gated", "sum"):
        fields = {"episodic_attention": gates, "episode_candidates": candidates}
        record = ArrayRecord(fields, law="dmn", attributes={"episode": episode})
        effective = effective_gates(gates, episode)[0]
        np.testing.assert_allclose(record.read("memory/effective_attention"), effective, atol=1e-6)
        np.testing.assert_allclose(record.read("memory/episode"), rebuild(effective, candidates), atol=1e-5)
