from __future__ import annotations

import pytest
import torch
from torch import nn

import memviz
from memviz.recorders.adapters.base import MemoryPlan
from memviz.recorders.faults import RecorderWarning
from memviz.recorders.probes import MethodProbe, OutputProbe


class Rotten:
    """Promises what the model does not have."""

    name = "rotten"

    def matches(self, module):
        return hasattr(module, "slots")

    def plan(self, module, path):
        module.never = lambda: None
        return [
            MemoryPlan(
                "cell",
                module,
                [
                    OutputProbe(field="memory", pick=lambda out: out[1]["memory"]),
                    MethodProbe(field="usage", method="never"),
                ],
                unreachable={"link_matrix": "the model has no links"},
            )
        ]


def test_it_says_when_what_and_where(attach, model, batch):
    recorder = attach(model, every=20, batch=[0, 1], dtype="float16")
    text = recorder.explain()
    assert f"Model (24 parameters) is recorded into {recorder.path}" in text
    assert "every 20 steps: the first forward of the step, with batch items 0, 1, numbers as float16" in text
    assert "by adapter toy, no law, so nothing is derived" in text


def test_it_says_what_is_out_of_reach_and_why(attach, model):
    assert "link_matrix: the model has no links" in attach(model, adapter=Rotten).explain()


class Blocks(nn.Module):
    """Twelve layers that are alike, and one that is not."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.LSTM(3, 4) for _ in range(12))
        self.last = nn.GRU(3, 4, 2, dropout=0.5)

    def forward(self, x):
        return [layer(x) for layer in (*self.layers, self.last)]


def test_what_is_alike_is_said_once(tmp_path):
    with memviz.attach(Blocks(), tmp_path / "run", strict=False) as recorder:
        text = recorder.explain()
    assert "layers.0, layers.1, ..., layers.11 (12 memories): torch.nn.LSTM by adapter torch-recurrent\n" in text
    assert text.count("beside the fused kernel") == 3
    said = " ".join(text.split())
    assert "cannot hidden_state, update_gate, reset_gate: with dropout" in said
    assert "records hidden_state, update_gate, reset_gate when they occur" in said
    assert "no law" not in text, "there is no state to derive"


def test_tapped_memories_appear_after_the_first_record(attach, tapping, batch):
    recorder = attach(tapping)
    assert "no adapter knows this model" in recorder.explain()
    tapping(batch)
    text = recorder.explain()
    assert "memory: " in text
    assert "by taps" in text
    assert "records usage" in text


def test_a_promise_that_is_not_kept_is_said_after_the_first_forward(attach, model, batch, trace_of):
    recorder = attach(model, adapter=Rotten)
    with pytest.warns(RecorderWarning, match="cell: usage never arrived, although the adapter 'rotten' promises"):
        model(batch)
    model(batch)
    assert "usage never arrived" in recorder.explain()
    trace = trace_of(recorder)
    assert [event.kind for event in trace.events].count("error") == 1
    assert len(trace) == 2, "what does arrive is recorded"


def test_a_field_asked_for_that_no_tap_brings_is_said(attach, tapping, batch):
    recorder = attach(tapping, fields=["usage", "read_weights"])
    with pytest.warns(
        RecorderWarning, match="'read_weights' was asked for and never arrived; what arrived: memory/usage"
    ):
        tapping(batch)
    recorder.close()


def test_a_tap_that_is_not_reached_is_said(attach):
    class Maybe(nn.Module):
        def forward(self, x):
            if x.shape[0] > 10:
                memviz.tap("usage", x)
            return x

    recorder = attach(Maybe())
    with pytest.warns(RecorderWarning, match="no memory to record"):
        recorder._model(torch.rand(2, 3))
