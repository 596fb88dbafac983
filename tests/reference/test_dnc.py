"""The torch DNC against the plain numpy one, internal by internal, and its gradient against finite differences."""

from __future__ import annotations

import collections

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import memviz
from memviz.demos.models import DNC
from memviz.demos.reference import dnc as reference
from memviz.fields import CATALOGUE


def sharpened(model):
    """Larger weights than the initial ones, so that no weighting is flat and every gate moves."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)
    return model


def internals(model, x, state=None):
    """Output and everything tapped while the model runs over x, each [time, batch, ...]."""
    seen = collections.defaultdict(list)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memviz, "tap", lambda name, tensor: seen[name].append(tensor.detach().numpy()), raising=False)
        output, _ = model(x, state)
    keyframes = {name: seen.pop(name) for name in list(seen) if "/" in name}
    np.testing.assert_array_equal(keyframes["final/memory"][-1], seen["memory"][-1])
    return {name: np.array(values) for name, values in seen.items()} | {
        "output": output.detach().numpy().swapaxes(0, 1)
    }


def assert_same(actual, expected):
    assert set(actual) == set(expected)
    for name, values in actual.items():
        assert values.ndim == len(CATALOGUE[name].axes), name
        np.testing.assert_allclose(values, expected[name], rtol=0, atol=1e-10, err_msg=name)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    batch=st.integers(1, 3),
    time=st.integers(1, 6),
    slots=st.integers(1, 6),
    words=st.integers(1, 4),
    read_heads=st.integers(1, 3),
    write_heads=st.integers(1, 2),
    layers=st.integers(1, 2),
)
def test_every_internal_agrees_with_the_reference(seed, batch, time, slots, words, read_heads, write_heads, layers):
    torch.manual_seed(seed)
    sizes = {"read_heads": read_heads, "write_heads": write_heads}
    model = sharpened(DNC(3, 8, 2, num_layers=layers, nr_cells=slots, cell_size=words, **sizes).double())
    x = torch.randn(batch, time, 3, dtype=torch.float64)
    # Slots that start equal stay equal up to rounding, and rounding would then decide which is allocated first.
    state = model.initial_state(batch)
    start = torch.randn_like(state.memory.memory)
    state = state._replace(memory=state.memory._replace(memory=start))

    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    expected = reference.run(x.numpy(), weights, slots=slots, words=words, memory=start.numpy(), **sizes)
    assert_same(internals(model, x, state), expected)


def test_the_first_time_agrees_from_the_initial_state():
    torch.manual_seed(0)
    model = sharpened(DNC(3, 8, nr_cells=5, cell_size=4, read_heads=2).double())
    x = torch.randn(2, 1, 3, dtype=torch.float64)
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    assert_same(internals(model, x), reference.run(x.numpy(), weights, slots=5, words=4, read_heads=2))


@pytest.mark.parametrize("write_heads", [1, 2])
def test_the_gradient_agrees_with_finite_differences(write_heads):
    torch.manual_seed(0)
    model = DNC(2, 3, 2, nr_cells=3, cell_size=2, read_heads=2, write_heads=write_heads).double()
    # Away from the initial constant: next to a row of 1e-6 a finite difference leaves the linear range of the cosine.
    model.memory.initial_value = 0.3
    names, values = zip(*model.named_parameters(), strict=True)

    def loss(x, *parameters):
        output, state = torch.func.functional_call(model, dict(zip(names, parameters, strict=True)), (x,))
        return output.square().sum() + state.memory.link_matrix.sum() + state.memory.usage.square().sum()

    x = torch.randn(1, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(loss, (x, *values), eps=1e-6, atol=1e-5)
