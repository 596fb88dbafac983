"""The torch NTM as a module: arguments, axes, state, initial states, orders of heads, presets."""

from __future__ import annotations

import copy

import pytest
import torch

from memviz.demos.models.ntm import NTM
from memviz.demos.models.ntm_options import Dialect, Start
from memviz.errors import OptionError

SIZES = {"nr_cells": 6, "cell_size": 4, "read_heads": 2}


@pytest.fixture
def model():
    torch.manual_seed(0)
    return NTM(3, 8, 2, **SIZES)


def test_the_output_has_the_axes_of_the_input(model):
    output, _ = model(torch.randn(5, 7, 3))
    assert output.shape == (5, 7, 2)
    assert NTM(3, 8, batch_first=False, **SIZES)(torch.randn(7, 5, 3))[0].shape == (7, 5, 3)


def test_batch_first_only_changes_the_order_of_axes(model):
    other = copy.deepcopy(model)
    other.batch_first = False
    x = torch.randn(5, 7, 3)
    torch.testing.assert_close(other(x.transpose(0, 1))[0].transpose(0, 1), model(x)[0])


@pytest.mark.parametrize("write_order", ["parallel", "series", "last"])
@pytest.mark.parametrize("rnn_type", ["lstm", "gru", "rnn", "feedforward"])
def test_going_on_from_a_state_equals_one_long_sequence(rnn_type, write_order):
    torch.manual_seed(0)
    options = {"num_layers": 2, "write_heads": 2, "write_order": write_order, "initial_state": "learned"}
    model = NTM(3, 8, 2, rnn_type=rnn_type, **options, **SIZES).double()
    x = torch.randn(2, 9, 3, dtype=torch.float64)
    whole, end = model(x)
    first, state = model(x[:, :4])
    second, after = model(x[:, 4:], state)
    torch.testing.assert_close(torch.cat((first, second), dim=1), whole)
    for expected, actual in zip(end.memory, after.memory, strict=True):
        torch.testing.assert_close(actual, expected)


def test_each_part_of_a_state_may_be_left_out(model):
    x = torch.randn(2, 2, 5, 3)
    fresh, _ = model(x[1])
    assert torch.equal(model(x[1], (None, None, None))[0], fresh)
    controller, memory, reads = model(x[0])[1]
    start = model.initial_state(2)
    assert torch.equal(model(x[1], (controller, None, reads))[0], model(x[1], (controller, start.memory, reads))[0])
    assert torch.equal(model(x[1], (None, memory, reads))[0], model(x[1], (start.controller, memory, reads))[0])
    assert torch.equal(
        model(x[1], (controller, memory, None))[0], model(x[1], (controller, memory, start.read_vectors))[0]
    )


def test_reset_experience_forgets_the_memory_and_its_heads_and_nothing_else(model):
    x = torch.randn(2, 2, 5, 3)
    controller, _, reads = state = model(x[0])[1]
    anew, _ = model(x[1], state, reset_experience=True)
    assert torch.equal(anew, model(x[1], (controller, None, reads))[0])
    assert not torch.equal(anew, model(x[1], state)[0])


def test_the_controller_can_run_alone(model):
    x = torch.randn(2, 5, 3)
    _, state = model(x)
    output, after = model(x, state, pass_through_memory=False)
    assert output.shape == (2, 5, 2)
    for before, now in zip(state.memory, after.memory, strict=True):
        assert torch.equal(now, before)
    assert torch.equal(after.read_vectors, state.read_vectors)
    assert not torch.equal(after.controller[0][0], state.controller[0][0])


def test_a_state_that_does_not_fit_is_refused(model):
    _, state = model(torch.randn(2, 4, 3))
    with pytest.raises(OptionError, match="state is of a batch of 2, the input of 1"):
        model(torch.randn(1, 4, 3), state)
    with pytest.raises(OptionError, match="not 2 parts"):
        model(torch.randn(1, 4, 3), (None, None))


def test_items_of_a_batch_do_not_see_each_other(model):
    x = torch.randn(4, 6, 3)
    torch.testing.assert_close(model(x)[0][2:3], model(x[2:3])[0])


def test_weightings_are_distributions_however_sharp(model):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(20)
    _, state = model(100 * torch.randn(16, 12, 3))
    for weights in (state.memory.read_weights, state.memory.write_weights):
        assert weights.min() >= 0
        torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights.sum(-1)))


def test_the_state_is_where_the_parameters_are(model):
    assert model.double().initial_state(2).memory.memory.dtype == torch.float64
    assert model.to("meta").initial_state(2).memory.read_weights.device.type == "meta"


def test_every_parameter_has_a_gradient(model):
    model(torch.randn(3, 6, 3))[0].square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("write_order", ["parallel", "series"])
def test_under_autocast_the_memory_keeps_its_precision(write_order):
    torch.manual_seed(0)
    model = NTM(3, 8, 2, write_heads=2, write_order=write_order, **SIZES)
    x = torch.randn(2, 5, 3)
    with torch.autocast("cpu", torch.bfloat16):
        output, state = model(x)
    assert (output.dtype, state.memory.memory.dtype) == (torch.bfloat16, torch.float32)
    torch.testing.assert_close(output.float(), model(x)[0], rtol=0, atol=0.05)
    output.float().square().sum().backward()
    assert model.memory.interface.weight.grad.isfinite().all()


def test_half_precision_throughout(model):
    output, state = model.bfloat16()(torch.randn(2, 5, 3, dtype=torch.bfloat16))
    assert output.dtype == state.memory.read_weights.dtype == torch.bfloat16


def test_clip_bounds_the_cell_of_the_controller():
    _, state = NTM(3, 8, clip=0.01, **SIZES)(torch.randn(2, 5, 3))
    assert state.controller[0][1].abs().max() <= 0.01


def test_state_dicts_and_copies_are_whole(model):
    twin = NTM(3, 8, 2, **SIZES)
    twin.load_state_dict(model.state_dict())
    x = torch.randn(1, 4, 3)
    assert torch.equal(twin(x)[0], model(x)[0])
    assert torch.equal(copy.deepcopy(model)(x)[0], model(x)[0])


@pytest.mark.parametrize("name", ["diffmem", "pytorch-ntm", "ntm-pytorch"])
def test_presets_learn_and_pair_their_heads(name):
    torch.manual_seed(0)
    model = NTM.preset(name, 3, 8, 2, nr_cells=6, cell_size=4, read_heads=3)
    assert model.memory.write_heads == 3
    output, _ = model(torch.randn(2, 5, 3))
    assert ((output >= 0) & (output <= 1)).all()
    output.square().sum().backward()
    assert model.memory.interface.weight.grad.abs().sum() > 0
    one = NTM.preset(name, 3, 8, read_heads=2, write_heads=1, nr_cells=6, dialect=Dialect(strengths="oneplus"))
    assert one.memory.write_heads == 1
    assert one.memory.dialect.strengths == "oneplus"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"nr_cells": 0}, "nr_cells must be a whole number >= 1, not 0"),
        ({"rnn_type": "feed-forward"}, "did you mean 'feedforward'"),
        ({"shifts": (0, 0)}, r"shifts must be distinct whole numbers such as \(-1, 0, 1\), not \(0, 0\)"),
        ({"shifts": ()}, "shifts must be distinct whole numbers"),
        ({"write_order": "serial"}, "write_order must be parallel, series or last, not 'serial'"),
        ({"read_order": "before"}, "read_order must be after_write, before_write or in_turn"),
        ({"read_order": (0, 3)}, "after how many of 1 write heads it reads"),
        ({"write_heads": 2, "read_order": "in_turn"}, "needs write_order='series', not 'parallel'"),
        (
            {"initial_state": "learnt"},
            "initial_state must be constant or learned, not 'learnt'; did you mean 'learned'",
        ),
        ({"rnn_type": "gru", "heads_see": "cell"}, "heads_see='cell' needs the cell of an LSTM"),
    ],
)
def test_bad_options_are_said_in_one_line(options, said):
    with pytest.raises(OptionError, match=said) as caught:
        NTM(3, 8, **{**SIZES, **options})
    assert "\n" not in str(caught.value)


def test_bad_starts_dialects_presets_and_inputs_are_refused(model):
    with pytest.raises(OptionError, match="the memory of initial_state must be"):
        Start(memory="zero")
    with pytest.raises(OptionError, match="sharpening must be softplus or sigmoid"):
        Dialect(sharpening="relu")
    with pytest.raises(OptionError, match="preset must be diffmem, pytorch-ntm or ntm-pytorch, not 'pytorch_ntm'"):
        NTM.preset("pytorch_ntm", 3, 8)
    with pytest.raises(OptionError, match="the input must be"):
        model(torch.randn(2, 5, 4))
