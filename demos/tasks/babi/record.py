"""What a record of a story says about it: the labels that pages read. The format is described in docs/demos.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from memviz.demos.tasks.babi.families import FAMILIES
from memviz.demos.tasks.babi.stories import Story
from memviz.demos.tasks.babi.vocabulary import END, Vocabulary, words_of

ALTERNATIVES = 10
"""Answers that a record lists, the most probable first."""


def story_labels(story: Story, vocabulary: Vocabulary, probabilities: Tensor | None = None) -> dict[str, Any]:
    """The labels of a record of one story.

    Args:
        story: what was told and asked.
        vocabulary: of the network.
        probabilities: [answer], what the network gives each answer; None leaves its answer out.

    Returns:
        `task`, `family`, `facts`, `question`, `answer`, `supporting`, and with probabilities `predicted`,
        `confidence`, `right` and `alternatives`, pairs of answer and probability.
    """
    labels: dict[str, Any] = {
        "task": story.task,
        "family": FAMILIES[story.task - 1].name if story.task else "",
        "facts": list(story.facts),
        "question": story.question,
        "answer": story.answer,
        "supporting": list(story.supporting),
    }
    if probabilities is None:
        return labels
    top = torch.topk(probabilities.double(), min(ALTERNATIVES, len(probabilities)))
    alternatives = [
        [vocabulary.answers[number], value]
        for number, value in zip(top.indices.tolist(), top.values.tolist(), strict=True)
    ]
    return labels | {
        "predicted": alternatives[0][0],
        "confidence": alternatives[0][1],
        "right": alternatives[0][0] == story.answer,
        "alternatives": alternatives,
    }


def by_word(story: Story) -> Story:
    """The story as a network sees it for which each word is a fact; a sentence supports by its end."""
    facts: list[str] = []
    ends = []
    for fact in story.facts:
        facts += [*words_of(fact), END]
        ends.append(len(facts) - 1)
    return Story(
        story.task, tuple(facts), story.question, story.answer, tuple(ends[place] for place in story.supporting)
    )


def is_story(labels: Mapping[str, Any]) -> bool:
    """Whether the labels of a record are those of a story."""
    return {"facts", "question", "answer"} <= set(labels)
