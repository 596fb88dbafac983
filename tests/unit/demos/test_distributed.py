"""The world of one process, and devices that are not there. Two processes are in tests/integration."""

from __future__ import annotations

import pytest
import torch

from memviz.demos.distributed import World, check_device, joined
from memviz.errors import OptionError


def test_alone_there_is_nobody_to_agree_with(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    model = torch.nn.Linear(1, 1)
    with joined() as world:
        assert world == World(0, 1, "cpu")
        assert world.first
        assert world.wrapped(model) is model
        assert world.all_agree(True)
        assert not world.all_agree(False)
        state = torch.arange(3)
        assert world.gathered({"data": state}) == {"data/0": state}


@pytest.mark.parametrize("device", ["warp", "cpu:x", "cuda:99"])
def test_a_device_that_is_not_there_gives_one_line(device):
    with pytest.raises(OptionError, match="device must be one that this machine has") as caught:
        check_device(device)
    assert "\n" not in str(caught.value)
