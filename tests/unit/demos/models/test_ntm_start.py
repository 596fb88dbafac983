"""What the state of an NTM is before the first time: constants, learned values, values drawn once or anew."""

from __future__ import annotations

import torch

from memviz.demos.models.ntm import NTM
from memviz.demos.models.ntm_options import Start
from memviz.demos.models.ntm_start import InitialState

SIZES = {"nr_cells": 6, "cell_size": 4, "read_heads": 2}


def test_initial_states():
    torch.manual_seed(0)
    memory, reads = NTM(3, 8, **SIZES).initial(2)
    assert (memory.memory == 1e-6).all()
    assert not reads.any()
    assert (memory.read_weights[..., 0] == 1).all()
    learned = NTM(3, 8, initial_state="learned", **SIZES)
    learned(torch.randn(3, 6, 3))[0].square().sum().backward()
    names = {name for name, parameter in learned.named_parameters() if parameter.grad.abs().sum() > 0}
    assert names >= {
        *(f"initial.{name}" for name in ("memory", "read_vectors", "read_weights", "write_weights")),
        "controller.initial_hidden",
        "controller.initial_cell",
    }
    drawn = NTM(3, 8, initial_state=Start("random", "redrawn", "random"), **SIZES)
    assert {"initial.memory", "initial.read_weights"} <= set(drawn.state_dict()) - dict(drawn.named_parameters()).keys()
    first, second = drawn.initial(2), drawn.initial(2)
    assert torch.equal(first.memory.memory, second.memory.memory)
    assert not torch.equal(first.read_vectors, second.read_vectors)


def test_every_item_of_a_batch_starts_alike_but_for_what_is_redrawn():
    torch.manual_seed(0)
    memory, reads = InitialState(Start("sigmoid", "learned", "learned"), 6, 4, 2, 1)(3)
    for value in (*memory, reads):
        assert value.shape[0] == 3
        assert (value == value[:1]).all()
    assert ((memory.memory > 0) & (memory.memory < 1)).all()
    _, drawn = InitialState(Start(read_vectors="redrawn"), 6, 4, 2, 1)(3)
    assert not (drawn == drawn[:1]).all()


def test_heads_may_start_nowhere():
    memory, _ = InitialState(Start(weights="zero"), 6, 4, 2, 1)(2)
    assert not memory.read_weights.any()
    assert not memory.write_weights.any()
