"""Input modules of dynamic memory networks: stories as streams of words, weights of positions, what padding may do."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from memviz.demos.models.dmn_input import PositionalInput, RecurrentInput, as_stream, last_of, position_weights

FACTS = torch.tensor([[[3, 4, 1], [5, 1, 0]], [[6, 1, 0], [0, 0, 0]]])


def test_a_story_is_one_row_of_words_without_the_padding_in_between():
    stream = as_stream(FACTS)
    assert stream.words.tolist() == [[3, 4, 1, 5, 1], [6, 1, 0, 0, 0]]
    assert stream.real.tolist() == [[True] * 5, [True, True, False, False, False]]
    assert stream.ends.tolist() == [[2, 4], [1, 0]]


def test_the_last_real_word_counts():
    hidden = torch.arange(12.0).view(2, 3, 2)
    assert last_of(hidden, torch.tensor([[7, 8, 9], [7, 0, 0]])).tolist() == [[4, 5], [6, 7]]


def test_positions_weigh_words_as_sukhbaatar_has_it():
    """l_jd = (1 - j/M) - (d/D)(1 - 2j/M), counted from 1, over the real words of a fact."""
    weights = position_weights(FACTS, 4, torch.float64)
    for story in range(2):
        for fact in range(2):
            words = int((FACTS[story, fact] != 0).sum())
            for j in range(1, 4):
                for d in range(1, 5):
                    expected = (1 - j / words) - d / 4 * (1 - 2 * j / words) if j <= words else 0.0
                    assert weights[story, fact, j - 1, d - 1].item() == pytest.approx(expected, abs=1e-15)


@pytest.fixture
def words():
    torch.manual_seed(0)
    return nn.Embedding(9, 4, padding_idx=0).double()


@pytest.mark.parametrize("make", [RecurrentInput, PositionalInput])
def test_padding_changes_no_vector(make, words):
    torch.manual_seed(1)
    module = make(4, 5).double()
    question = torch.tensor([[2, 3], [7, 0]])
    seen = module(words, FACTS, question)
    assert seen.real.tolist() == [[True, True], [True, False]]
    alone = module(words, FACTS[1:, :1, :2], question[1:, :1])
    torch.testing.assert_close(seen.facts[1, 0], alone.facts[0, 0])
    torch.testing.assert_close(seen.question[1], alone.question[0])
    torch.testing.assert_close(module.read(words, question), seen.question)


def test_facts_of_words_are_one_for_each_word(words):
    torch.manual_seed(1)
    by_word, by_sentence = RecurrentInput(4, 5, "word").double(), RecurrentInput(4, 5).double()
    by_sentence.load_state_dict(by_word.state_dict())
    question = torch.tensor([[2], [7]])
    each, ends = by_word(words, FACTS, question), by_sentence(words, FACTS, question)
    assert each.facts.shape == (2, 5, 5)
    torch.testing.assert_close(each.facts[0, [2, 4]], ends.facts[0])


def test_facts_see_each_other_in_both_directions_only_with_positions(words):
    torch.manual_seed(1)
    changed = FACTS.clone()
    changed[0, 1, 0] = 8
    question = torch.tensor([[2], [7]])
    for make, sees_later in ((RecurrentInput, False), (PositionalInput, True)):
        module = make(4, 5).double()
        before, after = (module(words, facts, question).facts[0, 0] for facts in (FACTS, changed))
        assert torch.equal(before, after) is not sees_later


def test_dropout_acts_in_training_alone(words):
    torch.manual_seed(1)
    module = PositionalInput(4, 50, 0.5).double()
    question = torch.tensor([[2], [7]])
    training = module.train()(words, FACTS, question)
    assert (training.facts[0] == 0).any()
    assert not (module.eval()(words, FACTS, question).facts[0] == 0).any()
