"""What holds for every task of sequences: seeds, shapes, phases, tokens, lengths, curricula, and bad options."""

from __future__ import annotations

import pytest
import torch

from memviz.demos.building import make_model, make_task
from memviz.demos.parts import TASKS
from memviz.demos.plan import Plan
from memviz.demos.tasks.ranged import RangedTask
from memviz.demos.tasks.sequence import SequenceTask
from memviz.errors import OptionError, UnknownNameError

SEQUENCES = [name for name in TASKS if issubclass(TASKS[name].load(), SequenceTask)]
RANGED = [name for name in SEQUENCES if issubclass(TASKS[name].load(), RangedTask)]


def drawn(task, seed=0, size=3, level=1.0):
    return task.batch(size, torch.Generator().manual_seed(seed), level)


def equal(a, b):
    return torch.equal(a.input, b.input) and torch.equal(a.target.nan_to_num(-1), b.target.nan_to_num(-1))


@pytest.mark.parametrize("name", SEQUENCES)
class TestEveryTask:
    def test_a_seed_gives_the_same_batch_and_another_seed_another(self, name):
        task = make_task(Plan(name))
        assert equal(drawn(task, 1), drawn(task, 1))
        assert not equal(drawn(task, 1), drawn(task, 2))
        assert equal(task.probe(), task.probe())

    def test_phases_and_tokens_cover_every_time(self, name):
        task = make_task(Plan(name))
        for batch in (drawn(task), task.probe()):
            times = batch.input.shape[1]
            assert batch.input.shape == (len(batch), times, task.input_size)
            assert batch.target.shape == (len(batch), times, task.output_size)
            stops = [0, *(stop for _, _, stop in batch.phases)]
            assert [start for _, start, _ in batch.phases] == stops[:-1]
            assert stops[-1] == len(batch.tokens) == times
            assert all(batch.tokens)
            assert batch.asked.any()
            # Nothing is asked of one sequence that is not asked of the others.
            assert (batch.target.isnan() == ~batch.asked[None, :, None]).all()
            assert not batch.input.isnan().any()

    def test_the_right_answer_is_no_mistake_and_costs_less_than_another(self, name):
        task = make_task(Plan(name))
        batch = drawn(task)
        right = (batch.target if batch.best is None else batch.best).nan_to_num(0.5)
        assert task.mistakes(right, batch) == pytest.approx(0, abs=1e-9)
        wrong = 1 - right + 0.1 * (right == 0.5)
        assert task.mistakes(wrong.clamp(0, 1) if task.activation == "sigmoid" else wrong, batch) > 0
        assert task.loss(right, batch) < task.loss(wrong.clamp(0, 1) if task.activation == "sigmoid" else wrong, batch)

    def test_of_length_is_the_same_task_at_one_size(self, name):
        task = make_task(Plan(name))
        assert max(task.lengths) > 1
        at = [drawn(task.of_length(length), seed).input.shape for length in task.lengths[:2] for seed in (0, 0)]
        assert at[0] == at[1]
        assert at[1][2] == at[2][2] == task.input_size
        assert at[0][1] != at[2][1]

    def test_a_curriculum_begins_with_what_is_short(self, name):
        task = make_task(Plan(name))
        first = {drawn(task, seed, level=1e-9).input.shape[1] for seed in range(20)}
        assert len(first) == 1
        assert max(drawn(task, seed).input.shape[1] for seed in range(40)) > first.pop()

    def test_a_model_answers_in_the_range_of_the_target(self, name):
        plan = Plan(name, model="lstm", model_options={"hidden_size": 4})
        task = make_task(plan)
        batch = drawn(task)
        answer = task.answer(make_model(plan, task), batch)
        assert answer.shape == batch.target.shape
        if task.activation == "sigmoid":
            assert answer.min() > 0
            assert answer.max() < 1
        task.loss(answer, batch).backward()

    def test_an_unknown_option_is_named(self, name):
        with pytest.raises(UnknownNameError, match=f"option of the task {name} named 'solve'. Did you mean 'solved'"):
            make_task(Plan(name, task_options={"solve": 1}))


@pytest.mark.parametrize("name", RANGED)
@pytest.mark.parametrize("options", [{"longest": 0}, {"shortest": 0}, {"shortest": 9, "longest": 8}, {"width": 1.5}])
def test_sizes_that_cannot_be_are_refused_in_one_line(name, options):
    with pytest.raises(OptionError, match=f"{next(iter(options))} must be ") as caught:
        make_task(Plan(name, task_options=options))
    assert "\n" not in str(caught.value)


def test_all_lengths_of_the_range_are_drawn():
    task = make_task(Plan("copy"))
    generator = torch.Generator().manual_seed(0)
    assert {int(task.batch(1, generator).asked.sum()) for _ in range(200)} == set(range(1, 9))
    assert {int(task.batch(1, generator, level=0.5).asked.sum()) for _ in range(200)} == set(range(1, 6))
