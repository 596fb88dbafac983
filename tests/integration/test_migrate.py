"""Weights of the real package `dnc` in our DNC: the same outputs, state and recorded fields, in float64."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest
import torch

import memviz
from memviz.demos.models import from_dnc_package, state_from_dnc_package
from memviz.demos.models.dnc_state import MemoryState

pytestmark = [pytest.mark.thirdparty, pytest.mark.filterwarnings("ignore")]

SIZES = {"nr_cells": 5, "cell_size": 4, "read_heads": 2}


def package(**options):
    with warnings.catch_warnings():
        # The package carries an invalid escape sequence and a deprecated tensor constructor.
        warnings.simplefilter("ignore")
        from dnc import DNC as PackageDNC

        torch.manual_seed(0)
        model = PackageDNC(3, 6, **{"num_hidden_layers": 1, **SIZES, **options}).double()
    for memory in model.memories:
        memory.I = memory.I.double()  # neither a buffer nor a parameter, so double() leaves it
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    return model


def hidden_state(model, batch, seed=1):
    """A state amid a sequence, as the package takes it; no two slots are alike, so that no tie decides."""
    g = torch.Generator().manual_seed(seed)

    def rand(*shape):
        return torch.rand(shape, generator=g, dtype=torch.float64)

    def memory():
        weights = {
            "memory": rand(batch, 5, 4) - 0.5,
            "link_matrix": rand(batch, 1, 5, 5) / 6 * (1 - torch.eye(5)),
            "precedence": rand(batch, 1, 5) / 5,
            "read_weights": rand(batch, 2, 5) / 5,
            "write_weights": rand(batch, 1, 5) / 5,
        }
        return weights | {"usage_vector": rand(batch, 5)}

    def cells():
        parts = [rand(model.num_hidden_layers, batch, 6) - 0.5 for _ in range(2)]
        return tuple(parts) if model.rnn_type.lower() == "lstm" else parts[0]

    controller = [cells() for _ in range(model.num_layers)]
    memories = memory() if model.share_memory else [memory() for _ in model.memories]
    return controller, memories, rand(batch, 8) - 0.5


OPTIONS = [
    pytest.param({}, id="plain"),
    pytest.param({"rnn_type": "GRU", "num_layers": 2, "num_hidden_layers": 2}, id="gru"),
    pytest.param({"rnn_type": "rnn", "nonlinearity": "relu", "clip": 0.4, "bias": False}, id="relu"),
    pytest.param({"num_layers": 3, "share_memory": False, "independent_linears": True}, id="own"),
    pytest.param({"batch_first": False, "clip": 0, "num_layers": 2, "bidirectional": True}, id="time-first"),
    pytest.param({"independent_linears": True, "num_hidden_layers": 3, "dropout": 0.5}, id="dropout"),
]


def equal(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


def same_state(ours, theirs):
    controller, memory, last_read = state_from_dnc_package(theirs)
    equal(ours.controller_hidden, controller)
    for one, other in zip(listed(ours.memory), listed(memory), strict=True):
        equal(tuple(one), tuple(other))
    equal(ours.last_read, last_read.view_as(ours.last_read))


def listed(memory):
    return [memory] if isinstance(memory, MemoryState) else list(memory)


@pytest.mark.parametrize("options", OPTIONS)
def test_outputs_and_state_are_the_same_step_by_step(options):
    theirs = package(**options)
    ours = from_dnc_package(theirs)
    time_axis = 1 if theirs.batch_first else 0
    x = torch.randn(2, 12, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    x = x if theirs.batch_first else x.swapaxes(0, 1)
    hidden = hidden_state(theirs, 2)
    state = state_from_dnc_package(copy.deepcopy(hidden))
    for number, part in enumerate(x.split(3, dim=time_axis)):
        # Dropout, where there is any, draws as many numbers in both.
        torch.manual_seed(number)
        expected, hidden = theirs(part, hidden)
        torch.manual_seed(number)
        output, state = ours(part, state)
        equal(output, expected)
        same_state(state, hidden)


@pytest.mark.parametrize("options", OPTIONS)
def test_every_recorded_field_is_the_same(options, tmp_path):
    theirs = package(**options).eval()
    ours = from_dnc_package(theirs)
    x = torch.randn(2, 6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    x = x if theirs.batch_first else x.swapaxes(0, 1)
    hidden = hidden_state(theirs, 2)
    how = {"every": 1, "batch": "all", "fields": "all"}
    with memviz.attach(ours, tmp_path / "ours", **how), torch.no_grad():
        ours(x, state_from_dnc_package(copy.deepcopy(hidden)))
    with memviz.attach(theirs, tmp_path / "theirs", **how), torch.no_grad():
        theirs(x, hidden)
    one, other = memviz.open(tmp_path / "ours")[-1], memviz.open(tmp_path / "theirs")[-1]
    compared = 0
    for name in other.stored:
        memory, _, field = name.partition("/")
        if "initial" in name or "final" in name:
            continue
        mine, turn = name, slice(None)
        if memory != "model":
            layer = int(memory.removeprefix("layer"))
            mine = f"memory/{field}" if theirs.share_memory else f"memory.{layer}/{field}"
            # A memory that layers share is one memory in ours, with a time for each turn.
            turn = slice(layer, None, theirs.num_layers) if theirs.share_memory else turn
        if field == "memory_influence":
            # Of the model as a whole, recorded with its last layer; a memory that layers share has no such time.
            if theirs.num_layers == 1:
                np.testing.assert_allclose(one[mine], other[name], rtol=0, atol=1e-6)
            continue
        np.testing.assert_allclose(one[mine][turn], other[name], rtol=0, atol=1e-10, err_msg=name)
        compared += 1
    assert compared == 2 + 22 * theirs.num_layers


def test_the_memory_can_be_reset_and_passed_by_in_both():
    theirs = package(num_layers=2)
    ours = from_dnc_package(theirs)
    x = torch.randn(2, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    for options in ({"pass_through_memory": False}, {"reset_experience": True, "pass_through_memory": False}):
        hidden = hidden_state(theirs, 2)
        state = state_from_dnc_package(copy.deepcopy(hidden))
        expected, after = theirs(x, hidden, **options)
        output, state = ours(x, state, **options)
        equal(output, expected)
        # The package returns no reads then, which its next call takes for zeros.
        expected, _ = theirs(x, after, pass_through_memory=False)
        output, _ = ours(x, state, pass_through_memory=False)
        equal(output, expected)
    # One time from an empty memory; at further ones the package takes slots in equal use in no fixed order.
    hidden = hidden_state(theirs, 2)
    theirs, ours = package(), from_dnc_package(package())
    state = state_from_dnc_package(copy.deepcopy(hidden_state(theirs, 2)))
    expected, _ = theirs(x[:, :1], hidden_state(theirs, 2), reset_experience=True)
    equal(ours(x[:, :1], state, reset_experience=True)[0], expected)


def test_gradients_are_the_same():
    theirs = package(num_layers=2, share_memory=False)
    ours = from_dnc_package(theirs)
    x = torch.randn(2, 6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    inputs = x.clone().requires_grad_(), x.clone().requires_grad_()
    hidden = hidden_state(theirs, 2)
    ours(inputs[0], state_from_dnc_package(copy.deepcopy(hidden)))[0].square().sum().backward()
    theirs(inputs[1], hidden)[0].square().sum().backward()
    equal(inputs[0].grad, inputs[1].grad)
    equal(ours.controller[1].cells[0].weight_hh.grad, theirs.lstm_layer_1.weight_hh_l0.grad)


def test_what_belongs_to_the_weights_comes_along():
    theirs = package().float().eval()
    theirs.output.bias.requires_grad_(False)
    ours = from_dnc_package(theirs)
    assert not ours.training
    assert {parameter.dtype for parameter in ours.parameters()} == {torch.float32}
    assert [name for name, parameter in ours.named_parameters() if not parameter.requires_grad] == ["output.bias"]
    with torch.no_grad():
        ours.output.weight.zero_()
    assert theirs.output.weight.any(), "a copy"


def test_a_model_that_was_changed_is_refused():
    theirs = package()
    torch.nn.utils.parametrizations.weight_norm(theirs.output)
    with pytest.raises(ValueError, match=r"no parameter output\.weight; undo parametrizations such as weight norm"):
        from_dnc_package(theirs)
    theirs = package()
    theirs.extra = torch.nn.Linear(2, 2)
    with pytest.raises(ValueError, match=r"our DNC has no place for extra\.bias, extra\.weight"):
        from_dnc_package(theirs)
    theirs = package()
    theirs.output = torch.nn.Linear(14, 7)
    with pytest.raises(ValueError, match=r"output\.weight: expected the shape \[3, 14\].* found \[7, 14\]"):
        from_dnc_package(theirs)
    theirs = package()
    theirs.nr_cells = 0
    with pytest.raises(ValueError, match="nr_cells must be a whole number >= 1, not 0"):
        from_dnc_package(theirs)
