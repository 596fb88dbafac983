"""What a record of a story says: the labels that pages read, and a whole test set as a trace."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import memviz
from memviz.demos.models.dmn import DMN
from memviz.demos.tasks.babi.generate import generate
from memviz.demos.tasks.babi.record import ALTERNATIVES, by_word, is_story, story_labels
from memviz.demos.tasks.babi.recording import record_stories
from memviz.demos.tasks.babi.stories import Story
from memviz.demos.tasks.babi.vocabulary import UnknownWordsError, Vocabulary

STORY = Story(6, ("Mary moved to the office.", "John sat."), "Is Mary in the office?", "yes", (0,))


def test_a_story_with_what_a_network_makes_of_it():
    vocabulary = Vocabulary(("", "."), ("maybe", "no", "yes"))
    labels = story_labels(STORY, vocabulary, torch.tensor([0.1, 0.6, 0.3]))
    assert labels == {
        "task": 6,
        "family": "Yes/No Questions",
        "facts": ["Mary moved to the office.", "John sat."],
        "question": "Is Mary in the office?",
        "answer": "yes",
        "supporting": [0],
        "predicted": "no",
        "confidence": pytest.approx(0.6),
        "right": False,
        "alternatives": [["no", pytest.approx(0.6)], ["yes", pytest.approx(0.3)], ["maybe", pytest.approx(0.1)]],
    }
    json.dumps(labels)
    assert is_story(labels)


def test_a_story_alone():
    labels = story_labels(Story(0, ("a",), "b", "c"), Vocabulary(("", "."), ("c",)))
    assert labels["family"] == ""
    assert "predicted" not in labels
    assert is_story(labels)
    assert not is_story({"facts": [], "question": ""})


def test_no_more_alternatives_than_people_read():
    vocabulary = Vocabulary(("", "."), tuple(map(str, range(30))))
    alternatives = story_labels(STORY, vocabulary, torch.arange(30.0) / 435)["alternatives"]
    assert len(alternatives) == ALTERNATIVES
    assert [name for name, _ in alternatives[:2]] == ["29", "28"]


def test_a_story_word_by_word():
    told = by_word(STORY)
    assert told.facts == ("mary", "moved", "to", "the", "office", ".", "john", "sat", ".")
    assert told.supporting == (5,)


@pytest.mark.parametrize("options", [{}, {"mask": "word"}, {"variant": "plus"}])
def test_a_test_set_is_a_record_per_story_with_what_was_answered(options, tmp_path):
    stories = generate([1, 2], 3, 0)
    vocabulary = Vocabulary.of(stories)
    torch.manual_seed(0)
    model = DMN(len(vocabulary.words), len(vocabulary.answers), hops=2, dim=4, word_size=4, dropout=0.5, **options)
    path = record_stories(model.train(), vocabulary, stories, tmp_path / "stories", {"task": "babi"})
    assert model.training
    trace = memviz.open(path)
    assert len(trace) == len(stories)
    assert list(trace.steps) == list(range(6))
    assert trace.header.attributes["task"] == "babi"
    model.eval()
    for record, story in zip(trace, stories, strict=True):
        encoded = vocabulary.encode_all([story])
        with torch.no_grad():
            output = model(encoded.facts, encoded.question)
        labels = record.labels
        told = by_word(story) if options.get("mask") == "word" else story
        assert (labels["facts"], labels["question"]) == (list(told.facts), story.question)
        assert (labels["answer"], labels["supporting"]) == (story.answer, list(told.supporting))
        assert labels["predicted"] == vocabulary.answers[int(output.answer.argmax())]
        assert labels["right"] is (labels["predicted"] == story.answer)
        probabilities = record["answer_probabilities"][-1, 0]
        assert labels["confidence"] == pytest.approx(probabilities.max(), abs=1e-6)
        np.testing.assert_allclose(record["episodic_attention"][:, 0], output.gates[:, 0], atol=1e-6)
        assert record["episodic_attention"].shape[2] == len(labels["facts"])


def test_unknown_words_are_said_and_the_network_is_left_as_it_was(tmp_path):
    vocabulary = Vocabulary.of([STORY])
    model = DMN(len(vocabulary.words), 1, hops=1, dim=3, word_size=3).train()
    with pytest.raises(UnknownWordsError, match="'bob'"):
        record_stories(model, vocabulary, [Story(1, ("Bob sat.",), "Where is Mary?", "yes")], tmp_path / "stories")
    assert model.training
