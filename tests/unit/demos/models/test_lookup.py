"""The hand-written gradient of content lookup against what autograd finds for the plain equation."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from memviz.analysis import dynamics
from memviz.demos.models.lookup import DELTA, content_weights, masked_content_weights


def plain(memory, keys, strengths):
    """The equation of the paper, left to autograd; an epsilon keeps the norm's own gradient finite."""
    norms = keys.norm(dim=2).unsqueeze(2) * memory.norm(dim=2).unsqueeze(1)
    return torch.softmax(strengths.unsqueeze(2) * (keys @ memory.mT) / (norms + DELTA), dim=2)


@given(st.integers(0, 2**31), st.integers(1, 3), st.integers(1, 3), st.integers(1, 7), st.integers(1, 5))
def test_values_and_gradients_equal_those_of_the_plain_equation(seed, batch, heads, slots, words):
    torch.manual_seed(seed)
    shapes = [(batch, slots, words), (batch, heads, words), (batch, heads)]
    arguments = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    actual, expected = content_weights(*arguments), plain(*arguments)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)
    cotangent = torch.randn_like(expected)
    got = torch.autograd.grad(actual, arguments, cotangent)
    wanted = torch.autograd.grad(expected, arguments, cotangent)
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-9)


def test_empty_rows_and_empty_keys_have_finite_gradients():
    memory = torch.zeros(1, 3, 2, dtype=torch.float64)
    memory[0, 0] = torch.tensor([1.0, 2.0])
    keys = torch.tensor([[[1.0, 1.0], [0.0, 0.0]]], dtype=torch.float64)
    arguments = [memory.requires_grad_(), keys.requires_grad_(), torch.full((1, 2), 3.0).double().requires_grad_()]
    weights = content_weights(*arguments)
    assert torch.equal(weights[0, 1], torch.full((3,), 1 / 3, dtype=torch.float64))
    for gradient in torch.autograd.grad(weights[..., 0].sum(), arguments):
        assert gradient.isfinite().all()


def test_model_and_replay_agree_on_the_lookup():
    torch.manual_seed(0)
    memory, keys, strengths = torch.randn(2, 6, 4), torch.randn(2, 3, 4), 5 * torch.rand(2, 3)
    derived = dynamics.content_weights(memory.numpy(), keys.numpy(), strengths.numpy(), DELTA)
    np.testing.assert_allclose(content_weights(memory, keys, strengths).numpy(), derived, atol=1e-6)


@given(st.integers(0, 2**31), st.integers(1, 3), st.integers(1, 6), st.integers(1, 5))
def test_a_masked_lookup_is_the_law_of_replay_and_has_its_gradient(seed, heads, slots, words):
    torch.manual_seed(seed)
    shapes = [(2, slots, words), (2, heads, words), (2, heads), (2, heads, words)]
    arguments = [torch.rand(shape, dtype=torch.float64) + 0.1 for shape in shapes]
    expected = dynamics.masked_content_weights(*(argument.numpy() for argument in arguments), DELTA)
    np.testing.assert_allclose(masked_content_weights(*arguments).numpy(), expected, rtol=0, atol=1e-12)
    assert torch.autograd.gradcheck(masked_content_weights, [argument.requires_grad_() for argument in arguments])


def test_a_mask_of_ones_hides_nothing_and_one_of_zeros_all():
    torch.manual_seed(0)
    memory, keys = torch.randn(2, 5, 4, dtype=torch.float64), torch.randn(2, 3, 4, dtype=torch.float64)
    strengths = torch.full((2, 3), 4.0, dtype=torch.float64)
    open_masks = torch.ones(2, 3, 4, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(
        masked_content_weights(memory, keys, strengths, open_masks), content_weights(memory, keys, strengths)
    )
    shut = torch.zeros(2, 3, 4, dtype=torch.float64, requires_grad=True)
    blind = masked_content_weights(memory, keys, strengths, shut)
    torch.testing.assert_close(blind, torch.full((2, 3, 5), 0.2, dtype=torch.float64))
    blind.square().sum().backward()
    assert shut.grad.isfinite().all()
