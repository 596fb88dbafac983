"""Record a trained network on many stories, one record each: the whole test set as a trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

import memviz
from memviz.demos.models.dmn import DMN
from memviz.demos.tasks.babi.record import by_word, story_labels
from memviz.demos.tasks.babi.stories import Story
from memviz.demos.tasks.babi.task import probabilities_of
from memviz.demos.tasks.babi.vocabulary import Vocabulary


def record_stories(
    model: DMN,
    vocabulary: Vocabulary,
    stories: Sequence[Story],
    out: Path,
    attributes: Mapping[str, Any] | None = None,
) -> Path:
    """Record the answers of a network to stories, as they are described in docs/demos.md.

    The n-th story is step n, because a model that is only evaluated has no training steps.

    Args:
        model: trained, in any mode and on any device; it is left as it was.
        vocabulary: of the network.
        stories: what to ask, one record each.
        out: folder of the trace; a new one is made beside it when it holds a trace.
        attributes: facts for the trace.

    Returns:
        The folder of the trace.

    Raises:
        UnknownWordsError: a story has words that the network does not know.
        TraceError: the trace cannot be written.
    """
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    recorder = memviz.attach(model, out, every=1, policy="block", attributes=dict(attributes or {}))
    assert recorder.path is not None
    try:
        with recorder, torch.no_grad():
            for story in stories:
                encoded = vocabulary.encode_all([story]).to(device)
                told = by_word(story) if model.reads_words else story
                recorder.label(**story_labels(told, vocabulary, probabilities_of(model, encoded)[0]))
                model(encoded.facts, encoded.question)
    finally:
        model.train(training)
    return recorder.path
