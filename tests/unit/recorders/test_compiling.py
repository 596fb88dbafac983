"""Compiled models: sampled forwards are recorded, the others run the code that was compiled, and only once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import memviz
from memviz.recorders.faults import RecorderWarning


@pytest.fixture(autouse=True)
def fresh_dynamo():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


class Counting:
    """A backend that counts the graphs it is given."""

    def __init__(self):
        self.graphs = 0
        self.runs = 0

    def __call__(self, graph, inputs):
        self.graphs += 1

        def run(*args):
            self.runs += 1
            return graph.forward(*args)

        return run


@pytest.fixture
def backend():
    return Counting()


def check(trace, output_of, every):
    assert trace.steps.tolist() == list(range(0, 6, every))
    for record in trace:
        assert record.lengths["cell"] == 5
        assert np.allclose(record["model/output"], output_of[int(record.step)], rtol=0, atol=1e-6)


def run(call, batch):
    return [call(batch).detach().transpose(0, 1)[:, :1].numpy() for _ in range(6)]


@pytest.mark.parametrize("every", [1, 2])
def test_a_compiled_model_is_recorded_without_recompiling(attach, model, batch, trace_of, backend, every):
    compiled = torch.compile(model, backend=backend, fullgraph=True)
    compiled(batch)
    graphs = backend.graphs
    runs = backend.runs
    recorder = attach(compiled, every=every)
    outputs = run(compiled, batch)
    check(trace_of(recorder), outputs, every)
    assert backend.graphs == graphs == 1
    assert backend.runs - runs == 6 - len(range(0, 6, every)), "the other forwards run compiled"
    compiled(batch)
    assert backend.graphs == 1
    assert backend.runs - runs == 7 - len(range(0, 6, every))


def test_a_model_may_be_compiled_for_the_first_time_in_a_sampled_forward(attach, model, batch, trace_of, backend):
    compiled = torch.compile(model, backend=backend, fullgraph=True)
    recorder = attach(compiled, every=2)
    outputs = run(compiled, batch)
    check(trace_of(recorder), outputs, 2)
    assert backend.graphs == 1
    assert backend.runs == 3


@pytest.mark.parametrize("first", ["compile", "attach"])
def test_model_compile_in_place_is_followed(attach, model, batch, trace_of, backend, first):
    if first == "compile":
        model.compile(backend=backend, fullgraph=True)
        recorder = attach(model, every=2)
    else:
        recorder = attach(model, every=2)
        model.compile(backend=backend, fullgraph=True)
        # Noticed at the next update; here as the optimizer's hook would.
        recorder._after_update()
    outputs = run(model, batch)
    check(trace_of(recorder), outputs, 2)
    assert backend.runs == 3
    model(batch)
    assert backend.runs == 4, "after close the compiled code runs"


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # dynamo asks for it, with or without recorder
def test_a_compiled_part_is_recorded(attach, model, batch, trace_of, backend):
    model.cell.compile(backend=backend)
    recorder = attach(model, every=2)
    outputs = run(model, batch)
    check(trace_of(recorder), outputs, 2)
    assert backend.runs > 0


def test_taps_in_a_compiled_function_are_recorded(attach, batch, trace_of, backend):
    @torch.compile(backend=backend, fullgraph=True)
    def step(x):
        memviz.tap("own/usage", x)
        return x * 2

    class Calls(nn.Module):
        def forward(self, x):
            for time in range(x.shape[1]):
                step(x[:, time])
            return x

    model = Calls()
    recorder = attach(model, every=2, fields="all")
    for _ in range(6):
        model(batch)
    trace = trace_of(recorder)
    assert [record.lengths["own"] for record in trace] == [5, 5, 5]
    assert backend.graphs == 1


def test_compiling_around_an_attached_model_works_and_is_said(attach, model, batch, backend):
    recorder = attach(model)
    compiled = torch.compile(model, backend=backend, fullgraph=True)
    optimizer = torch.optim.SGD(model.parameters(), 0.01)

    def train():
        for _ in range(6):
            compiled(batch).sum().backward()
            optimizer.step()

    with pytest.warns(RecorderWarning, match="without one call of it"):
        train()
    assert backend.graphs == 1, "the hooks of the recorder are no part of the graph"
    assert "torch.compile" in recorder.explain()


def test_the_stance_is_given_back_when_the_forward_fails(attach, model, batch, backend):
    compiled = torch.compile(lambda x: x + 1, backend=backend)
    attach(model)
    with pytest.raises(ValueError, match="the model fails"):
        model(batch, fail_at=0)
    compiled(batch)
    assert backend.runs == 1
