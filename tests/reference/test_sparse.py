"""SAM and SDNC against the plain numpy ones, internal by internal, and their gradient against finite differences."""

from __future__ import annotations

import collections

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import memviz
from memviz.demos.models import SAM, SDNC
from memviz.demos.models.sparse_bank import dense
from memviz.demos.reference import sparse as reference
from memviz.fields import CATALOGUE

PAIRS = ("write", "read", "read_content", "forward", "backward", "precedence")
"""Weightings that are tapped as positions and values."""


def sharpened(model):
    """Larger weights than the initial ones, so that no weighting is flat and every gate moves."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)
    return model.double()


def internals(model, x, state):
    """Output, links, and everything tapped while the model runs over x, each [time, batch, ...], weightings dense."""
    seen = collections.defaultdict(list)

    def tap(name, value=None, axes=None):
        # What brings axes of its own is computed for recorders alone, from what the reference has too.
        for field, tensor in ({name: value} if isinstance(name, str) else name).items() if axes is None else ():
            seen[field].append(tensor.detach().clone())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memviz, "tap", tap, raising=False)
        output, after = model(x, state)
    found = {name: torch.stack(values) for name, values in seen.items() if "/" not in name}
    for name, values in found.items():
        assert values.ndim == len(CATALOGUE[name].axes), name
    slots = model.memory.nr_cells
    for name in PAIRS:
        if f"{name}_indices" in found:
            positions, values = found.pop(f"{name}_indices"), found.pop(f"{name}_values")
            sorted_ = positions.masked_fill(positions < 0, slots).sort(dim=-1).values
            assert not ((sorted_.diff(dim=-1) == 0) & (sorted_[..., 1:] < slots)).any(), f"{name} names a slot twice"
            found[f"{name}_weights"] = dense(positions.masked_fill(positions < 0, slots), values, slots)
    for name in ("forward_weights", "backward_weights"):
        if name in found:
            found[name] = found[name].unsqueeze(3)
    assert bool((found.pop("neighbour_recall") == 1).all())
    final = {"memory": after.memory.memory, "last_access": after.memory.last_access}
    if model.memory.temporal_reads:
        final["link_matrix"] = after.memory.link_matrix.unsqueeze(1)
    found = {name: values.numpy() for name, values in found.items()}
    return found | {"output": output.detach().numpy().swapaxes(0, 1)}, final


def assert_same(model, x, memory):
    sizes = {"slots": model.memory.nr_cells, "words": model.memory.cell_size, "read_heads": model.memory.read_heads}
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    expected = reference.run(
        x.numpy(),
        weights,
        **sizes,
        sparse_reads=model.memory.sparse_reads,
        temporal_reads=model.memory.temporal_reads,
        memory=memory.numpy(),
    )
    actual, final = internals(model, x, model.initial_state(len(x), memory))
    for name, values in final.items():
        np.testing.assert_allclose(values.numpy(), expected[name][-1], rtol=0, atol=1e-10, err_msg=name)
    assert set(actual) == set(expected) - {"memory", "last_access", "link_matrix", "initial/memory"}
    for name, values in actual.items():
        np.testing.assert_allclose(values, expected[name], rtol=0, atol=1e-10, err_msg=name)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    batch=st.integers(1, 3),
    time=st.integers(1, 9),
    slots=st.integers(1, 7),
    words=st.integers(2, 4),
    read_heads=st.integers(1, 3),
    sparse_reads=st.integers(1, 8),
    temporal_reads=st.integers(0, 8),
    layers=st.integers(1, 2),
)
def test_every_internal_agrees_with_the_reference(
    seed, batch, time, slots, words, read_heads, sparse_reads, temporal_reads, layers
):
    torch.manual_seed(seed)
    sizes = {"nr_cells": slots, "cell_size": words, "read_heads": read_heads, "sparse_reads": sparse_reads}
    if temporal_reads:
        model = SDNC(3, 8, 2, num_layers=layers, **sizes, temporal_reads=temporal_reads)
    else:
        model = SAM(3, 8, 2, num_layers=layers, **sizes)
    x = torch.randn(batch, time, 3, dtype=torch.float64)
    # Slots that hold the same are equally near, and rounding would then decide which are read.
    assert_same(sharpened(model), x, torch.randn(batch, slots, words, dtype=torch.float64))


@pytest.mark.parametrize("cls", [SAM, SDNC])
def test_a_long_sequence_that_fills_its_links_agrees(cls):
    torch.manual_seed(1)
    linked = {"temporal_reads": 3} if cls is SDNC else {}
    model = sharpened(cls(3, 8, nr_cells=12, cell_size=4, read_heads=2, sparse_reads=3, **linked))
    assert_same(model, torch.randn(2, 40, 3, dtype=torch.float64), torch.randn(2, 12, 4, dtype=torch.float64))


@pytest.mark.parametrize("cls", [SAM, SDNC])
@pytest.mark.parametrize("everything", [False, True])
def test_the_gradient_agrees_with_finite_differences(cls, everything):
    torch.manual_seed(0)
    count = 4 if everything else 2
    linked = {"temporal_reads": count} if cls is SDNC else {}
    model = sharpened(cls(1, 2, 1, rnn_type="rnn", nr_cells=4, cell_size=2, sparse_reads=count, read_heads=2, **linked))
    start = torch.randn(1, 4, 2, dtype=torch.float64)
    names, values = zip(*model.named_parameters(), strict=True)

    def loss(x, *parameters):
        state = model.initial_state(1, start)
        output, state = torch.func.functional_call(model, dict(zip(names, parameters, strict=True)), (x, state))
        return output.square().sum() + state.memory.read_values.square().sum()

    x = torch.randn(1, 4, 1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(loss, (x, *values), eps=1e-6, atol=1e-6)
