"""The hand-written gradients of allocation and write against finite differences and the plain equations."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from memviz.demos.models.addressing import allocate, write


def rand(*shape):
    return torch.rand(shape, dtype=torch.float64, requires_grad=True)


def plain_write(memory, weights, erase, vectors):
    keep = torch.prod(1 - weights.unsqueeze(3) * erase.unsqueeze(2), dim=1)
    return memory * keep + weights.mT @ vectors


@given(st.integers(0, 2**31), st.integers(1, 3), st.integers(1, 3), st.integers(1, 5), st.integers(1, 4))
def test_the_write_and_its_gradient_are_those_of_the_plain_equation(seed, batch, heads, slots, words):
    torch.manual_seed(seed)
    arguments = [rand(batch, slots, words), rand(batch, heads, slots), rand(batch, heads, words)]
    arguments.append(rand(batch, heads, words))
    actual, expected = write(*arguments), plain_write(*arguments)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)
    cotangent = torch.randn_like(expected)
    got = torch.autograd.grad(actual, arguments, cotangent)
    wanted = torch.autograd.grad(expected, arguments, cotangent)
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-12)


def test_a_slot_that_is_wiped_keeps_a_gradient():
    """A factor of exactly zero, where a quotient of the product would have none."""
    memory, vectors = rand(1, 2, 2), rand(1, 2, 2)
    weights = torch.ones(1, 2, 2, dtype=torch.float64, requires_grad=True)
    erase = torch.ones(1, 2, 2, dtype=torch.float64, requires_grad=True)
    arguments = [memory, weights, erase, vectors]
    got = torch.autograd.grad(write(*arguments).sum(), arguments)
    wanted = torch.autograd.grad(plain_write(*arguments).sum(), arguments)
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-12)


@given(st.integers(0, 2**31), st.integers(1, 3), st.integers(1, 7))
def test_allocation_passes_gradcheck(seed, batch, slots):
    torch.manual_seed(seed)
    # Apart by more than the step of finite differences, which must not change the order.
    usage = (torch.argsort(torch.rand(batch, slots)).double() + 0.5 * torch.rand(batch, slots)) / slots
    assert torch.autograd.gradcheck(allocate, usage.requires_grad_())


def test_an_unused_memory_has_a_finite_gradient():
    usage = torch.zeros(1, 5, requires_grad=True)
    allocate(usage)[0, 0].backward()
    assert usage.grad.isfinite().all()


@pytest.mark.parametrize("function", [lambda: allocate(rand(1, 3)), lambda: write(*(rand(1, 2, 2) for _ in range(4)))])
def test_a_second_derivative_is_refused_rather_than_wrong(function):
    output = function().square().sum()
    leaves = [node.variable for node, _ in _leaves(output.grad_fn)]
    (gradient, *_) = torch.autograd.grad(output, leaves, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def _leaves(node):
    for inner, index in node.next_functions:
        if hasattr(inner, "variable"):
            yield inner, index
        elif inner is not None:
            yield from _leaves(inner)
