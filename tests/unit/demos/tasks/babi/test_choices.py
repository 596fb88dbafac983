"""Stories with choices: one of them right, wrong ones of the same kind, and records that say what each choice was."""

from __future__ import annotations

from random import Random

import pytest
import torch

import memviz
from memviz.demos.building import make_model, make_task
from memviz.demos.plan import Plan
from memviz.demos.tasks.babi.choices import ChoiceTask
from memviz.errors import OptionError

SMALL = {"hops": 2, "dim": 4, "word_size": 4}
PLACES = {"bathroom", "bedroom", "garden", "hallway", "kitchen", "office"}


@pytest.fixture(scope="module")
def task():
    return ChoiceTask()


def test_the_right_answer_is_among_the_choices_and_the_others_are_of_its_kind(task):
    batch = task.batch(50, torch.Generator().manual_seed(0))
    assert len(batch) == 50
    for story, offered, right in zip(batch.stories, batch.offered, batch.right.tolist(), strict=True):
        assert offered[right] == story.answer
        assert len(set(offered)) == 4
        assert set(offered) <= PLACES
    assert set(batch.right.tolist()) == {0, 1, 2, 3}
    words = [task.vocabulary.words[number] for number in batch.choices[0, :, 0].tolist()]
    assert words == batch.offered[0]


def test_a_family_with_two_answers_borrows_words():
    task = ChoiceTask(tasks="6", choices=5)
    story = task.probe().stories[0]
    offered = task.offer(story, Random(0))
    assert len(set(offered)) == 5
    assert {"yes", "no"} <= set(offered)


def test_lists_are_read_word_by_word():
    task = ChoiceTask(tasks="19")
    batch = task.batch(5, torch.Generator().manual_seed(0))
    assert batch.choices.shape == (5, 4, 2)
    assert {"n", "e", "s", "w"} <= set(task.vocabulary.words)


def test_the_same_seed_offers_the_same(task):
    first, second = (task.batch(8, torch.Generator().manual_seed(3)) for _ in range(2))
    assert first.offered == second.offered
    assert torch.equal(first.choices, second.choices)
    assert task.probe().offered == task.probe().offered


@pytest.mark.parametrize("choices", [1, 11, "4", 2.0])
def test_a_number_of_choices_that_cannot_be(choices):
    with pytest.raises(OptionError, match="choices must be"):
        ChoiceTask(choices=choices)


def test_records_name_the_choices_and_what_was_chosen(tmp_path):
    plan = Plan("choices", model="dmn-choice", model_options=SMALL)
    task = make_task(plan)
    model = make_model(plan, task)
    probe = task.probe()
    with memviz.attach(model, tmp_path / "trace", every=1) as recorder:
        recorder.label(**probe.labels())
        answer = task.answer(model, probe)
    record = memviz.open(recorder.path)[0]
    offered = dict(zip("ABCD", probe.offered[0], strict=True))
    assert record.labels["choices"] == offered
    probabilities = dict(map(tuple, record.labels["alternatives"]))
    expected = torch.softmax(answer.answer[0], dim=0).tolist()
    assert probabilities == pytest.approx(dict(zip(offered.values(), expected, strict=True)), abs=1e-6)
    assert record.labels["predicted"] == max(probabilities, key=probabilities.get)
    assert {f"choices.{letter}" for letter in "ABCD"} <= set(record.memories)


def test_the_loss_has_a_gradient_for_every_weight_and_l2_adds_to_it():
    for l2 in (0.0, 0.5):
        plan = Plan("choices", {"l2": l2}, model="dmn-choice", model_options=SMALL | {"answer": "each"})
        task = make_task(plan)
        torch.manual_seed(0)
        model = make_model(plan, task)
        batch = task.probe()
        loss = task.loss(task.answer(model, batch), batch)
        loss.backward()
        assert all(parameter.grad is not None for parameter in model.parameters())
        plain = torch.nn.functional.cross_entropy(task.answer(model, batch).answer, batch.right)
        assert loss.item() == pytest.approx((plain + l2 * model.penalty()).item(), rel=1e-6)


def test_wrong_answers_are_counted():
    task = ChoiceTask()
    batch = task.batch(4, torch.Generator().manual_seed(0))
    scores = torch.nn.functional.one_hot(batch.right, 4).float()
    scores[0] = -scores[0]
    from memviz.demos.models.dmn_choice import ChoiceOutput

    empty = torch.zeros(0)
    assert task.mistakes(ChoiceOutput(scores, empty, empty, empty), batch) == 0.25
    assert task.of_length(2).stories.families == (2,)
