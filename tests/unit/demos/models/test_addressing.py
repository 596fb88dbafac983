"""The torch addressing functions against the numpy laws of replay: two codes, one set of equations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from memviz.analysis import dynamics
from memviz.demos.models import addressing, links


def weights(generator, *shape):
    values = torch.rand(shape, generator=generator, dtype=torch.float64)
    return values / values.sum(-1, keepdim=True) * torch.rand(shape[:-1], generator=generator).unsqueeze(-1)


def same(actual, expected):
    np.testing.assert_allclose(actual.numpy(), expected, rtol=0, atol=1e-12)


@given(st.integers(0, 2**31), st.integers(1, 3), st.integers(1, 3), st.integers(1, 7))
def test_the_laws_are_those_of_replay(seed, heads, reads, slots):
    g = torch.Generator().manual_seed(seed)

    def rand(*shape):
        return torch.rand(shape, generator=g, dtype=torch.float64)

    usage, write, read, free = rand(2, slots), weights(g, 2, heads, slots), weights(g, 2, reads, slots), rand(2, reads)
    arguments = (usage, write, read, free)
    same(addressing.update_usage(*arguments), dynamics.update_usage(*(a.numpy() for a in arguments)))
    delta = addressing.DELTA
    same(addressing.allocate(usage), dynamics.allocate(usage.numpy(), delta))
    gate, share = rand(2, heads), rand(2, heads)
    expected = dynamics.allocate_per_head(usage.numpy(), (gate * share).numpy(), delta)
    same(addressing.allocate_per_head(usage, gate, share), expected)
    arguments = (rand(2, slots, 4) - 0.5, write, rand(2, heads, 4), rand(2, heads, 4) - 0.5)
    same(addressing.write(*arguments), dynamics.write_in_parallel(*(a.numpy() for a in arguments)))
    precedence = weights(g, 2, heads, slots)
    same(links.update_precedence(precedence, write), dynamics.update_precedence(precedence.numpy(), write.numpy()))


def test_slots_in_equal_use_are_allocated_in_order():
    allocation = addressing.allocate(torch.zeros(1, 5))
    assert allocation.argmax().item() == 0
    allocation = addressing.allocate(torch.tensor([[1.0, 0.3, 0.3, 1.0]]))
    assert allocation.argmax().item() == 1


@pytest.mark.parametrize("usage", [0.0, 1.0])
def test_allocation_has_a_finite_gradient_where_all_slots_are_free_or_full(usage):
    x = torch.full((1, 16), usage, requires_grad=True)
    allocation = addressing.allocate(x)
    allocation[0, 3].backward()
    assert allocation.isfinite().all()
    assert x.grad.isfinite().all()


def test_strengths_are_at_least_one():
    assert addressing.oneplus(torch.tensor([-100.0, 0.0, 100.0])).tolist() == pytest.approx([1, 1 + np.log(2), 101])
