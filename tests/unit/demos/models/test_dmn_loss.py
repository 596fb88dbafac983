"""Supervised gates: which fact each hop should look at, and how far it is from that."""

from __future__ import annotations

import math

import pytest
import torch

from memviz.demos.models.dmn import DMNOutput
from memviz.demos.models.dmn_choice import ChoiceOutput
from memviz.demos.models.dmn_loss import at_ends, choice_gate_loss, gate_loss, hop_targets


def test_hops_take_the_supporting_facts_in_turn_and_then_stay_at_the_last():
    targets = hop_targets(torch.tensor([[2, 0], [1, -1], [-1, -1]]), hops=3, facts=4)
    assert targets[:, 0].argmax(1).tolist() == [2, 0, 0]
    assert targets[:, 1].argmax(1).tolist() == [1, 1, 1]
    assert targets[:, :2].sum(2).tolist() == [[1, 1]] * 3
    assert not targets[:, 2].any(), "nothing is known of this story"


def test_more_supporting_facts_than_hops_are_looked_at_together():
    targets = hop_targets(torch.tensor([[0, 1, 3]]), hops=2, facts=4)
    assert targets[:, 0].tolist() == [pytest.approx([1 / 3, 1 / 3, 0, 1 / 3])] * 2


def test_stories_that_know_of_no_supporting_facts_at_all():
    assert not hop_targets(torch.zeros(2, 0, dtype=torch.long), hops=2, facts=3).any()


def output(scores, real=None):
    scores = torch.tensor(scores)
    real = torch.ones(scores.shape[1:], dtype=torch.bool) if real is None else real
    return DMNOutput(torch.zeros(scores.shape[1], 1), torch.sigmoid(scores), scores, real)


def test_normalised_gates_are_compared_as_a_distribution():
    found = gate_loss(
        output([[[0.0, math.log(3.0), 5.0]]], torch.tensor([[True, True, False]])), torch.tensor([[1]]), True
    )
    assert found.item() == pytest.approx(-math.log(3 / 4))


def test_other_gates_are_a_decision_each():
    found = gate_loss(output([[[0.0, 2.0, 9.0]]], torch.tensor([[True, True, False]])), torch.tensor([[1]]), False)
    assert found.item() == pytest.approx(math.log(2) + math.log1p(math.exp(-2)))


def test_stories_without_support_count_for_nothing():
    scores = torch.zeros(2, 2, 3, requires_grad=True)
    both = DMNOutput(torch.zeros(2, 1), torch.sigmoid(scores), scores, torch.ones(2, 3, dtype=torch.bool))
    loss = gate_loss(both, torch.tensor([[0], [-1]]), True)
    assert loss.item() == pytest.approx(math.log(3)), "the mean over the other and its hops"
    loss.backward()
    assert scores.grad[:, 0].any()
    assert not scores.grad[:, 1].any()
    assert gate_loss(both, torch.tensor([[-1], [-1]]), True).item() == 0


def test_where_words_are_facts_a_sentence_is_looked_at_at_its_end():
    facts = torch.tensor([[[3, 4, 1], [5, 1, 0]], [[6, 1, 0], [0, 0, 0]]])
    assert at_ends(torch.tensor([[1, 0], [0, -1]]), facts).tolist() == [[4, 2], [1, -1]]


@pytest.mark.parametrize("normalised", [True, False])
def test_facts_support_the_right_choice_and_no_other(normalised):
    torch.manual_seed(0)
    scores = torch.randn(3, 2, 2, 4, requires_grad=True)  # [choice, hop, batch, fact]
    real = torch.tensor([[True, True, True, True], [True, True, False, False]])
    right, supporting = torch.tensor([2, 0]), torch.tensor([[1, 3], [0, -1]])
    gates = torch.sigmoid(scores)
    loss = choice_gate_loss(ChoiceOutput(torch.zeros(2, 3), gates, scores, real), supporting, right, normalised)
    expected = 0.0
    for story, choice in enumerate(right.tolist()):
        facts = int(real[story].sum())
        for hop in range(2):
            support = supporting[story, min(hop, int((supporting[story] >= 0).sum()) - 1)].item()
            if normalised:
                expected -= torch.log_softmax(scores[choice, hop, story, :facts], 0)[support].item() / 4
                continue
            for other in range(3):
                for fact in range(facts):
                    gate = gates[other, hop, story, fact].item()
                    is_open = other == choice and fact == support
                    expected -= math.log(gate if is_open else 1 - gate) / 4
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    loss.backward()
    assert not scores.grad[:, :, 1, 2:].any(), "padding teaches nothing"
