"""Connectivity against finite differences, on memviz's DNC, the `dnc` package and a model whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import memviz
from memviz.demos.models import DNC
from memviz.errors import PlaceError, RecorderError
from memviz.recorders.connectivity import Connectivity

TIMES, BATCH, WIDTH = 6, 2, 3


class Delay(nn.Module):
    """Says twice what it saw two times ago, and taps something so that it can be recorded."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(2.0))

    def forward(self, x):
        memviz.tap("memory", x[:, 0, None, :])
        return torch.cat((torch.zeros_like(x[:, :2]), self.gain * x[:, :-2]), dim=1), None


def recorded(model, path, batch_first=True):
    x = torch.randn(BATCH, TIMES, WIDTH, generator=torch.Generator().manual_seed(5))
    with memviz.attach(model, path, every=1, batch="all"), torch.no_grad():
        model(x if batch_first else x.transpose(0, 1))
    return memviz.open(path)[-1]


def small_dnc(**options):
    torch.manual_seed(0)
    model = DNC(WIDTH, 8, nr_cells=5, cell_size=4, **options).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
    return model


def test_a_delay_depends_on_what_came_two_times_before(tmp_path):
    model = Delay()
    found = memviz.connectivity(model, recorded(model, tmp_path / "run"))
    expected = np.zeros((TIMES, TIMES))
    expected[range(2, TIMES), range(TIMES - 2)] = 2 * np.sqrt(WIDTH)
    for item in range(BATCH):
        np.testing.assert_allclose(found.norms[:, item], expected, rtol=1e-6)
    assert found.text(5) == "the output at t=5 depends on the input at t=3 (100 %)"
    assert found.text(0) == "the output at t=0 depends on no input"
    np.testing.assert_allclose(found.reach[2:], 2)
    assert model.gain.grad is None


@pytest.mark.parametrize("batch_first", [True, False])
def test_it_equals_finite_differences(tmp_path, batch_first):
    model = small_dnc(batch_first=batch_first)
    record = recorded(model.float(), tmp_path / "run", batch_first)
    model.double()
    found = memviz.connectivity(model, record, times=[2, -1], strict=False)
    x = torch.as_tensor(record["model/input"], dtype=torch.float64)  # [time, batch, channel]

    def output(values):
        with torch.no_grad():
            return model(values.transpose(0, 1))[0].transpose(0, 1) if batch_first else model(values)[0]

    step = 1e-6
    squares = np.zeros((2, BATCH, TIMES))
    for time in range(TIMES):
        for channel in range(WIDTH):
            nudge = torch.zeros_like(x)
            nudge[time, :, channel] = step
            change = ((output(x + nudge) - output(x - nudge)) / (2 * step))[[2, TIMES - 1]]
            squares[:, :, time] += change.square().sum(dim=2).numpy()
    np.testing.assert_allclose(found.norms, np.sqrt(squares), rtol=1e-5, atol=1e-8)
    assert not found.norms[0, :, 3:].any()


def test_by_default_it_explains_the_outputs_that_were_asked_for(tmp_path):
    model = small_dnc().float()
    x = torch.randn(1, TIMES, WIDTH)
    target = torch.full((1, TIMES, WIDTH), torch.nan)
    target[:, 4:] = 1
    with memviz.attach(model, tmp_path / "run", every=1) as recorder, torch.no_grad():
        recorder.label(target=target)
        model(x)
    assert memviz.connectivity(model, memviz.open(tmp_path / "run")[-1]).times.tolist() == [4, 5]


def test_another_model_is_refused_and_a_wrong_time_too(tmp_path):
    model = small_dnc().float()
    record = recorded(model, tmp_path / "run")
    with pytest.raises(PlaceError, match="0 to 5"):
        memviz.connectivity(model, record, times=[6])
    torch.manual_seed(1)
    with pytest.raises(RecorderError, match="not the one that was recorded"):
        memviz.connectivity(DNC(WIDTH, 8, nr_cells=5, cell_size=4), record)


def test_the_model_is_left_as_it_was(tmp_path):
    model = small_dnc().float()
    record = recorded(model, tmp_path / "run")
    model.train()
    random = torch.get_rng_state()
    assert isinstance(memviz.connectivity(model, record, times=[1]), Connectivity)
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(torch.get_rng_state(), random)
