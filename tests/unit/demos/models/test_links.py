"""The hand-written gradient of the links against what autograd finds for the plain equations."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from memviz.demos.models.links import follow_links


def plain(link, precedence, write, read):
    """The equations of the paper, left to autograd."""
    to, source = write.unsqueeze(3), write.unsqueeze(2)
    updated = (1 - to - source) * link + to * precedence.unsqueeze(2)
    updated = updated * (1 - torch.eye(link.shape[-1], dtype=link.dtype))
    forward = torch.einsum("bwij,brj->brwi", updated, read)
    return updated, forward, torch.einsum("bwij,bri->brwj", updated, read)


@given(st.integers(0, 2**31), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 7))
def test_values_and_gradients_equal_those_of_the_plain_equations(seed, batch, writes, reads, slots):
    torch.manual_seed(seed)
    shapes = [(batch, writes, slots, slots), (batch, writes, slots), (batch, writes, slots), (batch, reads, slots)]
    arguments = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    # What the links were on their diagonal does not matter: it is dropped at every update.
    actual, expected = follow_links(*arguments), plain(*arguments)
    cotangents = [torch.randn_like(value) for value in expected]
    for one, other in zip(actual, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)
    got = torch.autograd.grad(actual, arguments, cotangents, retain_graph=True)
    wanted = torch.autograd.grad(expected, arguments, cotangents)
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-11)


def test_a_gradient_that_does_not_reach_every_result_is_right_too():
    torch.manual_seed(0)
    arguments = [
        torch.randn(shape, dtype=torch.float64, requires_grad=True)
        for shape in [(2, 1, 4, 4), (2, 1, 4), (2, 1, 4), (2, 2, 4)]
    ]
    for which in range(3):
        got = torch.autograd.grad(follow_links(*arguments)[which].sum(), arguments, allow_unused=True)
        wanted = torch.autograd.grad(plain(*arguments)[which].sum(), arguments, allow_unused=True)
        for one, other in zip(got, wanted, strict=True):
            torch.testing.assert_close(one, torch.zeros_like(one) if other is None else other, rtol=0, atol=1e-12)


def test_a_second_derivative_is_refused_rather_than_wrong():
    link = torch.zeros(1, 1, 2, 2, dtype=torch.float64)
    write = torch.rand(1, 1, 2, dtype=torch.float64, requires_grad=True)
    updated, _, _ = follow_links(link, torch.rand(1, 1, 2).double(), write, torch.rand(1, 1, 2).double())
    (gradient,) = torch.autograd.grad(updated.square().sum(), write, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()
