"""Findings in the background: complete when closed, following when live, put down when nobody looks."""

from __future__ import annotations

import time

import pytest

import memviz
from memviz.analysis import doctor, sidecar
from memviz.analysis.diagnostics import examine
from memviz.dashboards.desk import Desk, Job, kept
from memviz.dashboards.source import Source
from memviz.errors import TraceNotFound
from memviz.testing.synthetic import write_dnc_run


def until(desk, run, *states):
    deadline = time.monotonic() + 60
    while (said := desk.ask(run))["state"] not in states:
        assert time.monotonic() < deadline, said
        time.sleep(0.01)
    return said


@pytest.fixture
def source(tmp_path):
    return Source([tmp_path])


def test_a_closed_run_has_the_findings_of_the_doctor(tmp_path, source):
    write_dnc_run(tmp_path / "nan", steps=4, plant_nan=(2, 6))
    said = until(Desk(source), "nan", "done")
    trace = memviz.open(tmp_path / "nan")
    known = examine(trace)
    assert [f["sentence"] for f in said["findings"]] == [f.sentence for f in known.findings]
    worst = said["findings"][0]
    assert (worst["severity"], worst["key"]) == ("error", "not_finite.memory")
    assert trace[worst["index"]].step == worst["step"]
    assert (said["done"], said["total"], said["records"], said["problem"]) == (4, 4, 4, None)
    assert said["checks"] == list(known.checks)
    # It is kept where `memviz doctor` keeps it, and not worked out again.
    assert sidecar.load(trace, doctor.FILE)["records"] == 4


def test_a_report_that_is_there_is_taken(tmp_path, source, monkeypatch):
    write_dnc_run(tmp_path / "copy", steps=3)
    doctor.report(memviz.open(tmp_path / "copy"))
    monkeypatch.setattr("memviz.dashboards.desk.examine", None)
    assert Desk(source).ask("copy")["state"] == "done"


def test_a_report_of_fewer_records_is_not(tmp_path, source):
    write_dnc_run(tmp_path / "copy", steps=3)
    trace = memviz.open(tmp_path / "copy")
    sidecar.save(trace, doctor.FILE, {**examine(trace).to_json(), "records": 2})
    assert kept(trace) is None


def test_a_live_run_is_followed_and_then_examined(tmp_path, source, monkeypatch):
    monkeypatch.setattr("memviz.dashboards.source.REFRESH_SECONDS", 0.0)
    desk = Desk(source)
    with write_dnc_run(tmp_path / "live", steps=2, live=True) as run:
        assert until(desk, "live", "following")["examined"] == 2
        run.append()
        deadline = time.monotonic() + 60
        while desk.ask("live")["examined"] != 3:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert not (tmp_path / ".memviz").exists()
    assert until(desk, "live", "done")["examined"] == 3


def test_nobody_looks_nobody_works(tmp_path, source):
    write_dnc_run(tmp_path / "copy", steps=3)
    now = [0.0]
    desk = Desk(source, clock=lambda: now[0])
    seen = []

    def each(trace, positions, function):
        for position in positions:
            seen.append(position)
            now[0] += 6.0  # the page was closed
            desk._still_wanted(job)
            yield function(trace[position])

    job = Job("x", 0.0)
    desk._each = lambda _: each
    desk._turn("copy", job)
    assert seen == [0, 1]
    assert (job.state, job.report) == ("waiting", None)


def test_a_failure_is_said_and_not_tried_for_ever(tmp_path, source, monkeypatch):
    write_dnc_run(tmp_path / "copy", steps=3)

    def broken(*_, **__):
        raise OSError("the disk is gone")

    monkeypatch.setattr("memviz.dashboards.desk.examine", broken)
    said = until(Desk(source), "copy", "failed")
    assert said["problem"] == "the disk is gone"


def test_an_unknown_run(source):
    with pytest.raises(TraceNotFound):
        Desk(source).ask("none")
