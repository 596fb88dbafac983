"""The findings of the record that is shown: those of `memviz doctor`, on that record alone."""

from __future__ import annotations

import memviz
from memviz.dashboards.visdom.checks import findings
from memviz.testing.synthetic import write_dnc_run


def test_a_healthy_record_has_no_error(run):
    assert not [text for text in findings(memviz.open(run.path)[-1], "copy") if text.startswith("error")]


def test_what_is_not_finite_comes_first_with_its_place(tmp_path):
    trace = memviz.open(write_dnc_run(tmp_path / "nan", steps=4, plant_nan=(2, 9)).path)
    first, *_ = findings(trace[-1], trace.name)
    assert first.startswith("error: ")
    assert "time 9" in first
    assert findings(trace[0], trace.name) != findings(trace[-1], trace.name)


def test_severities_are_in_order(tmp_path):
    trace = memviz.open(write_dnc_run(tmp_path / "run", steps=2).path)
    order = ["error", "warning", "note"]
    ranks = [order.index(text.split(":")[0]) for text in findings(trace[0], trace.name)]
    assert ranks == sorted(ranks)
    assert ranks
