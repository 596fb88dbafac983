"""Small models with memory for the tests of the recorders, and ways to attach to them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import memviz
from memviz.recorders.adapters.base import MemoryPlan
from memviz.recorders.probes import InputProbe, MethodProbe, OutputProbe


class Memory(nn.Module):
    """Writes a word and reads by content; `forward(x, state)` gives the word read and a dict of the new state."""

    def __init__(self, width: int, slots: int):
        super().__init__()
        self.key = nn.Linear(width, width)
        self.slots = slots

    def write(self, memory, weights, word):
        return memory + weights.unsqueeze(2) * word.unsqueeze(1)

    def forward(self, x, state):
        key = self.key(x)
        weights = torch.softmax(torch.einsum("bnw,bw->bn", state["memory"], key), 1)
        memory = self.write(state["memory"], weights, x)
        word = torch.einsum("bn,bnw->bw", weights, memory)
        return word, {"memory": memory, "weights": weights}


class Model(nn.Module):
    """A sequence model [batch, time, width] around one Memory, known to ToyAdapter."""

    batch_first = True

    def __init__(self, width: int = 3, slots: int = 4):
        super().__init__()
        self.cell = Memory(width, slots)
        self.out = nn.Linear(width, width)

    def forward(self, x, fail_at=None):
        state = {"memory": torch.ones(len(x), self.cell.slots, x.shape[2], dtype=x.dtype)}
        outputs = []
        for time in range(x.shape[1]):
            if time == fail_at:
                raise ValueError("the model fails")
            word, state = self.cell(x[:, time], state)
            outputs.append(self.out(word))
        return torch.stack(outputs, 1)


class ToyAdapter:
    """Knows Memory by its structure."""

    name = "toy"

    def matches(self, module):
        return hasattr(module, "key") and hasattr(module, "slots")

    def plan(self, module, path):
        probes = [
            OutputProbe(field="memory", pick=lambda out: out[1]["memory"]),
            OutputProbe(field="write_weights", pick=lambda out: out[1]["weights"], axes="batch slot"),
            OutputProbe(field="read_vectors", pick=lambda out: out[0], axes="batch word"),
            MethodProbe(field="write_vectors", method="write", argument="word", axes="batch word"),
            MethodProbe(field="written", method="write", axes="batch slot word"),
            OutputProbe(field="read_keys", path="key", axes="batch word"),
            InputProbe(field="initial/memory", argument="state", pick=lambda state: state["memory"], keep="first"),
        ]
        return [MemoryPlan(path or "memory", module, probes)]


class Tapping(nn.Module):
    """A model that hands over its own fields."""

    def __init__(self, width: int = 3):
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, x):
        state = torch.zeros(len(x), x.shape[2])
        outputs = []
        for time in range(x.shape[1]):
            state = torch.softmax(self.linear(x[:, time] + state), 1)
            memviz.tap("usage", state)
            outputs.append(state)
        return torch.stack(outputs, 1)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Model()


@pytest.fixture
def tapping():
    torch.manual_seed(0)
    return Tapping()


@pytest.fixture
def attach(tmp_path):
    """`attach(model, **options)`: a recorder with the toy adapter, every step, into tmp_path/run."""
    recorders = []

    def attach_toy(model, **options):
        options.setdefault("adapter", ToyAdapter)
        options.setdefault("every", 1)
        recorder = memviz.attach(model, tmp_path / "run", **options)
        recorders.append(recorder)
        return recorder

    yield attach_toy
    for recorder in recorders:
        recorder._strict = False
        recorder.close()


@pytest.fixture
def trace_of():
    """`trace_of(recorder)`: closes it and opens what it wrote."""

    def open_trace(recorder):
        recorder.close()
        return memviz.open(recorder.path)

    return open_trace


@pytest.fixture
def batch():
    return torch.rand(2, 5, 3, generator=torch.Generator().manual_seed(1))
