"""The torch network for multiple choice against numpy loops: every gate, episode and answer, with every option."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import memviz
from memviz.demos.models.dmn_choice import DMNChoice
from memviz.demos.reference import dmn_choice as reference

WORDS, HOPS = 12, 2
STORIES = [
    ([[3, 4, 5, 1], [6, 2, 1], [7, 8, 9, 1]], [11, 3], [[2], [5, 4], [7], [9]]),
    ([[5, 4, 1]], [2, 7, 9], [[3, 10, 2], [4], [6], [8]]),
]
CHANGES = [
    {},
    {"answer": "each", "normalise": "scores"},
    {"mask": "word", "normalise": "gates"},
    {"episode": "attention_gru"},
    {"episode": "soft", "normalise": "scores", "encoder": "positional", "answer": "match"},
]


def rows(sequences, count, width):
    table = torch.zeros(count, width, dtype=torch.long)
    for place, words in enumerate(sequences):
        table[place, : len(words)] = torch.tensor(words)
    return table


def padded(stories):
    return (
        torch.stack([rows(facts, 3, 4) for facts, _, _ in stories]),
        rows([question for _, question, _ in stories], len(stories), 3),
        torch.stack([rows(choices, 4, 3) for _, _, choices in stories]),
    )


@pytest.mark.parametrize("changes", CHANGES, ids=lambda changes: " ".join(map(str, changes.values())) or "draft")
def test_every_internal_of_every_choice(changes, tmp_path):
    torch.manual_seed(0)
    model = DMNChoice(WORDS, 4, hops=HOPS, dim=5, word_size=4, **changes).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.6)
        model.words.weight[0] = 0
    with memviz.attach(model, tmp_path / "trace", every=1, batch="all") as recorder:
        output = model(*padded(STORIES))
    record = memviz.open(recorder.path)[0]
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    options = model.options
    shared = {name: getattr(options, name) for name in ("encoder", "mask", "normalise", "episode", "hops")}
    net = reference.network(weights, **shared)
    for item, story in enumerate(STORIES):
        expected = reference.run(*story, net, options.answer)
        np.testing.assert_allclose(output.answer[item].detach(), expected["answer"], atol=1e-10)
        np.testing.assert_allclose(
            record["answer_probabilities"][:, item], expected["answer_probabilities"], atol=1e-10
        )
        for number, letter in enumerate("ABCD"):
            gates = record[f"choices.{letter}/episodic_attention"][:, item]
            real = expected["episodic_attention"].shape[2]
            np.testing.assert_allclose(gates[:, :real], expected["episodic_attention"][number], atol=1e-10)
            assert not gates[:, real:].any(), "a gate on padding"
            np.testing.assert_allclose(
                record[f"choices.{letter}/episode"][:, item], expected["episode"][number], atol=1e-10
            )
        alone = model(*padded([story]))
        torch.testing.assert_close(alone.answer[0], output.answer[item], atol=1e-12, rtol=0)


@pytest.mark.parametrize("answer", ["each", "match"])
def test_the_order_of_the_choices_does_not_matter(answer):
    torch.manual_seed(0)
    model = DMNChoice(WORDS, 4, hops=HOPS, dim=5, word_size=4, answer=answer).double().eval()
    facts, question, choices = padded(STORIES)
    turned = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(
        model(facts, question, choices[:, turned]).answer, model(facts, question, choices).answer[:, turned]
    )
