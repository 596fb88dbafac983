"""Options of dynamic memory networks, and what each of them does; the numbers are compared in tests/reference."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch

import memviz
from memviz.demos.models.dmn import DMN, VARIANTS, DMNOptions
from memviz.errors import OptionError

SIZES = {"hops": 3, "dim": 6, "word_size": 4}
FACTS = torch.tensor([[[3, 4, 1], [5, 1, 0]], [[6, 1, 0], [0, 0, 0]]])
QUESTION = torch.tensor([[2, 3], [7, 0]])
CHOICES = {
    "attention": ("basic", "smooth", "plus"),
    "normalise": ("none", "gates", "scores"),
    "encoder": ("recurrent", "positional"),
    "mask": ("sentence", "word"),
    "episode": ("gated", "attention_gru", "soft"),
    "memory": ("tied", "untied", "relu"),
    "answer": ("feedforward", "recurrent"),
}


def made(seed=0, **options):
    torch.manual_seed(seed)
    return DMN(9, 4, **{**SIZES, **options})


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_can_be_changed_in_any_option(variant):
    for name, values in CHOICES.items():
        for value in values:
            model = made(variant=variant, **{name: value})
            assert getattr(model.options, name) == value
            output = model(FACTS, QUESTION)
            assert output.answer.shape == (2, 4)
            assert output.gates.shape == output.scores.shape
            assert output.gates.shape[:2] == (3, 2)
            assert not output.gates[:, ~output.real].any()
            assert ((output.gates >= 0) & (output.gates <= 1)).all()
            output.answer.logsumexp(1).sum().backward()
    assert set(CHOICES) | {"answer_steps", "sees_question", "hops", "dim", "word_size", "dropout", "batch_norm"} == {
        entry.name for entry in fields(DMNOptions)
    }


@pytest.mark.parametrize(
    ("option", "line"),
    [
        ({"variant": "smoth"}, "variant must be basic, smooth, batch or plus, not 'smoth'; did you mean 'smooth'"),
        ({"attention": "soft"}, "attention must be basic, smooth or plus"),
        ({"episode": 3}, "episode must be gated"),
        ({"hops": 0}, "hops"),
        ({"dim": 2.5}, "dim"),
        ({"dropout": 1.5}, "dropout"),
        ({"batch_norm": "yes"}, "batch_norm must be True or False"),
    ],
)
def test_a_bad_option_is_one_line(option, line):
    with pytest.raises(OptionError, match=line):
        made(**option)


def test_variants_are_what_they_were_published_as():
    assert {name: VARIANTS[name].attention for name in VARIANTS} == {
        "basic": "basic",
        "smooth": "smooth",
        "batch": "smooth",
        "plus": "plus",
    }
    assert VARIANTS["batch"].batch_norm
    theirs = VARIANTS["smooth"]
    assert (theirs.hops, theirs.dim, theirs.word_size) == (5, 40, 50)
    assert (theirs.memory, theirs.episode, theirs.normalise) == ("tied", "gated", "none")
    assert made(variant="basic").gates.bilinear.shape == (6, 6)
    assert made(variant="smooth").gates.bilinear is None


def test_a_tied_memory_has_the_weights_of_the_episode_and_an_untied_one_its_own():
    tied, untied = made(), made(memory="untied")
    assert tied.memory.gru is tied.gru
    assert untied.memory.gru is not untied.gru
    grown = sum(p.numel() for p in untied.parameters()) - sum(p.numel() for p in tied.parameters())
    assert grown == sum(p.numel() for p in tied.gru.parameters())


def test_given_word_vectors_stay_as_they_are():
    vectors = torch.randn(9, 3)
    vectors[0] = 0
    model = DMN(vectors, 4, hops=2, dim=5)
    assert torch.equal(model.words.weight, vectors)
    assert not model.words.weight.requires_grad
    assert not any(parameter is model.words.weight for parameter in model.parameters() if parameter.requires_grad)


def test_dropout_changes_answers_in_training_alone():
    model = made(dropout=0.5)
    model.eval()
    assert torch.equal(model(FACTS, QUESTION).answer, model(FACTS, QUESTION).answer)
    model.train()
    torch.manual_seed(1)
    assert not torch.equal(model(FACTS, QUESTION).answer, model(FACTS, QUESTION).answer)


def test_batch_normalisation_learns_its_statistics_and_takes_one_story():
    model = made(variant="batch")
    before = model.finish.norm.running_mean.clone()
    model(FACTS, QUESTION)
    after = model.finish.norm.running_mean.clone()
    assert not torch.equal(before, after)
    answer = model(FACTS[:1], QUESTION[:1]).answer
    assert torch.equal(after, model.finish.norm.running_mean), "one story has no variance"
    assert torch.isfinite(answer).all()


def test_recording_a_hop_changes_no_statistics(tmp_path):
    model = made(variant="batch")
    torch.manual_seed(3)
    plain = model(FACTS, QUESTION).answer
    other = made(variant="batch")
    torch.manual_seed(3)
    with memviz.attach(other, tmp_path / "trace", every=1):
        assert torch.equal(other(FACTS, QUESTION).answer, plain)
    assert torch.equal(model.finish.norm.running_mean, other.finish.norm.running_mean)


def test_answers_of_hops_end_with_the_answer(tmp_path):
    model = made(answer="recurrent", answer_steps=2).eval()
    with memviz.attach(model, tmp_path / "trace", every=1) as recorder:
        answer = model(FACTS[:1], QUESTION[:1]).answer
    hops = memviz.open(recorder.path)[0]["answer_probabilities"]
    assert hops.shape == (3, 1, 4)
    torch.testing.assert_close(torch.from_numpy(hops[-1]), torch.softmax(answer.detach(), 1))


def test_the_penalty_is_the_sum_of_squares_of_what_is_learned():
    model = DMN(torch.ones(9, 3), 4, hops=2, dim=5)
    expected = sum((p.detach() ** 2).sum().item() for n, p in model.named_parameters() if n != "words.weight")
    assert model.penalty().item() == pytest.approx(expected, rel=1e-6)


def test_more_hops_start_as_fewer():
    few, many = made(hops=2).eval(), made(hops=4).eval()
    many.load_state_dict(few.state_dict())
    torch.testing.assert_close(many(FACTS, QUESTION).gates[:2], few(FACTS, QUESTION).gates)
