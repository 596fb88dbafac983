from __future__ import annotations

import json

import memviz
from memviz.analysis import sidecar
from memviz.analysis.diagnostics.watch import LOG, watch
from memviz.demos.gallery import write_run
from memviz.testing.synthetic import write_dnc_run


def test_a_finding_appears_at_the_step_of_its_fault(tmp_path):
    run = write_run("closed_write_gate", tmp_path / "run")
    trace = memviz.open(run.path)
    events = [event for event in watch(trace) if event.data["diagnostic"] == "closed_write_gate"]
    assert [event.kind for event in events] == ["finding"]
    # It must hold in more than half of the last five records.
    assert events[0].step == run.step + 2 * 50
    assert events[0].data["since"] == run.step


def test_what_goes_away_is_said(tmp_path):
    """A copy that learns: reads are diffuse until they are not."""
    trace = memviz.open(write_dnc_run(tmp_path / "run", steps=12).path)
    kinds = [event.kind for event in watch(trace) if event.data["diagnostic"] == "diffuse_reads"]
    assert kinds == ["finding", "finding-gone"]


def test_events_are_logged_beside_the_trace_anew_each_time(tmp_path):
    run = write_run("closed_write_gate", tmp_path / "run")
    trace = memviz.open(run.path)
    for _ in range(2):
        events = list(watch(trace))
    lines = (sidecar.folder_of(trace) / LOG).read_text().splitlines()
    assert [json.loads(line)["message"] for line in lines] == [event.message for event in events]


def test_a_run_that_is_being_written_is_followed(tmp_path):
    with write_dnc_run(tmp_path / "run", steps=1, live=True) as run:
        events = watch(memviz.open(run.path), timeout=0.3, keep=False)
        assert next(events).step == 0
        run.append(14)
        assert "finding-gone" in [event.kind for event in events]
    assert not (tmp_path / ".memviz").exists()
