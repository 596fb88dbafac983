"""The training loop of the demos: what it records and when it stops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import memviz
from memviz.demos import registry, train
from memviz.demos.building import make_model, make_task
from memviz.demos.checkpointing import Checkpoint, load_checkpoint
from memviz.errors import CheckpointError, UnknownNameError

COPY = registry.get("copy").plan.but(steps=12, every=5)


def short_run(tmp_path, plan=COPY, **options):
    task = make_task(plan)
    torch.manual_seed(plan.seed)
    model = make_model(plan, task)
    return train.train(plan, model, task, tmp_path / "run", **options)


def test_a_record_every_so_many_steps_and_one_of_the_end(tmp_path):
    seen = []
    outcome = short_run(tmp_path, on_step=lambda *values: seen.append(values))
    trace = memviz.open(outcome.path)
    assert trace.steps.tolist() == [0, 5, 10, 12]
    assert (outcome.steps, outcome.solved, outcome.records) == (12, False, 4)
    assert [done for done, _, _, _ in seen] == list(range(1, 13))
    assert trace.scalars["loss"].steps.tolist() == list(range(12))
    np.testing.assert_allclose(trace.scalars["loss"].values, [loss for _, loss, _, _ in seen], rtol=1e-6)
    np.testing.assert_allclose(trace.scalars["wrong_bits"].values, [bits for _, _, bits, _ in seen], rtol=1e-6)
    assert trace.state == "closed"
    assert not [event for event in trace.events if event.kind in ("error", "gap")]


def test_every_record_shows_the_probe_and_what_it_should_have_been(tmp_path):
    trace = memviz.open(short_run(tmp_path).path)
    probe = make_task(COPY).probe()
    for record in trace:
        np.testing.assert_array_equal(record["model/input"][:, 0], probe.input[0])
        np.testing.assert_array_equal(record["model/target"][:, 0], probe.target[0])
        assert record["model/output"].shape == (21, 1, 6)
        assert 0 < record["model/output"].min() < record["model/output"].max() < 1
        assert record.labels["phases"] == [["input", 0, 10], ["delimiter", 10, 11], ["recall", 11, 21]]


def test_recording_changes_nothing_about_the_training(tmp_path):
    losses = []
    for every in (1, 1000):
        seen = []
        short_run(
            tmp_path / str(every), COPY.but(every=every), on_step=lambda done, loss, *_, seen=seen: seen.append(loss)
        )
        losses.append(seen)
    assert losses[0] == losses[1]


def test_the_run_ends_when_the_task_is_solved(tmp_path):
    outcome = short_run(tmp_path, COPY.but(check_every=3, task_options={"solved": 1e9}))
    assert outcome.solved
    assert outcome.steps == 3
    assert memviz.open(outcome.path).steps.tolist() == [0, 3]


def test_an_untrained_model_has_not_solved_the_task_and_that_is_seen_at_the_first_batch():
    task = make_task(COPY)
    model = make_model(COPY, task)
    calls = []
    model.register_forward_hook(lambda *_: calls.append(model.training))
    assert not train.is_solved(COPY, model, task, torch.Generator().manual_seed(0))
    assert calls == [False]
    assert model.training


def test_the_model_answers_with_the_probability_of_each_bit():
    task = make_task(COPY)
    answer = make_model(COPY, task)(task.probe().input)[0]
    assert answer.shape == (1, 21, 6)
    assert 0 < answer.min() < answer.max() < 1


def test_an_unknown_package_is_named():
    with pytest.raises(UnknownNameError, match=r"'dncc'.*Did you mean 'dnc'"):
        make_model(COPY.but(package="dncc"), make_task(COPY))


def test_a_resumed_run_is_bit_for_bit_the_run_that_never_stopped(tmp_path):
    """Also its data, its checks whether the task is solved, and what dropout would draw."""

    def run(plan, name, start=None, **options):
        task = make_task(plan)
        torch.manual_seed(plan.seed)
        model = make_model(plan, task)
        losses = []
        train.train(
            plan, model, task, tmp_path / name, start=start, on_step=lambda _, loss, *__: losses.append(loss), **options
        )
        return model, losses

    plan = COPY.but(steps=14, every=4, check_every=3, optimizer="graves", learning_rate=1e-3, curriculum=20, decay=15)
    plan = plan.but(model_options={"num_hidden_layers": 2, "dropout": 0.3})
    whole, losses = run(plan, "whole")
    run(plan.but(steps=9), "halved", checkpoint=tmp_path / "halved")
    torch.manual_seed(99)  # whatever the process did in between
    halved, rest = run(plan, "halved", start=load_checkpoint(tmp_path / "halved"))
    assert losses[9:] == rest
    for name, value in whole.state_dict().items():
        assert torch.equal(value, halved.state_dict()[name]), name
    one, other = memviz.open(tmp_path / "whole"), memviz.open(tmp_path / "halved")
    assert other.path.name == "halved"
    np.testing.assert_array_equal(other.scalars["loss"].values, one.scalars["loss"].values)
    assert other.at(12)["write_weights"].tolist() == one.at(12)["write_weights"].tolist()
    assert other.steps[-1] == 14


def test_checkpoints_come_every_so_many_steps_and_at_the_end(tmp_path, monkeypatch):
    steps = []
    monkeypatch.setattr(train, "save_checkpoint", lambda checkpoint, path: steps.append((checkpoint.step, path.name)))
    short_run(tmp_path, checkpoint="beside", save_every=5)
    assert steps == [(5, "run.safetensors"), (10, "run.safetensors"), (12, "run.safetensors")]


def test_weights_alone_cannot_be_gone_on_from_and_neither_can_another_number_of_processes(tmp_path):
    model = make_model(COPY, make_task(COPY))
    with pytest.raises(CheckpointError, match="holds weights alone"):
        short_run(tmp_path, start=Checkpoint(COPY, 3, model.state_dict()))
    several = {f"{name}/{rank}": torch.zeros(1) for name in ("data", "torch") for rank in range(2)}
    start = Checkpoint(COPY, 3, model.state_dict(), {"0/step": torch.zeros(())}, several)
    with pytest.raises(CheckpointError, match="of 2 processes and these are 1"):
        short_run(tmp_path, start=start)
    assert not (tmp_path / "run").exists()


def test_without_recording_there_is_no_trace_and_the_same_training(tmp_path):
    losses = {}
    for record in (True, False):
        seen = losses.setdefault(record, [])
        folder = tmp_path / str(record)
        outcome = short_run(folder, record=record, on_step=lambda _, loss, *__, seen=seen: seen.append(loss))
    assert outcome.path is None
    assert outcome.records == 0
    assert not (tmp_path / "False").exists()
    assert losses[True] == losses[False]


@pytest.mark.parametrize("clip", [{"clip": 1e-6, "clip_value": 0.0}, {"clip": 0.0, "clip_value": 1e-9}])
def test_gradients_are_clipped(tmp_path, clip, monkeypatch):
    norms = []
    step = torch.optim.SGD.step

    def watched(self, *args):
        norms.append(max(float(p.grad.abs().max()) for group in self.param_groups for p in group["params"]))
        return step(self, *args)

    monkeypatch.setattr(train, "make_optimizer", lambda plan, parameters: torch.optim.SGD(parameters, lr=0.1))
    monkeypatch.setattr(torch.optim.SGD, "step", watched)
    short_run(tmp_path, COPY.but(steps=2, **clip))
    assert len(norms) == 2
    assert 0 < max(norms) <= 1e-6
