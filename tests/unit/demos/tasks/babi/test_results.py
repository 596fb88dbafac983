"""Figures per family beside published ones, and what is confused with what."""

from __future__ import annotations

import io
import json
from collections import Counter
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console

from memviz.demos.tasks.babi.results import PUBLISHED, Results, measure
from memviz.demos.tasks.babi.stories import Story
from memviz.demos.tasks.babi.vocabulary import Vocabulary


def shown(table):
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


@pytest.fixture
def results():
    return Results(
        Counter({6: 100, 1: 50}),
        Counter({6: 60, 1: 50}),
        {
            6: Counter({("yes", "yes"): 40, ("no", "no"): 20, ("yes", "no"): 30, ("no", "[b]"): 10}),
            1: Counter({("garden", "garden"): 50}),
        },
    )


def test_accuracy_mean_and_families_passed(results):
    assert (results.accuracy(6), results.accuracy(1)) == (60, 100)
    assert results.mean == 80, "over families, not over questions"
    assert results.passed == 1


def test_the_confusion_matrix_counts_given_answers_by_right_ones(results):
    words, counts = results.confusion(6)
    assert words == ["[b]", "no", "yes"]
    assert counts == [[0, 0, 0], [10, 20, 0], [0, 30, 40]]
    text = shown(results.confusion_table(6))
    assert "[b]" in text, "an answer is text and no markup"
    assert "task 6, Yes/No Questions" in text


def test_the_table_has_the_published_figures_of_the_families_asked_about(results):
    text = shown(results.table())
    row = next(line for line in text.splitlines() if "Yes/No" in line).split()
    assert row[-6:] == ["60.0", "100", "100", "92.4", "96.3", "97.7"]
    assert next(line for line in text.splitlines() if "mean" in line).split()[1:3] == ["80.00", "100.00"]
    assert "1 of 2 families at 95 % or more" in text
    assert "Counting" not in text


def test_published_means_and_families_passed_are_those_that_were_published():
    means = {
        name: (round(sum(column) / 20, 3), sum(value >= 95 for value in column)) for name, column in PUBLISHED.items()
    }
    assert means["MemNN"] == (93.35, 16)
    assert means["DMN"] == (93.605, 18)
    assert means["MemN2N"] == (86.145, 9)
    assert means["YerevaNN basic"] == (77.205, 7)
    assert means["YerevaNN smooth"] == (75.05, 8)


def test_all_figures_as_json(results):
    kept = json.loads(json.dumps(results.to_json()))
    assert (kept["mean"], kept["passed"]) == (80, 1)
    assert kept["families"]["6"]["accuracy"] == 60
    assert kept["families"]["6"]["confusion"] == {"answers": ["[b]", "no", "yes"], "counts": results.confusion(6)[1]}


class Parrot(torch.nn.Module):
    """Answers as many as the story has facts, in the order of the answers."""

    def forward(self, facts, question):
        assert not self.training
        count = facts.any(2).sum(1)
        return SimpleNamespace(answer=torch.nn.functional.one_hot(count - 1, 3).float())


def test_a_network_is_asked_in_evaluation_and_left_as_it_was():
    vocabulary = Vocabulary(("", ".", "a", "b"), ("one", "three", "two"))
    told = [Story(7, ("a",) * n, "b", answer) for n, answer in ((1, "one"), (3, "three"), (2, "three"), (2, "never"))]
    model = Parrot().train()
    results = measure(model, vocabulary, told)
    assert model.training
    assert results.asked == {7: 4}
    assert results.answers[7] == {
        ("one", "one"): 1,
        ("three", "two"): 1,
        ("three", "three"): 1,
        ("never", "three"): 1,
    }
    assert results.right[7] == 2
