"""Recorded gradients are those of autograd, and nothing about the training changes."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import memviz
from memviz.errors import RecorderError
from memviz.recorders.adapters.base import MemoryPlan
from memviz.recorders.faults import RecorderWarning
from memviz.recorders.gradients import GradientChoice
from memviz.recorders.probes import OutputProbe


class Recurrent(nn.Module):
    """A tapped recurrence [batch, time, width] that keeps its states, so that a test can ask autograd about them."""

    batch_first = True

    def __init__(self, width=3):
        super().__init__()
        self.linear = nn.Linear(width, width)
        self.states = []

    def step(self, x, state):
        return torch.tanh(self.linear(x + state))

    def forward(self, x):
        state, self.states = x.new_zeros(len(x), x.shape[2]), []
        for time in range(x.shape[1]):
            state = self.step(x[:, time], state)
            memviz.tap("usage", state)
            self.states.append(state)
        return torch.stack(self.states, 1)


@pytest.fixture
def recurrent():
    torch.manual_seed(0)
    return Recurrent()


def expected(model, x, loss_of):
    """dL/d(state) by torch.autograd.grad on the states themselves, [time, batch, slot]."""
    output = model(x)
    return torch.stack(torch.autograd.grad(loss_of(output), model.states)).numpy()


@pytest.mark.parametrize(("items", "places"), [(0, [0]), ([2, 1], [2, 1]), ("all", [0, 1, 2, 3])])
def test_gradients_are_those_of_autograd(attach, recurrent, trace_of, items, places):
    x = torch.rand(4, 6, 3)
    want = expected(recurrent, x, lambda out: out.square().sum())
    recorder = attach(recurrent, grads=True, batch=items)
    recurrent(x).square().sum().backward()
    record = trace_of(recorder)[0]
    assert np.array_equal(record["grad/usage"], want[:, places])
    assert record.schema("memory/grad/usage").axes == ("time", "batch", "slot")


def test_large_gradients_keep_the_recorded_items_alone(attach, trace_of):
    wide = Recurrent(width=3000)
    x = torch.rand(8, 2, 3000)
    want = expected(wide, x, lambda out: out.square().mean())
    recorder = attach(wide, grads=True, batch=5)
    wide(x).square().mean().backward()
    record = trace_of(recorder)[0]
    assert np.array_equal(record["grad/usage"][:, 0], want[:, 5])


def test_several_backward_passes_add_up(attach, recurrent, trace_of):
    x = torch.rand(2, 5, 3)
    want = expected(recurrent, x, lambda out: out.sum() + 2 * out.square().sum())
    recorder = attach(recurrent, grads=True, batch="all")
    output = recurrent(x)
    output.sum().backward(retain_graph=True)
    (2 * output.square().sum()).backward()
    assert np.allclose(trace_of(recorder)[0]["grad/usage"], want, rtol=1e-5, atol=0)


def test_a_loss_that_ends_early_leaves_zeros_after_it(attach, recurrent, trace_of):
    recorder = attach(recurrent, grads=True, batch="all")
    recurrent(torch.rand(2, 5, 3))[:, 2].sum().backward()
    gradient = trace_of(recorder)[0]["grad/usage"]
    assert (gradient[:3] != 0).any(axis=(1, 2)).all()
    assert (gradient[3:] == 0).all()


@pytest.mark.parametrize("create_graph", [False, True])
def test_the_training_is_the_same_bit_for_bit(attach, model, batch, create_graph):
    plain = copy.deepcopy(model)

    def train(model, recorder=None):
        torch.manual_seed(3)
        optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
        losses = []
        for _ in range(4):
            loss = model(batch + torch.rand_like(batch)).square().mean()
            if create_graph:
                gradients = torch.autograd.grad(loss, list(model.parameters()), create_graph=True)
                loss = loss + sum(gradient.square().sum() for gradient in gradients)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            optimizer.step()
            losses.append(loss.item())
            if recorder:
                recorder.log(loss=loss)
        return losses, torch.get_rng_state()

    losses, state = train(plain)
    recorder = attach(model, grads=True, fields="all", last=2, on=[])
    recorded_losses, recorded_state = train(model, recorder)
    assert losses == recorded_losses
    assert torch.equal(state, recorded_state)
    for a, b in zip(plain.parameters(), model.parameters(), strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a.grad, b.grad)
    recorder.flush()
    assert recorder.stats().errors == 0


def test_gradients_are_written_as_soon_as_the_optimizer_has_stepped(attach, recurrent):
    optimizer = torch.optim.SGD(recurrent.parameters(), 0.1)
    recorder = attach(recurrent, grads=True)
    recurrent(torch.rand(2, 4, 3)).sum().backward()
    recorder.flush()
    assert recorder.stats().recorded == 0, "more backward passes may come"
    optimizer.step()
    recorder.flush()
    assert recorder.stats().recorded == 1
    assert "memory/grad/usage" in memviz.open(recorder.path)[0].stored


def test_a_forward_without_backward_is_recorded_without_gradients_and_said(attach, recurrent, trace_of):
    recorder = attach(recurrent, grads=True)
    recurrent(torch.rand(2, 4, 3))
    with pytest.warns(RecorderWarning, match="no backward pass reached them; step 0"):
        recurrent(torch.rand(2, 4, 3)).sum().backward()
    trace = trace_of(recorder)
    assert ["memory/grad/usage" in record.stored for record in trace] == [False, True]


def test_without_gradients_there_is_nothing_to_follow(attach, recurrent, trace_of):
    recorder = attach(recurrent, grads=True)
    with torch.no_grad():
        recurrent(torch.rand(2, 4, 3))
    with pytest.warns(RecorderWarning, match="none of the recorded values requires gradients"):
        recorder.close()


def test_a_backward_pass_after_the_step_belongs_to_no_record(attach, recurrent, trace_of):
    optimizer = torch.optim.SGD(recurrent.parameters(), 0.1)
    recorder = attach(recurrent, grads=True, batch="all")
    x = torch.rand(2, 4, 3)
    want = expected(recurrent, x, lambda out: out.sum())
    loss = recurrent(x).sum()
    first = loss * 1
    first.backward(retain_graph=True)
    optimizer.step()
    recorder.flush()
    assert np.array_equal(memviz.open(recorder.path)[0]["grad/usage"], want)


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointing(attach, trace_of, reentrant):
    class Checkpointed(Recurrent):
        def step(self, x, state):
            return checkpoint(super().step, x, state, use_reentrant=reentrant)

    torch.manual_seed(0)
    model = Checkpointed()
    x = torch.rand(2, 4, 3, requires_grad=True)
    want = expected(model, x, lambda out: out.sum()) if not reentrant else None
    recorder = attach(model, grads=True, batch="all")
    model(x).sum().backward()
    gradient = trace_of(recorder)[0]["grad/usage"]
    if want is None:
        torch.manual_seed(0)
        plain = Recurrent()
        want = expected(plain, x, lambda out: out.sum())
    assert np.array_equal(gradient, want)


class Cell(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x):
        return torch.sigmoid(self.linear(x))


def reverse(values):
    return values.flip(-1)


@pytest.mark.parametrize(("finish", "told"), [(reverse, True), (torch.square, False)])
def test_a_finish_that_computes_has_no_gradient(attach, trace_of, finish, told):
    class CellAdapter:
        name = "cell"

        def matches(self, module):
            return isinstance(module, Cell)

        def plan(self, module, path):
            return [MemoryPlan("cell", module, [OutputProbe(field="usage", finish=finish)])]

    cell, kept = Cell(), []
    cell.register_forward_hook(lambda module, args, out: kept.append(out))
    recorder = attach(cell, adapter=CellAdapter, grads=True, batch="all")
    x = torch.rand(2, 3)
    loss = (cell(x) * torch.tensor([1.0, 2.0, 3.0])).sum()
    loss.backward()
    if told:
        gradient = trace_of(recorder)[0]["cell/grad/usage"]
        assert gradient[0].tolist() == [[3, 2, 1]] * 2
    else:
        with pytest.warns(RecorderWarning, match="computed from the captured value"):
            recorder.close()


def test_named_gradients_come_without_their_field(attach, model, batch, trace_of):
    recorder = attach(model, fields=["read_keys"], grads=["memory"])
    model(batch).sum().backward()
    record = trace_of(recorder)[0]
    assert "cell/grad/memory" in record.stored
    assert not {"cell/memory", "cell/grad/read_keys"} & set(record.stored)
    assert "by memory" in recorder.explain()


@pytest.mark.parametrize("grads", ["memory", [1]])
def test_what_is_no_choice_is_refused(grads):
    with pytest.raises(RecorderError, match="grads="):
        GradientChoice(grads)
