"""The torch network against numpy loops: every internal, every variant and option, and the gradient of the loss."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from torch.nn import functional

import memviz
from memviz.demos.models.dmn import DMN, VARIANTS
from memviz.demos.reference import dmn as reference

WORDS, ANSWERS = 12, 4
STORIES = [
    ([[3, 4, 5, 1], [6, 2, 1], [7, 8, 9, 1], [3, 10, 1]], [11, 3]),
    ([[5, 4, 1]], [2, 7, 9]),
    ([[9, 8, 7, 6, 1], [5, 1]], [4]),
]
SIZES = {"hops": 3, "dim": 5, "word_size": 4}
CHANGES = [
    {"variant": "basic"},
    {"variant": "smooth"},
    {"variant": "batch"},
    {"variant": "plus"},
    {"variant": "basic", "mask": "word", "normalise": "gates"},
    {"variant": "smooth", "memory": "untied", "answer": "recurrent", "answer_steps": 2},
    {"variant": "smooth", "episode": "attention_gru", "normalise": "scores"},
    {"variant": "plus", "episode": "soft"},
    {"variant": "plus", "episode": "gated", "normalise": "none", "answer": "recurrent"},
]


def names(changes):
    return " ".join(map(str, changes.values()))


@pytest.fixture(params=CHANGES, ids=names)
def model(request):
    torch.manual_seed(0)
    made = DMN(WORDS, ANSWERS, **{**SIZES, **request.param}).double()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.6)
        made.words.weight[0] = 0
    if made.finish.norm is not None:
        made.finish.norm.running_mean.normal_()
        made.finish.norm.running_var.uniform_(0.5, 2)
    return made.eval()


def network(model):
    weights = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    kept = set(reference.Network.__dataclass_fields__) - {"weights"}
    return reference.Network(weights, **{name: value for name, value in asdict(model.options).items() if name in kept})


def padded(stories):
    most, longest = max(len(facts) for facts, _ in stories), max(len(fact) for facts, _ in stories for fact in facts)
    width = max(len(question) for _, question in stories)
    facts = torch.zeros(len(stories), most, longest, dtype=torch.long)
    questions = torch.zeros(len(stories), width, dtype=torch.long)
    for item, (story, question) in enumerate(stories):
        for place, fact in enumerate(story):
            facts[item, place, : len(fact)] = torch.tensor(fact)
        questions[item, : len(question)] = torch.tensor(question)
    return facts, questions


def test_every_internal_of_every_hop(model, tmp_path):
    net = network(model)
    with memviz.attach(model, tmp_path / "trace", every=1, batch="all") as recorder:
        output = model(*padded(STORIES))
    record = memviz.open(recorder.path)[0]
    assert record.lengths["memory"] == SIZES["hops"]
    for item, (facts, question) in enumerate(STORIES):
        expected = reference.run(facts, question, net)
        np.testing.assert_allclose(output.answer[item].detach(), expected["answer"], atol=1e-10)
        for name in ("episodic_attention", "episode_candidates", "episode", "answer_probabilities"):
            recorded = record[name][:, item]
            if name in {"episodic_attention", "episode_candidates"}:
                real = expected[name].shape[1]
                assert name != "episodic_attention" or not recorded[:, real:].any(), "a gate on padding"
                recorded = recorded[:, :real]
            np.testing.assert_allclose(recorded, expected[name], atol=1e-10, err_msg=name)


def test_a_story_does_not_depend_on_what_it_is_batched_with(model):
    together = model(*padded(STORIES))
    for item, story in enumerate(STORIES):
        alone = model(*padded([story]))
        torch.testing.assert_close(together.answer[item], alone.answer[0], atol=1e-12, rtol=0)


def test_the_gradient_of_the_loss_by_finite_differences(model):
    facts, question = STORIES[0]
    answer = 2
    output = model(*padded([STORIES[0]]))
    functional.cross_entropy(output.answer, torch.tensor([answer])).backward()
    net, step = network(model), 1e-6
    rng = np.random.default_rng(0)
    for name, parameter in model.named_parameters():
        for place in rng.choice(parameter.numel(), size=min(2, parameter.numel()), replace=False):
            found = []
            for sign in (1, -1):
                moved = net.weights[name].copy()
                moved.flat[place] += sign * step
                found.append(
                    reference.loss(facts, question, answer, replace(net, weights={**net.weights, name: moved}))
                )
            expected = (found[0] - found[1]) / (2 * step)
            got = 0.0 if parameter.grad is None else parameter.grad.flatten()[place].item()
            if name == "words.weight" and place < SIZES["word_size"]:
                continue  # padding has no gradient, and no effect
            assert got == pytest.approx(expected, abs=2e-8), name


def test_variants_are_the_ones_compared():
    assert {changes["variant"] for changes in CHANGES} == set(VARIANTS)
