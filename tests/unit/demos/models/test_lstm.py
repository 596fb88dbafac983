"""The LSTM to compare with: called as the models with a memory are."""

from __future__ import annotations

import pytest
import torch

import memviz
from memviz.demos.models.lstm import LSTM
from memviz.errors import OptionError


def test_it_goes_on_where_it_stopped():
    torch.manual_seed(0)
    model, x = LSTM(3, 5, 2, num_layers=2), torch.randn(4, 6, 3)
    whole, _ = model(x)
    first, state = model(x[:, :2])
    assert whole.shape == (4, 6, 2)
    torch.testing.assert_close(torch.cat((first, model(x[:, 2:], state)[0]), dim=1), whole)


def test_its_hidden_state_is_recorded(tmp_path):
    model, x = LSTM(3, 5), torch.randn(1, 6, 3)
    with memviz.attach(model, tmp_path / "run", every=1, policy="block"):
        model(x)
    hidden = memviz.open(tmp_path / "run")[0]["hidden"]
    assert hidden.shape == (6, 1, 5)
    torch.testing.assert_close(torch.from_numpy(hidden[:, 0]), model.lstm(x)[0][0].detach())


def test_bad_options_give_one_line():
    with pytest.raises(OptionError, match="num_layers must be a whole number >= 1, not 0"):
        LSTM(3, num_layers=0)
    with pytest.raises(OptionError, match="with 3 channels"):
        LSTM(3)(torch.randn(1, 6, 4))
