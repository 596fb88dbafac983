"""Replay logs: the lines that the visdom package reads, evenly thinned, within a limit."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import pytest

from memviz.dashboards.visdom.offline import MAX_RECORDS, LiveLog, LogError, ReplayLog, chosen_records, write_log
from memviz.dashboards.visdom.panes import Pane
from memviz.testing.synthetic import write_dnc_run

PANE = Pane("memviz:x", "x", [{"type": "text", "content": "x"}])


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def titles(path, win="memviz:usage"):
    return [
        message["layout"]["title"]["text"].split(" · ")[0].split("'>")[1]
        for route, message in lines(path)
        if route == "events" and message["win"] == win
    ]


def test_each_record_is_written_in_turn(run, tmp_path):
    written = write_log([run.path], tmp_path / "log" / "copy.visdom")
    assert (written.written, written.left_out) == (5, 0)
    assert titles(written.path) == [f"step {step}" for step in (0, 20, 40, 60, 80)]
    for route, message in lines(written.path):
        assert route == "events"
        assert message["eid"] == "copy"
        assert message["win"]


def test_long_runs_are_thinned_evenly_with_both_ends():
    assert chosen_records(0) == []
    assert chosen_records(5) == [0, 1, 2, 3, 4]
    chosen = chosen_records(10_000)
    assert len(chosen) == MAX_RECORDS
    assert (chosen[0], chosen[-1]) == (0, 9999)
    assert {after - before for before, after in itertools.pairwise(chosen)} <= {50, 51}


def test_a_full_log_says_so_and_keeps_what_it_has(tmp_path):
    with ReplayLog(tmp_path / "log", limit=500) as log:
        log.draw("e", PANE)
        log.close("e", "memviz:x")
        with pytest.raises(LogError, match="nothing more is written"):
            log.draw("e", replace(PANE, data=[{"type": "text", "content": "x" * 500}]))
    assert lines(tmp_path / "log")[1] == ["close", {"eid": "e", "win": "memviz:x"}]


def test_a_log_that_cannot_be_written_is_refused_in_words(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LogError, match="cannot be written"):
        write_log([tmp_path], tmp_path / "file" / "log")


def test_a_live_log_has_every_record_that_was_newest_at_a_look(tmp_path):
    said = []
    with write_dnc_run(tmp_path / "live", steps=1, live=True) as run:
        log = LiveLog([run.path], tmp_path / "log", say=said.append, interval=0.01).start()
        run.append(3)
        log.stop()
    assert titles(tmp_path / "log")[-1] == "step 60"
    assert said == []
