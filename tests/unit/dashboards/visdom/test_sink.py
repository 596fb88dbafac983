"""One run in one environment: in place, only what changed, newest first, and everything again when it was lost."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import memviz
from memviz.dashboards.visdom.feedback import Event
from memviz.dashboards.visdom.panes import PREFIX, PROPERTIES, RUN
from memviz.dashboards.visdom.sink import environment
from memviz.testing.synthetic import write_dnc_run


def cells(board, key):
    return np.array(board.windows[f"{PREFIX}{key}"]["data"][0]["z"], dtype=float).astype(np.float32)


@pytest.fixture
def live(tmp_path):
    with write_dnc_run(tmp_path / "live", steps=2, live=True) as run:
        yield run


def test_the_newest_record_is_drawn_and_then_nothing_until_there_is_more(live, sink_of, board, clock):
    sink = sink_of(live)
    assert sink.draw() == len(board.windows) > 30
    newest = memviz.open(live.path)[-1]
    np.testing.assert_array_equal(cells(board, "usage"), newest["usage"][:, 0].T)
    clock.now += 10
    assert sink.draw() == 0
    live.append()
    sent = sink.draw()
    assert 0 < sent <= len(board.windows)
    np.testing.assert_array_equal(cells(board, "usage"), memviz.open(live.path)[-1]["usage"][:, 0].T)


def test_what_looks_the_same_is_not_sent_again(live, sink_of, board, clock):
    sink = sink_of(live)
    sink.draw()
    board.log.clear()
    clock.now += 10
    sink.react(Event("property", "live", PROPERTIES, 4, "7"))
    sink.draw()
    # Another time moves the outline everywhere, but not the curve, the texts or what has no time.
    assert f"{PREFIX}memory" in board.log
    assert f"{PREFIX}scalar:loss" not in board.log
    assert f"{PREFIX}findings" not in board.log
    assert f"{PREFIX}final/memory" not in board.log


def test_between_two_records_some_time_passes_and_the_rest_is_counted(live, sink_of, board, clock):
    sink = sink_of(live)
    sink.draw()
    live.append(4)
    assert sink.due() == 1.0
    assert sink.draw() == 0
    clock.now += 1.0
    assert sink.draw() > 0
    assert (sink.tally.drawn, sink.tally.skipped) == (2, 3)
    assert "3 records (in the trace, not drawn here)" in board.windows[RUN]["data"][0]["content"]


def test_windows_do_not_pile_up(live, sink_of, board, clock):
    sink = sink_of(live)
    sink.draw()
    windows = set(board.windows)
    for _ in range(5):
        live.append()
        clock.now += 1
        sink.draw()
    assert set(board.windows) == windows


def test_a_failure_counts_nothing_and_the_rest_is_sent_later(live, sink_of, board, clock):
    sink = sink_of(live)
    board.fail_after = 10
    with pytest.raises(OSError, match="gone"):
        sink.draw()
    assert sink.tally.drawn == 0
    live.append(2)
    board.fail_after = None
    sink.draw()
    assert (sink.tally.drawn, sink.tally.skipped) == (1, 0)
    step = memviz.open(live.path)[-1].step
    assert all(
        f"step {step} " in message["layout"]["title"]["text"]
        for win, message in board.windows.items()
        if message["data"][0]["type"] == "heatmap"
    )


def test_after_forgetting_everything_is_sent_again(live, sink_of, board, clock):
    sink = sink_of(live)
    sink.draw()
    windows = set(board.windows)
    board.windows.clear()
    sink.forget()
    sink.draw(now=True)
    assert set(board.windows) == windows


def test_a_closed_window_stays_closed_until_it_is_asked_for(live, sink_of, board, clock):
    sink = sink_of(live)
    sink.draw()
    usage = f"{PREFIX}usage"
    board.close("live", usage)
    sink.react(Event("closed", "live", usage))
    live.append()
    clock.now += 1
    sink.draw()
    assert usage not in board.windows
    rows = [row["name"] for row in board.windows[PROPERTIES]["data"][0]["content"]]
    assert sink.react(Event("property", "live", PROPERTIES, rows.index("closed panes"), "clicked"))
    sink.draw()
    assert usage in board.windows


def test_a_cleared_environment_begins_anew(live, sink_of, board, clock):
    sink = sink_of(live)
    sink.draw()
    windows = list(board.windows)
    for win in windows:
        board.close("live", win)
        sink.react(Event("closed", "live", win))
    live.append()
    clock.now += 1
    sink.draw()
    assert set(board.windows) == set(windows)


def test_one_head_closes_the_windows_of_the_others_and_they_come_back(live, sink_of, board, clock):
    sink = sink_of(live)
    sink.draw()
    windows = set(board.windows)
    rows = [row["name"] for row in board.windows[PROPERTIES]["data"][0]["content"]]
    sink.react(Event("property", "live", PROPERTIES, rows.index("head"), "1"))
    sink.draw()
    assert f"{PREFIX}read_weights:0" in board.windows
    assert f"{PREFIX}read_weights:1" not in board.windows
    sink.react(Event("property", "live", PROPERTIES, rows.index("head"), "0"))
    sink.draw()
    assert set(board.windows) == windows


def test_a_chosen_step_is_kept_while_new_records_come(live, sink_of, board, clock):
    sink = sink_of(live)
    sink.draw()
    live.append(3)
    sink.react(Event("property", "live", PROPERTIES, 1, "0"))
    sink.draw()
    assert "step 0 " in board.windows[f"{PREFIX}usage"]["layout"]["title"]["text"]
    assert sink.tally.skipped == 0
    np.testing.assert_array_equal(cells(board, "usage"), memviz.open(live.path)[0]["usage"][:, 0].T)


def test_events_of_others_are_ignored(live, sink_of, board, clock):
    sink = sink_of(live)
    assert not sink.react(Event("property", "live", PROPERTIES, 1, "0"))  # nothing was offered yet
    sink.draw()
    assert not sink.react(Event("property", "live", "somebody's", 1, "0"))
    assert not sink.react(Event("closed", "live", "somebody's"))
    assert sink.place.step is None


def test_a_run_without_records_and_a_run_that_is_gone_are_said(tmp_path, sink_of, board, clock):
    with write_dnc_run(tmp_path / "new", steps=0, live=True) as run:
        sink = sink_of(run)
        assert sink.draw() == 1
        assert "no record yet" in board.windows[RUN]["data"][0]["content"]
        run.append()
        clock.now += 1
        assert sink.draw() > 30
    shutil.rmtree(run.path)
    clock.now += 1
    sink.draw()
    assert sink.state == "error"
    assert "cannot be shown" in board.windows[RUN]["data"][0]["content"]


@pytest.mark.parametrize(
    ("run", "env"), [("copy", "copy"), ("sweep/copy-2", "sweep_copy-2"), ("a+b c", "a_b_c"), ("///", "_")]
)
def test_environments_have_names_that_visdom_takes_as_one(run, env):
    assert environment(run) == env
