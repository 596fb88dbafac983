"""One layer of a DNC's controller against torch's own recurrent networks."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from memviz.demos.models.dnc_controller import ControllerLayer, pack, unpack
from memviz.errors import OptionError


@pytest.mark.parametrize(("rnn_type", "whole"), [("lstm", nn.LSTM), ("gru", nn.GRU), ("rnn", nn.RNN)])
@pytest.mark.parametrize("bias", [True, False])
def test_stacked_cells_are_those_of_torch(rnn_type, whole, bias):
    torch.manual_seed(0)
    layer, x = ControllerLayer(3, 5, rnn_type, 2, bias), torch.randn(6, 2, 3)
    expected = whole(3, 5, 2, bias=bias)
    for number, cell in enumerate(layer.cells):
        for name, value in cell.named_parameters():
            getattr(expected, f"{name}_l{number}").data = value.data
    state, outputs = layer.initial_state(torch.zeros(2, 5)), []
    for x_t in x:
        output, state = layer(x_t, state)
        outputs.append(output)
    wanted, after = expected(x)
    torch.testing.assert_close(torch.stack(outputs), wanted)
    packed = pack(state)
    assert len(packed) == layer.parts
    for mine, theirs in zip(packed, after if rnn_type == "lstm" else (after,), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_unpack_is_the_inverse_of_pack():
    state = [(torch.randn(2, 5), torch.randn(2, 5)) for _ in range(3)]
    back = unpack(pack(state))
    assert all(torch.equal(a, b) for one, two in zip(back, state, strict=True) for a, b in zip(one, two, strict=True))


def test_a_bound_acts_on_the_state_only_where_it_is_asked_to():
    x, state = 50 * torch.ones(1, 1), [(torch.full((1, 4), 3.0),)]
    for clip_state, bound in ((True, 2.0), (False, None)):
        torch.manual_seed(0)
        layer = ControllerLayer(1, 4, "rnn", nonlinearity="relu", clip=2.0, clip_state=clip_state)
        with torch.no_grad():
            for value in layer.parameters():
                value.fill_(1.0)
        output, after = layer(x, state)
        assert output.max() == 2
        assert (after[0][0].max() == bound) == clip_state


def test_bad_options_give_one_line():
    with pytest.raises(OptionError, match="rnn_type must be lstm, gru or rnn, not 'ltsm'; did you mean 'lstm'"):
        ControllerLayer(3, 5, "ltsm")
    with pytest.raises(OptionError, match="nonlinearity must be tanh or relu"):
        ControllerLayer(3, 5, "rnn", nonlinearity="sigmoid")
