"""Words and answers as numbers: what is known, what is not, and stories as padded tensors."""

from __future__ import annotations

import pytest
import torch

from memviz.demos.tasks.babi.stories import Story
from memviz.demos.tasks.babi.vocabulary import UnknownWordsError, Vocabulary, words_of

STORIES = [
    Story(1, ("Mary went to the garden.", "John sat."), "Where is Mary?", "garden", (0,)),
    Story(8, ("Mary got the milk.",), "What is Mary carrying?", "apple,milk", ()),
]


@pytest.fixture
def vocabulary():
    return Vocabulary.of(STORIES)


def test_words_are_in_lower_case_and_without_punctuation():
    assert words_of('"Where, is  Mary?" she said... e,n!') == ["where", "is", "mary", "she", "said", "e", "n"]
    assert words_of(" . ?") == []


def test_a_vocabulary_is_in_alphabetical_order_after_padding_and_end(vocabulary):
    assert vocabulary.words[:2] == ("", ".")
    assert list(vocabulary.words[2:]) == sorted(vocabulary.words[2:])
    assert {"mary", "sat", "where", "carrying"} <= set(vocabulary.words)
    assert vocabulary.answers == ("apple,milk", "garden")
    assert Vocabulary.of(reversed(STORIES)) == vocabulary


def test_sentences_are_read_back(vocabulary):
    numbers = vocabulary.encode("MARY  went to the milk")
    assert [vocabulary.words[number] for number in numbers] == ["mary", "went", "to", "the", "milk", "."]


def test_unknown_words_are_named_once_in_the_order_of_the_text(vocabulary):
    text = "Bob took the milk, then Bob <b>took</b> Mary."
    assert vocabulary.unknown(text) == ["bob", "took", "then", "<b>took</b>"]
    with pytest.raises(UnknownWordsError, match="does not know 'bob', 'took', 'then', '<b>took</b>'") as caught:
        vocabulary.encode(text)
    assert caught.value.words == ("bob", "took", "then", "<b>took</b>")


def test_answers_have_numbers_and_one_that_no_network_can_give_has_none(vocabulary):
    assert vocabulary.answers[vocabulary.answer("garden")] == "garden"
    assert vocabulary.answer("kitchen") == -1


def test_stories_as_padded_tensors(vocabulary):
    encoded = vocabulary.encode_all(STORIES)
    assert encoded.facts.shape == (2, 2, 6), "five words and the end"
    assert encoded.facts[0, 1].tolist() == [*vocabulary.encode("john sat"), 0, 0, 0]
    assert not encoded.facts[1, 1].any(), "a fact of padding"
    assert encoded.question.shape == (2, 4)
    assert encoded.question[0].tolist() == [*vocabulary.encode("where is mary")[:-1], 0], "a question has no end"
    assert encoded.answer.tolist() == [1, 0]
    assert encoded.supporting.tolist() == [[0], [-1]]
    assert len(encoded) == 2
    assert encoded.to("cpu").facts.dtype == torch.long


def test_stories_without_supporting_facts_have_an_axis_of_none(vocabulary):
    assert vocabulary.encode_all(STORIES[1:]).supporting.shape == (1, 0)
