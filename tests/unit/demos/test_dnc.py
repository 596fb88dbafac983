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
    model = DNC(3, 8, 2, rnn_type=rnn_type, num_layers=layers, nr_cells=6, cell_size=4, write_heads=2).double()
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
    told, _ = model(x, state._replace(read_vectors=torch.ones_like(state.read_vectors)))
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
    assert state.controller[0][1].abs().max() <= 0.01
    free = DNC(3, 8, clip=0, nr_cells=4, cell_size=3)
    assert free(torch.randn(2, 5, 3))[1].controller[0][1].abs().max() > 0.01


def test_an_interface_vector_has_the_width_of_the_paper(model):
    heads, words = 2, 4
    assert model.memory.interface_size == words * heads + 3 * words + 5 * heads + 3


def test_state_dicts_and_copies_are_whole(model):
    twin = DNC(3, 8, 2, nr_cells=6, cell_size=4, read_heads=2)
    twin.load_state_dict(model.state_dict())
    x = torch.randn(1, 4, 3)
    assert torch.equal(twin(x)[0], model(x)[0])
    assert torch.equal(copy.deepcopy(model)(x)[0], model(x)[0])


def test_an_unknown_controller_is_refused():
    with pytest.raises(ValueError, match="one of lstm, gru, rnn, not 'ltsm'"):
        DNC(3, 8, rnn_type="ltsm")
