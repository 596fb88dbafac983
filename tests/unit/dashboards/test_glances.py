"""Findings in the list of runs: those of the doctor in brief, worked out while somebody looks, and kept."""

from __future__ import annotations

import threading
import time
from urllib.parse import parse_qs

import pytest

import memviz
from memviz.analysis import doctor, sidecar
from memviz.analysis.diagnostics import examine
from memviz.dashboards.desk import Desk
from memviz.dashboards.glances import Glances, brief
from memviz.dashboards.source import Source
from memviz.dashboards.summaries import Summaries
from memviz.testing.synthetic import write_dnc_run


@pytest.fixture
def look(tmp_path):
    source = Source([tmp_path])
    summaries, desk = Summaries(source), Desk(source)
    glances = Glances(source, desk)

    def ask():
        return {row["id"]: glances.of(row) for row in summaries.rows()}

    ask.desk, ask.glances, ask.source = desk, glances, source
    return ask


def settled(ask):
    deadline = time.monotonic() + 60
    while True:
        answer = ask()
        if not any(found and found["state"] == "checking" for found in answer.values()):
            return answer
        assert time.monotonic() < deadline, answer
        time.sleep(0.01)


def test_every_closed_run_gets_the_findings_of_the_doctor(tmp_path, look):
    write_dnc_run(tmp_path / "nan", steps=4, plant_nan=(2, 6))
    write_dnc_run(tmp_path / "sound", steps=2)
    said = settled(look)
    known = examine(memviz.open(tmp_path / "nan")).findings
    assert said["nan"]["error"] == sum(found.severity == "error" for found in known) >= 1
    assert said["nan"]["note"] == sum(found.severity == "note" for found in known)
    worst = said["nan"]["worst"][0]
    assert (worst["diagnostic"], worst["sentence"]) == (known[0].diagnostic, known[0].sentence)
    query = {name: values[0] for name, values in parse_qs(worst["query"]).items()}
    assert query["step"] == str(known[0].step)
    assert query["finding"] == "not_finite.memory"
    assert query["t"] == str(known[0].place.time)
    assert said["sound"]["error"] == 0
    # What was worked out is where `memviz doctor` keeps it.
    assert sidecar.load(memviz.open(tmp_path / "nan"), doctor.FILE)["records"] == 4


def test_a_kept_report_is_not_worked_out_again(tmp_path, look, monkeypatch):
    write_dnc_run(tmp_path / "copy", steps=3)
    doctor.report(memviz.open(tmp_path / "copy"))
    monkeypatch.setattr("memviz.dashboards.glances.examine", None)
    assert settled(look)["copy"]["state"] == "done"


def test_a_live_run_is_known_once_its_page_is_open(tmp_path, look):
    with write_dnc_run(tmp_path / "live", steps=3, plant_nan=(1, 4), live=True):
        assert look()["live"] == {"state": "live"}
        deadline = time.monotonic() + 60
        while look.desk.ask("live")["state"] != "following":
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert look()["live"]["error"] >= 1
        assert look()["live"]["state"] == "live"


def test_runs_without_records_and_runs_that_cannot_be_opened_have_none(tmp_path, look):
    write_dnc_run(tmp_path / "empty", steps=0)
    write_dnc_run(tmp_path / "broken", steps=1)
    (tmp_path / "broken" / "trace.json").write_text("{")
    assert look() == {"empty": None, "broken": None}


def test_a_check_that_fails_says_so_and_the_list_goes_on(tmp_path, look, monkeypatch):
    write_dnc_run(tmp_path / "copy", steps=2)

    def broken(*_, **__):
        raise RuntimeError("no")

    monkeypatch.setattr("memviz.dashboards.glances.examine", broken)
    assert settled(look)["copy"] == {"state": "failed", "problem": "no"}


def test_nothing_is_worked_out_when_nobody_looks(tmp_path, monkeypatch):
    write_dnc_run(tmp_path / "copy", steps=3)
    source, now, begun = Source([tmp_path]), [0.0], threading.Event()
    glances = Glances(source, Desk(source), clock=lambda: now[0])

    def leaving(trace, *, each, most):
        now[0] += 60
        begun.set()
        return list(each(trace, [0], lambda record: record.step))

    monkeypatch.setattr("memviz.dashboards.glances.examine", leaving)
    (row,) = Summaries(source).rows()
    assert glances.of(row) == {"state": "checking"}
    assert begun.wait(60)
    worker = glances._worker
    if worker is not None:
        worker.join(60)
    assert glances._known == {}
    assert sidecar.load(memviz.open(tmp_path / "copy"), doctor.FILE) is None


def test_the_list_names_no_note(tmp_path):
    write_dnc_run(tmp_path / "copy", steps=1)
    report = {"findings": [{"severity": "note", "diagnostic": "x", "record": 0}]}
    said = brief(report, memviz.open(tmp_path / "copy"), "done")
    assert said == {"state": "done", "error": 0, "warning": 0, "note": 1, "worst": []}
