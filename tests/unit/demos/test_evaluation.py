"""The evaluation: what it measures, what it writes, and that the page loads nothing from the network."""

from __future__ import annotations

import json
import re

import pytest
import torch
from torch import nn

from memviz.demos.building import make_task
from memviz.demos.evaluation import evaluate, write_evaluation
from memviz.demos.plan import Plan

PLAN = Plan("copy", batch_size=4, task_options={"width": 3, "longest": 4})


class Copier(nn.Module):
    """Says what was seen, but only the first four items of it."""

    def forward(self, x):
        times = x.shape[1]
        length = (times - 1) // 2
        said = torch.full((len(x), times, 3), 0.5)
        said[:, length + 1 : length + 1 + min(length, 4)] = x[:, : min(length, 4), :3]
        assert not self.training
        return (said, None)


@pytest.fixture(scope="module")
def found():
    model = Copier()
    result = evaluate(PLAN, model, make_task(PLAN), batches=30, lengths=(2, 4, 8))
    assert model.training
    return result


def test_mistakes_by_length_show_where_it_stops_to_generalize(found):
    assert found.mistakes == 0
    assert found.solved
    assert found.by_length[2] == found.by_length[4] == 0
    # An answer of exactly 1/2 says 0, which is wrong for half of the 12 bits beyond the fourth item.
    assert found.by_length[8] == pytest.approx(6, abs=0.8)
    assert found.items == 120
    assert found.sentence() == (
        f"0 wrong bits per item on 120 fresh ones; by number of items: 2: 0, 4: 0, 8: {found.by_length[8]:.3g}"
    )


def test_items_are_the_same_for_a_seed_and_not_those_of_the_training(found):
    assert evaluate(PLAN, Copier(), make_task(PLAN), batches=30, lengths=(2, 4, 8)) == found
    other = evaluate(PLAN, Copier(), make_task(PLAN), batches=30, lengths=(8,), seed=5)
    assert other.by_length[8] != found.by_length[8]


def test_figures_and_a_page_that_needs_nothing_from_the_network(found, tmp_path):
    page = write_evaluation(found, tmp_path / "v1.0" / "copy.safetensors")
    assert page == tmp_path / "v1.0" / "copy.generalisation.html"
    figures = json.loads(page.with_suffix(".json").read_text())
    assert figures["by_length"] == {str(length): value for length, value in found.by_length.items()}
    assert figures["plan"] == PLAN.to_json()
    text = page.read_text()
    assert "wrong bits per item" in text
    assert re.findall(r'<script[^>]*src="([^"]*)"', text) == ["plotly.min.js"]
    assert (page.parent / "plotly.min.js").is_file()


def test_without_lengths_there_are_figures_alone(tmp_path):
    found = evaluate(PLAN, Copier(), make_task(PLAN), batches=1, lengths=())
    assert write_evaluation(found, tmp_path / "copy") is None
    assert (tmp_path / "copy.generalisation.json").is_file()
