"""The torch DNC as a module: arguments, axes, dtype and device, carrying state on, bounds of its internals."""

from __future__ import annotations

import copy

import pytest
import torch

from memviz.demos.models import DNC


@pytest.fixture
def model():
    torch.manual_seed(0)
    return DNC(3, 8, 2, nr_cells=6, cell_size=4, read_heads=2)


def test_the_output_has_the_axes_of_the_input(model):
    output, _ = model(torch.randn(5, 7, 3))
    assert output.shape == (5, 7, 2)
    time_first = DNC(3, 8, nr_cells=6, cell_size=4, batch_first=False)
    assert time_first(torch.randn(7, 5, 3))[0].shape == (7, 5, 3)


def test_batch_first_only_changes_the_order_of_axes(model):
    other = copy.deepcopy(model)
    other.batch_first = False
    x = torch.randn(5, 7, 3)
    torch.testing.assert_close(other(x.transpose(0, 1))[0].transpose(0, 1), model(x)[0])


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("rnn_type", ["lstm", "gru", "rnn"])
def test_going_on_from_a_state_equals_one_long_sequence(rnn_type, layers):
    model = DNC(3, 8, 2, rnn_type=rnn_type, num_hidden_layers=layers, nr_cells=6, cell_size=4, write_heads=2).double()
    x = torch.randn(2, 9, 3, dtype=torch.float64)
    whole, end = model(x)
    first, state = model(x[:, :4])
    second, after = model(x[:, 4:], state)
    torch.testing.assert_close(torch.cat((first, second), dim=1), whole)
    for expected, actual in zip(end.memory, after.memory, strict=True):
        torch.testing.assert_close(actual, expected)


def test_items_of_a_batch_do_not_see_each_other(model):
    x = torch.randn(4, 6, 3)
    torch.testing.assert_close(model(x)[0][2:3], model(x[2:3])[0])


def test_the_controller_sees_what_was_read_before(model):
    x = torch.randn(1, 5, 3)
    state = model.initial_state(1)
    plain, _ = model(x, state)
    told, _ = model(x, state._replace(last_read=torch.ones_like(state.last_read)))
    assert not torch.allclose(plain[:, 0], told[:, 0])


def test_weightings_keep_their_bounds(model):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(8)
    state = None
    for _ in range(4):
        _, state = model(torch.randn(16, 5, 3), state)
        memory = state.memory
        for weights in (memory.read_weights, memory.write_weights, memory.precedence_weights, memory.usage):
            assert weights.min() >= 0
        for weights in (memory.read_weights, memory.write_weights, memory.precedence_weights):
            assert weights.sum(-1).max() <= 1 + 1e-5
        assert memory.usage.max() <= 1 + 1e-6
        assert memory.link_matrix.min() >= -1e-6
        assert memory.link_matrix.sum(-1).max() <= 1 + 1e-5
        assert memory.link_matrix.diagonal(dim1=-2, dim2=-1).abs().max() == 0


def test_the_state_is_where_the_parameters_are(model):
    assert model.double().initial_state(2).memory.memory.dtype == torch.float64
    assert model.to("meta").initial_state(2).memory.link_matrix.device.type == "meta"


def test_every_parameter_has_a_gradient(model):
    model(torch.randn(3, 6, 3))[0].square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_clip_bounds_the_cell_of_the_controller():
    model = DNC(3, 8, clip=0.01, nr_cells=4, cell_size=3)
    _, state = model(torch.randn(2, 5, 3))
    assert state.controller_hidden[0][1].abs().max() <= 0.01
    free = DNC(3, 8, clip=0, nr_cells=4, cell_size=3)
    assert free(torch.randn(2, 5, 3))[1].controller_hidden[0][1].abs().max() > 0.01


def test_an_interface_vector_has_the_width_of_the_paper(model):
    heads, words = 2, 4
    assert model.memory.interface_size == words * heads + 3 * words + 5 * heads + 3


def test_state_dicts_and_copies_are_whole(model):
    twin = DNC(3, 8, 2, nr_cells=6, cell_size=4, read_heads=2)
    twin.load_state_dict(model.state_dict())
    x = torch.randn(1, 4, 3)
    assert torch.equal(twin(x)[0], model(x)[0])
    assert torch.equal(copy.deepcopy(model)(x)[0], model(x)[0])


REFUSALS = [
    ({"nr_cells": 0}, "nr_cells must be a whole number >= 1, not 0"),
    ({"hidden_size": 2.5}, "hidden_size must be a whole number >= 1, not 2.5"),
    ({"num_hidden_layers": 0}, "num_hidden_layers must be a whole number >= 1, not 0"),
    ({"output_size": 0}, "output_size must be a whole number >= 1, not 0"),
    ({"rnn_type": "ltsm"}, "rnn_type must be lstm, gru or rnn, not 'ltsm'; did you mean 'lstm'?"),
    ({"nonlinearity": "sigmoid"}, "nonlinearity must be tanh or relu, not 'sigmoid'"),
    ({"wiring": "pakage"}, "wiring must be paper or package, not 'pakage'; did you mean 'package'?"),
    ({"clip": -1}, "clip must be a number >= 0, not -1"),
    ({"dropout": 1.0}, "dropout must be below 1, which would drop everything"),
    ({"masking": "yes"}, "masking must be True or False, not 'yes'"),
    ({"initial_value": float("nan")}, "initial_value must be a number, not nan"),
]


@pytest.mark.parametrize(("arguments", "line"), REFUSALS, ids=[next(iter(arguments)) for arguments, _ in REFUSALS])
def test_an_option_that_cannot_be_is_refused_in_one_line(arguments, line):
    with pytest.raises(ValueError) as caught:
        DNC(**{"input_size": 3, "hidden_size": 8} | arguments)
    assert str(caught.value) == line


def test_an_input_of_another_width_is_refused(model):
    with pytest.raises(ValueError, match=r"\[batch, time, input_channel\] with 3 channels.* not \[5, 7, 4\]"):
        model(torch.randn(5, 7, 4))


OPTIONS = [
    pytest.param({"rnn_type": "gru", "num_hidden_layers": 2, "num_layers": 2}, id="gru"),
    pytest.param({"rnn_type": "rnn", "nonlinearity": "relu", "bias": False}, id="relu"),
    pytest.param({"num_layers": 2, "share_memory": False, "write_heads": 2}, id="own"),
    pytest.param({"wiring": "package", "independent_linears": True}, id="package"),
    pytest.param({"masking": True, "deallocation": True, "link_sharpening": True}, id="mds"),
]


@pytest.mark.parametrize("options", OPTIONS)
def test_going_on_equals_one_long_sequence_with_every_option(options):
    torch.manual_seed(0)
    model = DNC(3, 8, 2, nr_cells=6, cell_size=4, read_heads=2, **options).double()
    x = torch.randn(2, 9, 3, dtype=torch.float64)
    whole, end = model(x)
    first, state = model(x[:, :4])
    if options.get("wiring") == "package":
        # It shows a sequence the reads it began with, so a cut must not refresh them.
        state = state._replace(last_read=torch.zeros_like(state.last_read))
    second, after = model(x[:, 4:], state)
    torch.testing.assert_close(torch.cat((first, second), dim=1), whole)
    torch.testing.assert_close(after, end)


@pytest.mark.parametrize("options", OPTIONS)
def test_every_parameter_learns_with_every_option(options):
    torch.manual_seed(1)
    model = DNC(3, 8, 2, nr_cells=6, cell_size=4, read_heads=2, **options)
    model(torch.randn(3, 6, 3))[0].square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("options", OPTIONS)
def test_a_memory_of_zeros_has_finite_gradients(options):
    torch.manual_seed(0)
    model = DNC(3, 8, 2, nr_cells=6, cell_size=4, initial_value=0.0, **options)
    model(torch.zeros(2, 5, 3))[0].sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_a_shared_memory_is_used_by_the_layers_in_turn():
    torch.manual_seed(0)
    shared = DNC(3, 8, 2, num_layers=3, nr_cells=6, cell_size=4)
    calls = []
    shared.memory.register_forward_hook(lambda *_: calls.append(1))
    _, state = shared(torch.randn(2, 5, 3))
    assert len(calls) == 15
    assert state.memory.memory.shape == (2, 6, 4)
    own = DNC(3, 8, 2, num_layers=3, nr_cells=6, cell_size=4, share_memory=False)
    _, state = own(torch.randn(2, 5, 3))
    assert len(state.memory) == len(own.memories()) == 3
    assert not torch.equal(state.memory[0].memory, state.memory[1].memory)


def test_with_the_wiring_of_the_package_the_controller_sees_no_new_reads():
    torch.manual_seed(0)
    fed = {}
    for wiring in ("paper", "package"):
        model = DNC(3, 8, nr_cells=6, cell_size=4, read_heads=2, wiring=wiring)
        seen = fed[wiring] = []
        model.controller[0].register_forward_pre_hook(lambda _, args, seen=seen: seen.append(args[0][:, 3:]))
        model(torch.randn(2, 4, 3))
    assert not any(reads.any() for reads in fed["package"])
    assert not fed["paper"][0].any()
    assert all(reads.any() for reads in fed["paper"][1:])


def test_each_part_of_a_state_may_be_left_out(model):
    x = torch.randn(2, 4, 3)
    plain, state = model(x)
    assert torch.equal(model(x, (None, None, None))[0], plain)
    only_memory, _ = model(x, (None, state.memory, None))
    assert not torch.allclose(only_memory, plain)
    whole = model.initial_state(2)
    torch.testing.assert_close(model(x, whole._replace(memory=state.memory))[0], only_memory)


def test_reset_experience_forgets_the_memory_and_nothing_else(model):
    x = torch.randn(2, 4, 3)
    _, state = model(x)
    expected, _ = model(x, state._replace(memory=model.initial_state(2).memory))
    assert torch.equal(model(x, state, reset_experience=True)[0], expected)
    assert not torch.allclose(model(x, state)[0], expected)
    assert torch.equal(model(x, reset_experience=True)[0], model(x)[0])


def test_the_controller_alone_leaves_the_memory_as_it_is(model):
    x = torch.randn(2, 4, 3)
    _, state = model(x)
    output, after = model(x, state, pass_through_memory=False)
    assert all(torch.equal(one, other) for one, other in zip(state.memory, after.memory, strict=True))
    assert torch.equal(after.last_read, state.last_read)
    assert not torch.equal(after.controller_hidden[0][0], state.controller_hidden[0][0])
    assert output.shape == (2, 4, 2)


STATES = [
    (
        lambda state: state[:2],
        r"must be \(controller_hidden, memory, last_read\), each of them or None, not tuple of 2",
    ),
    (lambda state: torch.zeros(2), "not one of the shape"),
    (
        lambda state: (state[0], state[1], torch.zeros(2, 7)),
        r"last_read of the state .*\[2, 2, 4\], not one of .*\[2, 7\]",
    ),
    (lambda state: (state[0] * 2, *state[1:]), "controller_hidden of the state must hold one entry per layer, 1"),
    (lambda state: (((state[0][0][0],),), *state[1:]), "controller_hidden of the state must hold 2, not tuple of 1"),
    (
        lambda state: (state[0], state[1]._replace(usage=torch.zeros(2, 5)), state[2]),
        r"memory.usage of the state must be a tensor of the shape \[2, 6\], not one of the shape \[2, 5\]",
    ),
    (lambda state: (state[0], {"memory": 1}, state[2]), "memory of the state must hold 6, not dict"),
]


@pytest.mark.parametrize(("spoil", "line"), STATES)
def test_a_state_that_does_not_fit_is_refused(model, spoil, line):
    _, state = model(torch.randn(2, 4, 3))
    with pytest.raises(ValueError, match=line):
        model(torch.randn(2, 4, 3), spoil(state))


def test_a_state_of_another_batch_is_refused(model):
    _, state = model(torch.randn(2, 4, 3))
    with pytest.raises(ValueError, match=r"controller_hidden\[0\] of the state must .*\[1, 3, 8\], not .*\[1, 2, 8\]"):
        model(torch.randn(3, 4, 3), state)
    own = DNC(3, 8, num_layers=2, share_memory=False)
    with pytest.raises(ValueError, match="one state per layer, 2"):
        own(torch.randn(2, 4, 3), (None, (state.memory,), None))


def test_dropout_acts_between_cells_while_training():
    torch.manual_seed(0)
    model = DNC(3, 8, num_hidden_layers=2, dropout=0.5, nr_cells=4, cell_size=3)
    x = torch.randn(2, 4, 3)
    assert not torch.equal(model(x)[0], model(x)[0])
    model.eval()
    assert torch.equal(model(x)[0], model(x)[0])


def test_clip_bounds_the_output_of_rectified_units():
    torch.manual_seed(0)
    outputs = {}
    for clip in (0, 0.05):
        torch.manual_seed(0)
        model = DNC(3, 8, rnn_type="rnn", nonlinearity="relu", clip=clip, nr_cells=4, cell_size=3, wiring="package")
        seen = outputs[clip] = []
        model.controller[0].register_forward_hook(
            lambda _, args, result, seen=seen: seen.append(float(result[0].detach().max()))
        )
        _, state = model(torch.randn(2, 6, 3))
    assert max(outputs[0]) > 0.05
    assert max(outputs[0.05]) == pytest.approx(0.05)
    assert state.controller_hidden[0][0].max() > 0.05, "the package clips what the controller says, not what it keeps"


def test_one_linear_layer_per_part_has_as_many_parameters():
    whole = DNC(3, 8, read_heads=2, masking=True, link_sharpening=True)
    parts = DNC(3, 8, read_heads=2, masking=True, link_sharpening=True, independent_linears=True)
    assert sum(p.numel() for p in whole.parameters()) == sum(p.numel() for p in parts.parameters())
    assert set(parts.memory.interface) == set(parts.memory.layout.shapes)


def test_share_memory_of_torch_is_not_in_the_way(model):
    assert model.share_memory() is model
