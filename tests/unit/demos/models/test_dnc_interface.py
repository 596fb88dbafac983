"""The interface vector: where its parts lie, how they are bounded, and that parsing has the gradient it should have."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import softplus

from memviz.demos.models.dnc_interface import IndependentLinears, Interface, Layout

LAYOUTS = st.builds(
    Layout,
    words=st.integers(1, 3),
    read_heads=st.integers(1, 3),
    write_heads=st.integers(1, 2),
    masking=st.booleans(),
    link_sharpening=st.booleans(),
    bounds=st.sampled_from(["paper", "package"]),
)


def plain(layout, vector, bounds):
    """Each part cut out and bounded on its own."""
    parts, start = {}, 0
    for name, shape in layout.shapes.items():
        width = math.prod(shape)
        part = vector[:, start : start + width].view(-1, *shape)
        start += width
        if name in ("read_keys", "write_keys", "write_vectors"):
            part = torch.tanh(part) if bounds == "package" else part
        elif name.endswith("_sharpening"):
            part = 1 + softplus(part)
        elif name.endswith("_strengths"):
            part = softplus(part) if bounds == "package" else 1 + softplus(part)
        elif name == "read_modes":
            part = torch.softmax(part, dim=-1)
        else:
            part = torch.sigmoid(part)
        parts[name] = part
    assert start == layout.size == vector.shape[1]
    return parts


@given(LAYOUTS, st.integers(0, 2**31))
def test_parts_and_their_gradient_are_those_of_the_plain_equations(layout, seed):
    torch.manual_seed(seed)
    vector = (3 * torch.randn(2, layout.size, dtype=torch.float64)).requires_grad_()
    got = layout.parse(vector).present()
    wanted = plain(layout, vector, layout._bounds)
    assert list(got) == [name for name in Interface._fields if name in wanted]
    cotangents = {name: torch.randn_like(value) for name, value in wanted.items()}
    gradients = []
    for parts in (got, wanted):
        total = sum((parts[name] * cotangent).sum() for name, cotangent in cotangents.items())
        gradients.append(torch.autograd.grad(total, vector)[0])
    for name, value in wanted.items():
        torch.testing.assert_close(got[name], value, rtol=0, atol=1e-12)
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-12)


def test_a_gradient_that_reaches_one_part_alone_is_right():
    layout = Layout(2, 2, 1, False, False, "paper")
    vector = torch.randn(3, layout.size, dtype=torch.float64, requires_grad=True)
    (got,) = torch.autograd.grad(layout.parse(vector).free_gates.sum(), vector)
    (wanted,) = torch.autograd.grad(plain(layout, vector, "paper")["free_gates"].sum(), vector)
    torch.testing.assert_close(got, wanted)
    assert (got != 0).sum() == 6


def test_far_out_values_stay_in_bounds_and_finite():
    layout = Layout(2, 2, 1, True, True, "paper")
    vector = torch.tensor([-1e4, 1e4]).repeat(2, layout.size)[:, : layout.size].requires_grad_()
    parts = layout.parse(vector).present()
    assert parts["read_strengths"].min() >= 1
    assert all(value.isfinite().all() for value in parts.values())
    sum(value.sum() for value in parts.values()).backward()
    assert vector.grad.isfinite().all()


@pytest.mark.parametrize("heads", [1, 2])
def test_the_vector_is_as_wide_as_the_paper_says(heads):
    reads, words = 3, 5
    size = reads * words + 3 * heads * words + 3 * heads + 2 * reads + reads * (1 + 2 * heads)
    assert Layout(words, reads, heads, False, False, "paper").size == size
    assert Layout(words, reads, heads, True, True, "paper").size == size + (reads + heads) * words + 2 * reads


def test_one_linear_layer_per_part_gives_the_parts_in_their_order():
    layout = Layout(2, 1, 1, False, False, "paper")
    linears = IndependentLinears(4, layout)
    assert list(linears) == list(layout.shapes)
    x = torch.randn(3, 4)
    torch.testing.assert_close(linears(x)[:, :2], linears["read_keys"](x))
    assert linears(x).shape == (3, layout.size)
