"""A model that is called once per time, recorded as one sequence."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import memviz


class Cell(nn.Module):
    """One time per call; the state goes in and comes out."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x, state):
        state = torch.softmax(self.linear(x + state), 1)
        memviz.tap("usage", state)
        return state


@pytest.fixture
def cell():
    torch.manual_seed(0)
    return Cell()


def run(cell, x, fail_at=None):
    state, states = torch.zeros(len(x), 3), []
    for time, x_t in enumerate(x.unbind(1)):
        if time == fail_at:
            raise ValueError("the loop fails")
        state = cell(x_t, state)
        states.append(state)
    return torch.stack(states)


def test_its_calls_are_the_times_of_one_record(cell, tmp_path, batch):
    with memviz.attach(cell, tmp_path / "run", every=1, batch="all") as recorder:
        for _ in range(2):
            recorder.label(input=batch.transpose(0, 1), target=batch.transpose(0, 1), task="sums")
            with recorder.sequence():
                states = run(cell, batch)
            recorder.log(step=recorder.step + 1, loss=states.mean().item())
        assert not cell._forward_hooks or len(cell._forward_hooks) == 1
    trace = memviz.open(recorder.path)
    assert len(trace) == 2
    np.testing.assert_array_equal(trace[0]["memory/usage"], states.detach().numpy())
    np.testing.assert_array_equal(trace[1]["model/target"], batch.transpose(0, 1).numpy())
    assert trace[0].labels["task"] == "sums"


def test_without_it_every_call_is_a_forward(cell, tmp_path, batch):
    with memviz.attach(cell, tmp_path / "run", every=1) as recorder:
        run(cell, batch)
    assert memviz.open(recorder.path)[0].lengths["memory"] == 1


def test_a_failed_sequence_leaves_its_place_to_the_next(cell, tmp_path, batch):
    with memviz.attach(cell, tmp_path / "run", every=1) as recorder:
        with pytest.raises(ValueError, match="the loop fails"), recorder.sequence():
            run(cell, batch, fail_at=2)
        with recorder.sequence():
            run(cell, batch)
    trace = memviz.open(recorder.path)
    assert [record.lengths["memory"] for record in trace] == [5]
    assert not cell._forward_hooks


def test_a_sequence_that_nobody_ended_does_not_hold_the_next_one_up(cell, tmp_path, batch):
    with memviz.attach(cell, tmp_path / "run", every=1) as recorder:

        def abandon():
            recorder.sequence().__enter__()
            run(cell, batch, None)

        abandon()
        with recorder.sequence():
            run(cell, batch)
    assert memviz.open(recorder.path)[0].lengths["memory"] == 5


def test_after_the_end_of_recording_it_does_nothing(cell, tmp_path, batch):
    recorder = memviz.attach(cell, tmp_path / "run", every=1)
    with recorder.sequence():
        run(cell, batch)
    recorder.close()
    with recorder.sequence():
        expected = run(cell, batch)
    torch.testing.assert_close(expected, run(cell, batch))
    assert len(memviz.open(recorder.path)) == 1
