"""Options of the network for multiple choice; its numbers are compared in tests/reference."""

from __future__ import annotations

import pytest
import torch

from memviz.demos.models.dmn_choice import DMNChoice
from memviz.errors import OptionError

FACTS = torch.tensor([[[3, 4, 1], [5, 1, 0]], [[6, 1, 0], [0, 0, 0]]])
QUESTION = torch.tensor([[2, 3], [7, 0]])
CHOICES = torch.tensor([[[3, 0], [4, 2], [5, 0]], [[2, 2], [7, 0], [1, 0]]])


@pytest.mark.parametrize("encoder", ["recurrent", "positional"])
@pytest.mark.parametrize("answer", ["joint", "each", "match"])
@pytest.mark.parametrize("normalise", ["none", "gates", "scores"])
def test_any_options_give_scores_of_choices_and_gates_of_facts(encoder, answer, normalise):
    model = DMNChoice(9, 3, encoder=encoder, answer=answer, normalise=normalise, hops=2, dim=5, word_size=4)
    output = model(FACTS, QUESTION, CHOICES)
    assert output.answer.shape == (2, 3)
    assert output.gates.shape == (3, 2, 2, 2)
    assert not output.gates[:, :, 1, 1].any(), "a fact of padding"
    output.answer.logsumexp(1).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"choices": 1}, "choices must be 2 to 10, not 1"),
        ({"answer": "best"}, "answer must be joint, each or match"),
        ({"hops": 0}, "hops"),
        ({"dropout": 2}, "dropout"),
    ],
)
def test_a_bad_option_is_one_line(options, line):
    with pytest.raises(OptionError, match=line):
        DMNChoice(9, **options)


def test_the_draft_has_the_widths_it_was_published_with():
    model = DMNChoice(9, dim=7)
    assert model.gates.first.weight.shape == (7, 10 * 7 + 3)
    assert model.linear.weight.shape == (4, 4 * 7)
    assert all(episode.gru is model.gru for episode in model.choices.values())


def test_given_word_vectors_stay_as_they_are():
    model = DMNChoice(torch.randn(9, 3), 3, hops=1, dim=4)
    assert not model.words.weight.requires_grad
    model(FACTS, QUESTION, CHOICES).answer.sum().backward()
    assert model.words.weight.grad is None
    assert model.penalty().item() == pytest.approx(
        sum((p.detach() ** 2).sum().item() for n, p in model.named_parameters() if n != "words.weight"), rel=1e-6
    )
