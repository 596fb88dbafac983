"""The adapters shown in docs/adapters.md work as they stand there."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

import memviz

PAGE = Path(__file__).parents[4] / "docs" / "adapters.md"


class State(NamedTuple):
    memory: torch.Tensor


class Head(nn.Linear):
    def forward(self, x):
        weights = torch.softmax(super().forward(x), 1)
        return x, weights


class WriteHead(Head):
    def forward(self, x):
        return super().forward(x)[1]


class NTM(nn.Module):
    """The cell of a Neural Turing Machine with one head each, fit for the documented probes."""

    def __init__(self, width=3, slots=4):
        super().__init__()
        self.read_head, self.write_head = Head(width, slots), WriteHead(width, slots)

    def write(self, memory, weights, erase, add):
        return memory * (1 - weights[:, :, None] * erase[:, None]) + weights[:, :, None] * add[:, None]

    def forward(self, x, state):
        memory = self.write(state.memory, self.write_head(x), erase=torch.sigmoid(x), add=x)
        read = torch.einsum("bn,bnw->bw", self.read_head(x)[1], memory)
        return read, State(memory)


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = NTM()

    def forward(self, x):
        state = State(torch.full((len(x), 4, 3), 0.1))
        self.memories = []
        for time in range(x.shape[1]):
            read, state = self.cell(x[:, time], state)
            self.memories.append(state.memory.detach())
        return read


def block_of(start):
    """The indented block of the page that begins with a line, as code."""
    found = re.search(rf"    {re.escape(start)}.*?\n\n(?=\S)", PAGE.read_text(), re.DOTALL)
    return textwrap.dedent(found.group())


def by_class():
    names = {}
    exec(block_of("from memviz.recorders.adapters.base"), names)
    return names["NTMAdapter"]


def by_table():
    return eval(block_of('memviz.Adapter("my-ntm"').strip(), {"memviz": memviz})


def test_the_example_has_fifteen_lines():
    code = block_of("from memviz.recorders.adapters.base").partition("class NTMAdapter")[2]
    assert len(code.strip().splitlines()) <= 15


@pytest.mark.parametrize("documented", [by_class, by_table])
def test_the_documented_adapters_record_and_derive(tmp_path, documented):
    torch.manual_seed(0)
    model = Network()
    with memviz.attach(model, tmp_path / "run", every=1, batch="all", adapter=documented()) as recorder:
        model(torch.rand(2, 5, 3))
        assert "by adapter my-ntm, law ntm" in recorder.explain()
    record = memviz.open(recorder.path)[0]
    assert record.is_derived("cell/memory")
    expected = torch.stack(model.memories).numpy()
    assert np.allclose(record["cell/memory"], expected, rtol=0, atol=1e-6)
    assert np.array_equal(record["cell/final/memory"], expected[-1])
