"""The last steps are held, and written when something goes wrong."""

from __future__ import annotations

import copy
import math
import os
import signal

import numpy as np
import pytest
import torch
from torch import nn

import memviz
from memviz.errors import RecorderError
from memviz.recorders import GradientSpike, LossSpike, OnNaN
from memviz.recorders.faults import RecorderWarning

FAR = 10**6
"""An `every` that records step 0 alone."""


class Training:
    """A model, its optimizer and its data."""

    def __init__(self, model, recorder, batch):
        self.model, self.recorder, self.batch = model, recorder, batch
        self.optimizer = torch.optim.SGD(model.parameters(), 0.01)

    def step(self, scale=1.0, change=lambda x: x, **log):
        output = self.model(change(self.batch.clone()))
        loss = scale * output.square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.recorder.log(loss=loss, **log)
        return output

    def run(self, steps, at=None, **options):
        """Train some steps, one of them with other options."""
        for step in range(steps):
            self.step(mark=step, **(options if step == at else {}))


@pytest.fixture
def train(attach, model, batch):
    def start(model=model, **options):
        return Training(model, attach(model, **{"every": FAR, "policy": "block", **options}), batch)

    return start


def triggers(trace):
    return [event for event in trace.events if event.kind == "trigger"]


def test_without_a_trigger_the_held_steps_are_forgotten(train, trace_of):
    training = train(last=4)
    for _ in range(9):
        training.step()
    assert "the last 4 steps are held" in training.recorder.explain()
    assert trace_of(training.recorder).steps.tolist() == [0]


def test_a_spike_is_told_with_its_step_and_reason(train, trace_of):
    training = train(last=3, on=[LossSpike(5, 4)])
    with pytest.warns(RecorderWarning, match=r"LossSpike: loss .* at step 7, after about .*steps 5 to 7"):
        training.run(10, at=7, scale=50.0)
    trace = trace_of(training.recorder)
    assert trace.steps.tolist() == [0, 5, 6, 7]
    assert [record.labels.get("trigger") for record in trace] == [None, *["LossSpike"] * 3]
    (event,) = triggers(trace)
    assert event.step == 7
    assert (event.data["trigger"], event.data["held"], event.data["written"]) == ("LossSpike", 3, 3)


def test_what_was_recorded_anyway_is_not_written_twice(train, trace_of):
    training = train(last=4, on=LossSpike(5, 4), every=2)
    with pytest.warns(RecorderWarning, match="4 held steps .*2 of them new"):
        training.run(9, at=7, scale=50.0)
    assert sorted(trace_of(training.recorder).steps.tolist()) == [0, 2, 4, 5, 6, 7, 8]


def test_a_gradient_spike_is_seen_before_clipping(train, trace_of):
    training = train(on=GradientSpike(10, 4))
    plain = training.optimizer.step

    def clipped():
        nn.utils.clip_grad_norm_(training.model.parameters(), 1e-3)
        plain()

    training.optimizer.step = clipped
    with pytest.warns(RecorderWarning, match="GradientSpike: gradient norm .* at step 6"):
        training.run(8, at=6, scale=100.0)
    assert trace_of(training.recorder).steps.tolist() == [0, 6], "with a trigger the step itself is held"


def test_the_norm_is_that_of_all_parameters(train):
    norms = []

    class Look:
        needs = ("gradient_norm",)

        def check(self, step):
            norms.append(step.gradient_norm)

    training = train(on=Look())
    wanted = []
    for _ in range(3):
        training.step()
        wanted.append(math.sqrt(sum(float(p.grad.square().sum()) for p in training.model.parameters())))
    training.recorder.close()
    assert norms == pytest.approx(wanted, rel=1e-5)


def test_a_trigger_of_ones_own_reads_scalars_and_fields(train, trace_of):
    class Mine:
        def check(self, step):
            assert step.read("cell/write_weights").shape == (5, 1, 1, 4)
            return "three" if step.scalars["mark"] == 3 else None

    training = train(on=Mine(), last=2)
    with pytest.warns(RecorderWarning, match="Mine: three; 2 held steps"):
        training.run(5)
    assert trace_of(training.recorder).steps.tolist() == [0, 2, 3]


def test_a_trigger_that_fails_is_contained(train, trace_of):
    class Fails:
        def check(self, step):
            return step.read("nothing")

    training = train(on=Fails())
    with pytest.warns(RecorderWarning, match="the trigger Fails: RecorderError: no field 'nothing'"):
        training.run(3)
    assert len(trace_of(training.recorder)) == 1


def plant(*place):
    def change(x):
        here = torch.zeros(x.shape, dtype=torch.bool)
        here[place] = True
        return x.masked_fill(here, float("nan"))

    return change


def test_a_nan_is_traced_to_its_item_and_that_item_is_recorded(train, trace_of):
    training = train(on=OnNaN(), last=2, fields="all")
    with pytest.warns(RecorderWarning, match=r"OnNaN: step 3: model/input at time 2, batch 1, input channel 0 is nan"):
        training.run(5, at=3, change=plant(1, 2, 0))
    trace = trace_of(training.recorder)
    assert trace.steps.tolist() == [0, 2, 3]
    assert trace[-1].batch == (0, 1)
    (event,) = triggers(trace)
    assert event.data["origin"] == {
        "time": 2,
        "module": "model",
        "field": "input",
        "index": {"batch": 1, "input_channel": 0},
        "value": "nan",
        "phase": "forward",
    }


def test_a_nan_made_inside_is_traced_to_its_field(train, model, trace_of):
    training = train(on=OnNaN(), fields="all")
    write, calls = model.cell.write, []

    def broken(memory, weights, word):
        calls.append(None)
        written = write(memory, weights, word)
        return torch.where(torch.eye(4, 3).bool(), torch.inf, written) if len(calls) == 12 else written

    model.cell.write = broken
    with pytest.warns(RecorderWarning, match=r"step 2: cell/written at time 1, batch 0, slot 0, word 0 is inf"):
        training.run(4)
    trace_of(training.recorder)


def test_parameters_that_an_update_broke_are_named(train, trace_of):
    training = train(on=OnNaN())
    training.run(2)
    with torch.no_grad():
        training.model.cell.key.weight[1, 2] = float("nan")
    with pytest.warns(
        RecorderWarning, match=r"step 2: cell.key/weight at axis 0 1, axis 1 2 is nan before the forward"
    ):
        training.run(2)
    trace_of(training.recorder)


class Poison(torch.autograd.Function):
    """Passes a value on, and makes one number of its gradient infinite."""

    @staticmethod
    def forward(context, x):
        return x.clone()

    @staticmethod
    def backward(context, gradient):
        gradient = gradient.clone()
        gradient[1, 2] = float("inf")
        return gradient


class Backward(nn.Module):
    """Its forward is finite; the gradient of `usage` breaks at time 3 of step 1."""

    batch_first = True

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.forwards = 0

    def forward(self, x):
        state, states = x.new_zeros(len(x), 3), []
        for time in range(x.shape[1]):
            state = torch.tanh(self.linear(x[:, time] + state))
            memviz.tap("usage", state)
            if self.forwards == 1 and time == 3:
                state = Poison.apply(state)
            states.append(state)
        self.forwards += 1
        return torch.stack(states, 1)


def test_a_gradient_that_breaks_on_the_way_back_is_traced(train, trace_of):
    training = train(Backward(), on=OnNaN(), grads=True)
    with pytest.warns(RecorderWarning, match=r"step 1: memory/grad/usage at time 3, batch 1, slot 2 is inf"):
        training.run(3)
    (event,) = triggers(trace_of(training.recorder))
    assert event.data["origin"]["phase"] == "backward"


def test_without_grads_the_broken_gradient_is_said_all_the_same(train):
    training = train(Backward(), on=OnNaN())
    with pytest.warns(RecorderWarning, match="the gradient of step 1 is not finite; attach with grads=True"):
        training.run(3)


def test_an_overflow_that_a_scaler_skips_is_no_alarm(train, trace_of):
    training = train(on=OnNaN(), grads=True)
    for step in range(4):
        loss = training.model(training.batch).square().mean() * (float("inf") if step == 1 else 1.0)
        training.optimizer.zero_grad()
        loss.backward()
        if step != 1:  # what torch.amp.GradScaler does
            training.optimizer.step()
        training.recorder.log(scaled=1.0)
    assert triggers(trace_of(training.recorder)) == []


def test_an_exception_writes_the_held_steps(train, attach, model, batch):
    training = train(last=3)

    def loop():
        with training.recorder:
            for _ in range(6):
                training.step()
            raise ValueError("diverged")

    with (
        pytest.warns(RecorderWarning, match="exception: ValueError: diverged; 3 held steps"),
        pytest.raises(ValueError, match="diverged"),
    ):
        loop()
    trace = memviz.open(training.recorder.path)
    assert trace.steps.tolist() == [0, 3, 4, 5]
    assert triggers(trace)[0].data["reason"] == "ValueError: diverged"


def test_sigterm_writes_the_held_steps_and_goes_on_to_who_listened_before(train, trace_of):
    heard = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        training = train(last=2)
        training.run(4)
        with pytest.warns(RecorderWarning, match="SIGTERM: the process was told to end; 2 held steps"):
            os.kill(os.getpid(), signal.SIGTERM)
        training.step()
        assert heard == [signal.SIGTERM]
        assert trace_of(training.recorder).steps.tolist() == [0, 2, 3]
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
        training.recorder.close()
        os.kill(os.getpid(), signal.SIGTERM)
        assert heard == [signal.SIGTERM] * 2, "after close everything is as before"
    finally:
        signal.signal(signal.SIGTERM, before)


def test_holding_changes_nothing_in_the_training(model, train, batch):
    plain = copy.deepcopy(model)
    optimizer = torch.optim.SGD(plain.parameters(), 0.01)
    for _ in range(3):
        loss = plain(batch.clone()).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    training = train(last=3, on=[OnNaN(), GradientSpike()], grads=True, batch="worst")
    for _ in range(3):
        training.step(per_item=torch.tensor([0.0, 1.0]))
    for a, b in zip(plain.parameters(), model.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("grads", [False, True])
def test_the_worst_item_is_recorded(train, trace_of, grads):
    training = train(every=1, batch="worst", grads=grads)
    outputs = [training.step(per_item=losses) for losses in ([1.0, 2.0], torch.tensor([3.0, 1.0]), [math.nan, 9.0])]
    trace = trace_of(training.recorder)
    assert [record.batch for record in trace] == [(1,), (0,), (0,)]
    assert trace[0].labels["loss_of_item"] == 2.0
    for record, output, item in zip(trace, outputs, (1, 0, 0), strict=True):
        assert np.array_equal(record["model/output"][:, 0], output[item].detach().numpy())
    assert ("cell/grad/memory" in trace[0].stored) is grads


def test_without_losses_the_first_item_stands_in_and_it_is_said(train, trace_of):
    training = train(every=1, batch="worst")
    training.step()
    with pytest.warns(RecorderWarning, match=r"needs rec.log\(per_item=losses\)"):
        training.step()
    assert [record.batch for record in trace_of(training.recorder)] == [(0,), (0,)]


def test_losses_of_another_shape_are_said(train):
    training = train(every=1, batch="worst")
    with pytest.warns(RecorderWarning, match="expected one loss for each of the 2 items"):
        training.step(per_item=[1.0, 2.0, 3.0])


@pytest.mark.parametrize("last", [-1, 2.5, True])
def test_no_number_of_steps_is_refused(attach, model, last):
    with pytest.raises(RecorderError, match="last="):
        attach(model, last=last)
