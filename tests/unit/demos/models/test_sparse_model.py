"""The controller around a sparse memory: its layers, its bound, the state that it starts from."""

from __future__ import annotations

import pytest
import torch

from memviz.demos.models import SAM


@pytest.mark.parametrize(("rnn_type", "parts"), [("lstm", 2), ("gru", 1), ("rnn", 1)])
def test_each_layer_has_a_state(rnn_type, parts):
    model = SAM(3, 6, rnn_type=rnn_type, num_layers=2, nr_cells=8)
    state = model.initial_state(4)
    assert [len(layer) for layer in state.controller] == [parts, parts]
    assert state.read_vectors.shape == (4, 4, 10)
    assert state.controller[0][0].shape == (4, 6)


def test_the_cell_is_bounded():
    torch.manual_seed(0)
    _, state = SAM(3, 6, nr_cells=8, clip=0.01)(10 * torch.randn(2, 5, 3))
    assert state.controller[0][1].abs().max() <= 0.01


def test_the_output_is_as_wide_as_the_input_unless_said():
    assert SAM(3, 6, nr_cells=8)(torch.randn(1, 2, 3))[0].shape == (1, 2, 3)
    assert SAM(3, 6, 5, nr_cells=8)(torch.randn(1, 2, 3))[0].shape == (1, 2, 5)


def test_it_follows_the_dtype_of_its_parameters():
    model = SAM(3, 6, nr_cells=8).double()
    output, state = model(torch.randn(1, 2, 3, dtype=torch.float64))
    assert output.dtype == state.memory.memory.dtype == torch.float64
