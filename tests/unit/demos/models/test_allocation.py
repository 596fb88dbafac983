"""The hand-written gradients of usage, allocation and write against finite differences and the plain equations."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from memviz.demos.models.addressing import (
    allocate,
    count_writes,
    retention,
    update_usage,
    write,
    write_weights,
)


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


@given(st.integers(0, 2**31), st.integers(1, 3), st.integers(1, 4), st.integers(1, 5))
def test_usage_and_its_gradient_are_those_of_the_plain_equation(seed, writes, reads, slots):
    torch.manual_seed(seed)
    arguments = [rand(2, slots), rand(2, writes, slots), rand(2, reads, slots), rand(2, reads)]
    usage, written, read, free = arguments
    plain = count_writes(usage, written) * retention(read, free)
    actual = update_usage(*arguments)
    torch.testing.assert_close(actual, plain, rtol=0, atol=1e-12)
    cotangent = torch.randn_like(plain)
    got, wanted = (torch.autograd.grad(value, arguments, cotangent) for value in (actual, plain))
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-12)


def test_a_slot_that_is_freed_altogether_keeps_a_gradient():
    """Factors of exactly zero, where a quotient of the product would have none."""
    read = torch.eye(3, dtype=torch.float64)[[0, 0, 1]].unsqueeze(0).requires_grad_()
    free = torch.ones(1, 3, dtype=torch.float64, requires_grad=True)
    usage, written = rand(1, 3), rand(1, 1, 3)
    got = torch.autograd.grad(update_usage(usage, written, read, free)[0, 1], free)[0]
    torch.testing.assert_close(got[0, 2], -count_writes(usage, written)[0, 1], rtol=0, atol=1e-12)
    assert got[0, 0] == 0


@given(st.integers(0, 2**31), st.integers(1, 3), st.integers(1, 5))
def test_write_weights_pass_gradcheck(seed, heads, slots):
    torch.manual_seed(seed)
    arguments = [rand(2, heads, slots), rand(2, heads, slots), rand(2, heads), rand(2, heads)]
    content, allocation, share, gate = (value.detach() for value in arguments)
    plain = gate.unsqueeze(2) * (share.unsqueeze(2) * allocation + (1 - share.unsqueeze(2)) * content)
    torch.testing.assert_close(write_weights(*arguments).detach(), plain, rtol=0, atol=1e-12)
    assert torch.autograd.gradcheck(write_weights, arguments)


def test_an_unused_memory_has_a_finite_gradient():
    usage = torch.zeros(1, 5, requires_grad=True)
    allocate(usage)[0, 0].backward()
    assert usage.grad.isfinite().all()


@pytest.mark.parametrize(
    "function",
    [
        lambda: allocate(rand(1, 3)),
        lambda: write(*(rand(1, 2, 2) for _ in range(4))),
        lambda: update_usage(rand(1, 3), rand(1, 1, 3), rand(1, 2, 3), rand(1, 2)),
        lambda: write_weights(rand(1, 2, 3), rand(1, 2, 3), rand(1, 2), rand(1, 2)),
    ],
)
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
