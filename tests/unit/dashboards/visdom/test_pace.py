"""Replays: the pace of the recording, faster or slower, with long pauses cut."""

from __future__ import annotations

import numpy as np
import pytest

import memviz
from memviz.dashboards.visdom.pace import LONGEST_PAUSE, Pace, schedule


def test_records_come_as_they_were_taken():
    np.testing.assert_allclose(schedule(np.array([50.0, 50.5, 51.5]), 1.0), [0, 0.5, 1.5])
    np.testing.assert_allclose(schedule(np.array([50.0, 50.5, 51.5]), 2.0), [0, 0.25, 0.75])


def test_a_night_is_cut_and_a_clock_set_back_is_no_pause():
    np.testing.assert_allclose(schedule(np.array([0.0, 40_000.0, 39_999.0]), 1.0), [0, LONGEST_PAUSE, LONGEST_PAUSE])


def test_nothing_recorded_is_no_schedule():
    assert schedule(np.array([]), 1.0).shape == (0,)


def test_a_replay_comes_to_its_end(run, clock):
    trace = memviz.open(run.path)
    pace = Pace(1.0, clock)
    ends = schedule(trace.walls, 1.0)
    first = pace(trace)
    assert (first.newest, first.playing) == (0, "replaying record 1 of 5, 1 ×")
    clock.now += (ends[2] + ends[3]) / 2
    assert pace(trace).newest == 2
    clock.now += 1000
    assert pace(trace).newest == 4
    assert pace(trace).playing == ""


@pytest.mark.parametrize("index", range(5))
def test_a_sink_shows_no_later_record_than_the_replay(run, sink_of, board, clock, index):
    from memviz.dashboards.visdom.sink import Frontier

    sink = sink_of(run, frontier=lambda trace: Frontier(index, "replaying"))
    sink.draw()
    step = memviz.open(run.path)[index].step
    assert f"step {step} " in board.windows["memviz:usage"]["layout"]["title"]["text"]
    rows = board.windows["memviz:properties"]["data"][0]["content"]
    assert f"step (0 … {step})" in [row["name"] for row in rows]
