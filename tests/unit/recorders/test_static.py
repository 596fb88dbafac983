"""Static taps: a compiled model keeps one graph, in sampled forwards too, and its values are those of eager code."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import memviz
from memviz.errors import RecorderError
from memviz.recorders import StaticTap

BATCH, TIMES, SLOTS = 2, 5, 4


class Cell(nn.Module):
    def __init__(self, times=TIMES, batch=BATCH):
        super().__init__()
        self.linear = nn.Linear(SLOTS, SLOTS)
        self.usage = StaticTap("usage", times, (batch, SLOTS))
        self.own = StaticTap("own", times, (batch,), axes=("batch",), dtype=torch.float64)

    def forward(self, x, state, time):
        state = torch.softmax(self.linear(x + state), 1)
        self.own(state.max(1).values, time)
        return self.usage(state, time)


class Model(nn.Module):
    batch_first = True

    def __init__(self, **options):
        super().__init__()
        torch.manual_seed(0)
        self.cell = Cell(**options)

    def forward(self, x):
        state, states = torch.zeros(len(x), SLOTS), []
        for time in range(x.shape[1]):
            state = self.cell(x[:, time], state, time)
            states.append(state)
        return torch.stack(states, 1) if states else x


@pytest.fixture(autouse=True)
def fresh_dynamo():
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    yield
    torch._dynamo.reset()


@pytest.fixture
def x():
    return torch.rand(BATCH, TIMES, SLOTS, generator=torch.Generator().manual_seed(1))


def attach(model, folder, **options):
    return memviz.attach(model, folder, **{"every": 1, "batch": "all", "policy": "block", **options})


def test_values_are_those_of_the_forward(tmp_path, x):
    model = Model()
    with attach(model, tmp_path / "run") as recorder:
        states = model(x).detach()
    record = memviz.open(tmp_path / "run")[0]
    assert np.array_equal(record["cell/usage"], states.transpose(0, 1))
    assert np.array_equal(record["cell/own"], states.max(2).values.T)
    assert record.schema("cell/own").axes == ("time", "batch")
    assert "by adapter static" in recorder.explain()
    assert not any("ring" in name for name in model.state_dict())


@pytest.fixture
def stances(monkeypatch):
    """The stances that are taken."""
    taken, take = [], torch.compiler.set_stance
    monkeypatch.setattr(torch.compiler, "set_stance", lambda *args, **given: taken.append(args) or take(*args, **given))
    return taken


def test_a_compiled_model_keeps_its_one_graph_and_runs_it_when_sampled(tmp_path, x, stances):
    model, plain = Model(), Model()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    optimizers = [torch.optim.SGD(one.parameters(), 0.1) for one in (model, plain)]
    expected = []
    with attach(compiled, tmp_path / "run", every=2) as recorder:
        for _ in range(6):
            for run, optimizer in zip((compiled, plain), optimizers, strict=True):
                states = run(x)
                states.square().sum().backward()
                optimizer.step()
            expected.append(states.detach().transpose(0, 1))
        assert recorder.stats().errors == 0, recorder.explain()
    trace = memviz.open(tmp_path / "run")
    assert trace.steps.tolist() == [0, 2, 4]
    for step, record in zip(trace.steps, trace, strict=True):
        assert np.allclose(record["usage"], expected[step], atol=1e-5)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    assert not torch._dynamo.utils.counters["graph_break"]
    assert stances == [], "no sampled forward was made eager"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated")  # inductor's own
def test_code_from_inductor_writes_into_them(tmp_path, x, stances):
    model = Model()
    compiled = torch.compile(model, fullgraph=True)
    with attach(compiled, tmp_path / "run"), torch.no_grad():
        states = [compiled(x + step).transpose(0, 1) for step in range(3)]
    for record, expected in zip(memviz.open(tmp_path / "run"), states, strict=True):
        assert np.allclose(record["usage"], expected, atol=1e-6)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    assert stances == []


def test_with_other_taps_beside_them_the_sampled_forward_runs_eagerly(tmp_path, x):
    class Both(Model):
        def forward(self, x):
            states = super().forward(x)
            memviz.tap("seen", states, axes=("batch", "time", "slot"))
            return states

    compiled = torch.compile(Both(), backend="aot_eager")
    with attach(compiled, tmp_path / "run"):
        states = compiled(x).detach().transpose(0, 1)
    record = memviz.open(tmp_path / "run")[0]
    assert np.allclose(record["cell/usage"], states)
    assert np.allclose(record["memory/seen"], states)


def test_what_is_left_over_from_a_longer_forward_is_not_recorded(tmp_path, x):
    model = Model()
    with attach(model, tmp_path / "run"):
        model(x)
        short = model(x[:, :2] + 1).detach()
    record = memviz.open(tmp_path / "run")[1]
    assert np.array_equal(record["usage"], short.transpose(0, 1))


def test_a_forward_that_does_not_reach_them_leaves_none_of_the_last_values(tmp_path, x):
    model = Model()
    with attach(model, tmp_path / "run"):
        model(x)
        model(x[:, :0])
    last = memviz.open(tmp_path / "run")[-1]
    assert "cell/usage" not in last.stored or last.step == 0


def test_a_batch_of_another_size_passes_and_is_said(tmp_path, x):
    model = Model(batch=7)
    with attach(model, tmp_path / "run", strict=False), pytest.warns(UserWarning, match="cell was not called"):
        assert model(x).shape == (BATCH, TIMES, SLOTS)


def test_the_replay_of_a_graph_is_a_sequence(tmp_path):
    """As with a CUDA graph: the buffers have been written, and no Python of the model ran."""
    model = Model()
    model.eval()
    with attach(model, tmp_path / "run") as recorder:
        model.cell.usage.written = TIMES
        model.cell.own.written = TIMES
        for value in (0.25, 0.5):
            with recorder.sequence():
                model.cell.usage.ring.fill_(value)
    trace = memviz.open(tmp_path / "run")
    assert [record["usage"].tolist() for record in trace] == [
        np.full((TIMES, BATCH, SLOTS), value).tolist() for value in (0.25, 0.5)
    ]


def test_a_law_makes_the_state_derivable(tmp_path):
    class Bank(nn.Module):
        memviz_law = "ntm"

        def __init__(self):
            super().__init__()
            for name, shape in (("write_weights", (1, 4)), ("erase_vectors", (1, 3)), ("write_vectors", (1, 3))):
                setattr(self, name, StaticTap(name, 5, shape, axes=("batch", "slot" if shape[1] == 4 else "word")))
            self.memory = StaticTap("memory", 5, (1, 4, 3))

        def forward(self, x):
            memory = torch.zeros(1, 4, 3)
            for time in range(5):
                w, e, v = torch.softmax(x[:, time, :4], 1), x[:, time, 4:7].sigmoid(), x[:, time, 7:]
                memory = memory * (1 - w[:, :, None] * e[:, None]) + w[:, :, None] * v[:, None]
                for name, value in (
                    ("write_weights", w),
                    ("erase_vectors", e),
                    ("write_vectors", v),
                    ("memory", memory),
                ):
                    getattr(self, name)(value, time)
            return memory

    model = Bank()
    with attach(model, tmp_path / "run"):
        final = model(torch.rand(1, 5, 10))
    record = memviz.open(tmp_path / "run")[0]
    assert record.is_derived("memory/memory")
    assert np.allclose(record["memory/memory"][-1], final, atol=1e-6)
    assert np.array_equal(record["memory/final/memory"], final)


def test_axes_must_fit():
    with pytest.raises(RecorderError, match=r"has 1 axes, a value has \[batch, slot\]"):
        StaticTap("usage", 3, (2,))
    with pytest.raises(RecorderError, match="axes must be declared"):
        StaticTap("mine", 3, (2,))
    assert "times=3" in repr(StaticTap("usage", 3, (2, 4)))
