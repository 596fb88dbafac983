"""The controller of an NTM: its cells, its bound and its learned start."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from memviz.demos.models.ntm_controller import Controller
from memviz.errors import OptionError


def run(controller, x):
    state = controller.initial_state(x.shape[1])
    outputs = []
    for x_t in x:
        output, state = controller(x_t, state)
        outputs.append(output)
    return torch.stack(outputs), state


@pytest.mark.parametrize(("rnn_type", "whole"), [("lstm", nn.LSTM), ("gru", nn.GRU), ("rnn", nn.RNN)])
def test_stacked_cells_are_those_of_torch(rnn_type, whole):
    torch.manual_seed(0)
    controller, x = Controller(3, 5, rnn_type, 2, clip=0), torch.randn(6, 2, 3)
    expected = whole(3, 5, 2)
    for layer, cell in enumerate(controller.layers):
        for name, value in cell.named_parameters():
            getattr(expected, f"{name}_l{layer}").data = value.data
    torch.testing.assert_close(run(controller, x)[0], expected(x)[0])


def test_a_feed_forward_controller_remembers_nothing():
    torch.manual_seed(0)
    controller, x = Controller(3, 5, "feedforward", 2), torch.randn(4, 2, 3)
    output, state = run(controller, x)
    assert state == ((), ())
    first, second = controller.layers
    torch.testing.assert_close(output, torch.tanh(second(torch.tanh(first(x)))))


def test_a_learned_start_is_the_same_for_all_items():
    controller = Controller(3, 5, "lstm", 2, learned_start=True)
    state = controller.initial_state(4)
    assert torch.equal(state[1][1], controller.initial_cell[1].expand(4, -1))
    assert {"initial_hidden", "initial_cell"} <= dict(controller.named_parameters()).keys()
    assert "initial_cell" not in dict(Controller(3, 5, "gru", learned_start=True).named_parameters())


def test_the_cell_is_bounded_and_0_means_free():
    x = 100 * torch.ones(50, 1, 1)
    for clip, bounded in ((0.5, True), (0, False)):
        torch.manual_seed(0)
        controller = Controller(1, 4, clip=clip)
        with torch.no_grad():
            for value in controller.parameters():
                value.fill_(0.5)
        assert (run(controller, x)[1][0][1].abs().max() <= 0.5) == bounded


def test_bad_options_give_one_line():
    with pytest.raises(OptionError, match="did you mean 'feedforward'"):
        Controller(3, 5, "feed_forward")
    with pytest.raises(OptionError, match="clip must be a number >= 0, not -1"):
        Controller(3, 5, clip=-1)
