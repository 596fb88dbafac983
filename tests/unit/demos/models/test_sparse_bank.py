"""What a sparse state shows of the arrays behind it."""

from __future__ import annotations

import pytest
import torch

from memviz.demos.models import SAM, SDNC
from memviz.demos.models.sparse_bank import dense


def test_a_sparse_weighting_as_a_dense_one():
    positions, values = torch.tensor([[2, 0, 4]]), torch.tensor([[0.5, 0.25, 0.0]])
    assert dense(positions, values, 4).tolist() == [[0.25, 0, 0.5, 0]]


def test_a_state_begins_as_it_was_filled():
    rows = torch.randn(2, 7, 3)
    state = SAM(4, 5, nr_cells=7, cell_size=3).initial_state(2, rows).memory
    assert torch.equal(state.memory, rows)
    assert not state.last_access.any()
    assert not state.read_weights.any()
    even = SAM(4, 5, nr_cells=7, cell_size=3).initial_state(2).memory
    assert (even.memory == 1e-6).all()


def test_times_of_access_are_counted_and_the_rest_is_zero():
    torch.manual_seed(0)
    model = SDNC(4, 5, nr_cells=200, cell_size=3)
    state = model(torch.randn(2, 6, 4))[1].memory
    assert state.time == 6
    assert state.last_access.max() == 6
    # At a time each of 4 heads reads 12 slots at most, and what they read and one more is written.
    assert 6 <= (state.last_access > 0).sum() <= 2 * 6 * (4 * 12 + 1)
    assert (state.last_access == 0).any(dim=1).all()


def test_detached_states_hold_the_same_and_no_gradient():
    model = SDNC(4, 5, nr_cells=20, cell_size=3)
    state = model(torch.randn(2, 6, 4))[1].memory
    cut = state.detach()
    assert torch.equal(cut.memory, state.memory)
    assert torch.equal(cut.link_matrix, state.link_matrix)
    assert not cut.read_values.requires_grad
    assert not cut.token.requires_grad
    with pytest.raises(ValueError, match="an SDNC has"):
        SAM(4, 5).initial_state(1).memory.precedence_weights  # noqa: B018
