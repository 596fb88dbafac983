from __future__ import annotations

import pytest
import torch
from torch import nn

from memviz.recorders.steps import StepCounter


@pytest.fixture
def model():
    return nn.Linear(2, 2)


@pytest.fixture
def counter(model):
    counter = StepCounter(model)
    counter.listen(lambda: None)
    yield counter
    counter.stop()


def forward(counter, model):
    """Run a training forward with its backward; returns the step it was counted as."""
    moment = counter.forward(model)
    model(torch.rand(3, 2)).sum().backward()
    return None if moment is None else moment.step


def test_a_step_is_an_optimizer_update(counter, model):
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    steps = []
    for _ in range(4):
        steps.append(forward(counter, model))
        optimizer.step()
    assert steps == [0, 1, 2, 3]


def test_gradient_accumulation_is_one_step_from_the_first_forward_on(counter, model):
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    steps = []
    for iteration in range(9):
        steps.append(forward(counter, model))
        if iteration % 3 == 2:
            optimizer.step()
    assert steps == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_several_optimizers_after_one_forward_are_one_step(counter, model):
    optimizers = [torch.optim.SGD([p], 0.1) for p in model.parameters()]
    steps = []
    for _ in range(3):
        steps.append(forward(counter, model))
        for optimizer in optimizers:
            optimizer.step()
    assert steps == [0, 1, 2]


def test_optimizers_of_other_models_do_not_count(counter, model):
    other = nn.Linear(2, 2)
    mine, foreign = torch.optim.SGD(model.parameters(), 0.1), torch.optim.SGD(other.parameters(), 0.1)
    steps = []
    for _ in range(3):
        steps.append(forward(counter, model))
        mine.step()
        other(torch.rand(1, 2)).sum().backward()
        foreign.step()
    assert steps == [0, 1, 2]


def test_without_an_optimizer_training_forwards_are_steps(counter, model):
    assert [forward(counter, model) for _ in range(3)] == [0, 1, 2]


def test_an_optimizer_that_comes_later_goes_on_counting(counter, model):
    steps = [forward(counter, model) for _ in range(3)]
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(2):
        steps.append(forward(counter, model))
        optimizer.step()
    steps.append(forward(counter, model))
    assert steps == [0, 1, 2, 3, 4, 5]


def test_evaluation_between_training_steps_does_not_count(counter, model):
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    steps = []
    for _ in range(3):
        steps.append(forward(counter, model))
        optimizer.step()
        model.eval()
        assert counter.forward(model) is None
        model.train()
        with torch.no_grad():
            assert counter.forward(model) is None
    assert steps == [0, 1, 2]


def test_a_model_that_is_only_evaluated_counts_forwards(counter, model):
    model.eval()
    moments = [counter.forward(model) for _ in range(3)]
    assert [(moment.step, moment.training) for moment in moments] == [(0, False), (1, False), (2, False)]


def test_training_after_evaluation_starts_at_zero(counter, model):
    model.eval()
    for _ in range(3):
        counter.forward(model)
    model.train()
    moment = counter.forward(model)
    assert (moment.step, moment.forward, moment.training) == (0, 0, True)


def test_the_user_corrects_a_count_of_forwards(counter, model):
    forward(counter, model)
    counter.correct(40)
    assert [forward(counter, model) for _ in range(2)] == [41, 42]


def test_an_optimizer_is_believed_more_than_the_user(counter, model):
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    forward(counter, model)
    optimizer.step()
    forward(counter, model)
    counter.correct(40)
    optimizer.step()
    assert forward(counter, model) == 2


@pytest.mark.parametrize("optimized", [True, False])
def test_a_checkpoint_sets_the_step(counter, model, optimized):
    optimizer = torch.optim.SGD(model.parameters(), 0.1) if optimized else None
    forward(counter, model)
    counter.set(500)
    assert counter.current == 500
    steps = []
    for _ in range(2):
        steps.append(forward(counter, model))
        if optimized:
            optimizer.step()
    assert steps == [500, 501]


def test_updates_without_forwards_are_noticed(counter, model):
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    model(torch.rand(1, 2)).sum().backward()
    for _ in range(3):
        optimizer.step()
    assert counter.missed == 3
    forward(counter, model)
    assert counter.missed == 0


def test_a_stopped_counter_hears_nothing(model):
    heard = []
    counter = StepCounter(model)
    counter.listen(lambda: heard.append(1))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    forward(counter, model)
    optimizer.step()
    counter.stop()
    optimizer.step()
    assert heard == [1]


def test_lbfgs_calls_the_model_several_times_in_one_step(counter, model):
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=3)
    steps = []

    def closure():
        optimizer.zero_grad()
        moment = counter.forward(model)
        steps.append(moment.step)
        loss = model(torch.ones(1, 2)).square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    first = len(steps)
    optimizer.step(closure)
    assert set(steps[:first]) == {0}
    assert set(steps[first:]) == {1}
