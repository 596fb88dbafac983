"""The options and initial parameters of public NTMs; that they equal them is tested where these are installed."""

from __future__ import annotations

import pytest
import torch

from memviz.demos.models.ntm import NTM
from memviz.demos.models.ntm_presets import PRESETS

SIZES = {"nr_cells": 8, "cell_size": 4}


@pytest.mark.parametrize("name", PRESETS)
def test_a_seed_gives_the_same_parameters(name):
    twins = []
    for _ in range(2):
        torch.manual_seed(3)
        twins.append(NTM.preset(name, 3, 6, **SIZES).state_dict())
    assert all(torch.equal(twins[0][key], twins[1][key]) for key in twins[0])


def test_what_is_unusual_in_each():
    diffmem, turn, cell = (NTM.preset(name, 3, 6, **SIZES) for name in ("diffmem", "pytorch-ntm", "ntm-pytorch"))
    assert (diffmem.controller.rnn_type, len(diffmem.controller.layers), diffmem.output_sees) == (
        *("feedforward", 2),
        "controller",
    )
    assert diffmem.memory.write_order == "last"
    assert (turn.memory.write_order, turn.heads_see, cell.heads_see) == ("series", "output", "cell")
    assert cell.memory.dialect.erase == "ones"
    for model in (turn, cell):
        assert not model.initial_state(1).memory.read_weights.any(), "heads start with no weight anywhere"


def test_biases_and_fans_are_those_of_the_implementation():
    torch.manual_seed(0)
    model = NTM.preset("pytorch-ntm", 3, 60, nr_cells=128, cell_size=20)
    cell = model.controller.layers[0]
    assert not cell.bias_ih.any()
    assert cell.weight_ih.abs().max() <= 5 / (23 + 60) ** 0.5
    assert model.memory.interface.bias.std() < 0.02
    assert model.initial.memory.abs().max() <= 1 / (128 + 20) ** 0.5
