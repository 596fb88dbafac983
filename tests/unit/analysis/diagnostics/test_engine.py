from __future__ import annotations

import json
import math

import numpy as np
import pytest

import memviz
from memviz.analysis.diagnostics import (
    Diagnostic,
    Examiner,
    Measure,
    MemoryView,
    Place,
    diagnose,
    diagnostics,
    examine,
    get,
)
from memviz.analysis.diagnostics.engine import WINDOW
from memviz.errors import UnknownNameError
from memviz.testing.synthetic import write_dnc_run


def check(values, **options):
    """A check whose value at record i is `values[i]`, per item of one."""

    def measure(view):
        value = values[view.record.id]
        row = np.full(view.items, -1.0)
        row[-1] = value
        yield Measure(row, [Place("usage", 2, 3)] * view.items, lambda item: f"item {item} has {row[item]:g}")

    return Diagnostic(
        name="test_check",
        title="t",
        formula="f",
        needs=("usage",),
        measure=measure,
        source="s",
        suggestion="try",
        levels={"warning": 1.0, "error": 5.0},
        **options,
    )


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    return memviz.open(write_dnc_run(tmp_path_factory.mktemp("runs") / "copy", steps=12, batch=3).path)


def test_what_the_last_records_have_is_reported_with_the_step_since_when(trace):
    values = [0] * 6 + [2] * 6
    (found,) = examine(trace, checks=[check(values)]).findings
    assert (found.step, found.since) == (11 * 20, 6 * 20)
    assert (found.severity, found.threshold, found.value) == ("warning", 1.0, 2.0)
    assert (found.item, found.batch, found.place.slot) == (2, 2, 3)
    assert found.sentence == "item 2 has 2"
    assert (found.spread.low, found.spread.median, found.spread.high) == (-1.0, -1.0, 2.0)
    assert (found.spread.items, found.spread.beyond) == (3, 1)


def test_what_is_over_is_not_reported(trace):
    assert examine(trace, checks=[check([9] * 7 + [0] * 5)]).findings == []


def test_one_odd_record_at_the_end_decides_nothing(trace):
    assert examine(trace, checks=[check([0] * 11 + [9])]).findings == []
    assert len(examine(trace, checks=[check([9] * 11 + [0])]).findings) == 1


def test_a_lasting_violation_is_reported_where_it_first_was(trace):
    (found,) = examine(trace, checks=[check([0, 0, 0, 7] + [0] * 8, lasting=True)]).findings
    assert (found.record, found.severity) == (3, "error")


def test_the_first_violation_between_sampled_records_is_searched_for(tmp_path):
    trace = memviz.open(write_dnc_run(tmp_path / "copy", steps=30).path)
    report = examine(trace, sample=4, checks=[check([0] * 14 + [7] * 16, lasting=True)])
    assert report.examined == 4 - 1 + WINDOW
    assert report.records == 30
    assert report.findings[0].record == 14


def test_a_bare_record_is_diagnosed_by_itself(trace):
    examiner = Examiner("run", [check([0] * 11 + [9])])
    examiner.feed(trace[11])
    assert [found.diagnostic for found in examiner.report().findings] == ["test_check"]
    assert isinstance(diagnose(trace[11]), list)


def test_nan_is_no_finding(trace):
    assert examine(trace, checks=[check([math.nan] * 12)]).findings == []


def test_an_item_that_is_not_finite_is_left_to_the_check_for_that(tmp_path):
    path = write_dnc_run(tmp_path / "nan", steps=4, batch=2, plant_nan=(2, 6)).path
    values = [9] * 4
    (found,) = examine(memviz.open(path), checks=[check(values)]).findings
    # Item 1, which is sound, has the value; item 0 is spoiled and does not count.
    assert found.spread.items == 1
    assert found.item == 1


def test_a_check_that_fails_is_said_and_the_others_go_on(trace):
    def broken(view):
        raise RuntimeError("no luck")

    bad = Diagnostic("bad", "t", "f", ("usage",), broken, "s", "try", {"error": 1.0})
    report = examine(trace, checks=[bad, check([9] * 12)])
    assert [found.diagnostic for found in report.findings] == ["test_check"]
    (entry,) = [entry for entry in report.unchecked if entry.failed]
    assert "no luck" in entry.reason
    assert report.checks == ["test_check"]


def test_a_missing_field_is_said_rather_than_guessed(trace):
    wants = Diagnostic("wants", "t", "f", ("usage", "grad/usage"), lambda view: [], "s", "try", {"error": 1.0})
    report = examine(trace, checks=[wants])
    (entry,) = report.unchecked
    assert (entry.memory, entry.failed) == ("memory", False)
    assert entry.reason == "grad/usage was not recorded and cannot be derived"


def test_findings_come_by_severity_then_causes_first(trace):
    late, early, bad = (
        Diagnostic(
            name,
            "t",
            "f",
            ("usage",),
            lambda view, value=value: [Measure(np.full(3, value), [Place()] * 3, lambda item: "s")],
            "s",
            "try",
            {"note": 0.5, "error": 5.0},
            order=order,
        )
        for name, value, order in (("late", 3.0, 9), ("early", 1.0, 1), ("bad", 9.0, 20))
    )
    found = examine(trace, checks=[late, early, bad]).findings
    assert [entry.diagnostic for entry in found] == ["bad", "early", "late"]


def test_a_finding_is_strict_json_with_a_link(trace):
    (found,) = examine(trace, checks=[check([0] * 11 + [0]), check([math.inf] * 12)]).findings
    data = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert data["value"] == "inf"
    assert data["link"] == "#/run/copy?step=220&item=2&memory=memory&time=2&slot=3"


def test_levels_are_checked():
    with pytest.raises(ValueError, match="levels of 'x'"):
        Diagnostic("x", "t", "f", (), lambda view: [], "s", "try", {"fatal": 1.0})


def test_an_unknown_diagnostic_offers_the_nearest():
    with pytest.raises(UnknownNameError, match="dead_slots"):
        get("dead_slot")


def test_built_in_diagnostics_come_through_the_entry_points():
    known = diagnostics()
    assert {"not_finite", "dead_slots", "blurred_links"} <= set(known)
    orders = [entry.order for entry in known.values()]
    assert orders == sorted(orders)


def test_a_plugin_that_is_no_diagnostic_warns_and_is_left_out(monkeypatch):
    from memviz.analysis.diagnostics import registry

    mine = check([0])
    monkeypatch.setattr(registry.plugins, "load", lambda group: [("test_check", mine), ("odd", 3), ("misnamed", mine)])
    with pytest.warns(UserWarning, match="left out") as caught:
        assert dict(registry.diagnostics()) == {"test_check": mine}
    assert len(caught) == 2


def test_without_a_target_a_check_of_reads_is_a_note_that_says_so(tmp_path):
    from memviz.demos.gallery import write_run

    run = write_run("blurred_shifts", tmp_path / "run")
    asks = Diagnostic(
        "asks",
        "t",
        "f",
        ("shift_weights",),
        lambda view: [Measure(np.full(3, 9.0), [Place()] * 3, lambda item: "Reads are odd.")],
        "s",
        "try",
        {"error": 1.0},
        asks=True,
    )
    (found,) = examine(memviz.open(run.path), checks=[asks]).findings
    assert found.severity == "note"
    assert found.sentence.startswith("Reads are odd. No target was recorded")


def test_fields_beyond_the_room_are_passed_over_and_said(tmp_path):
    trace = memviz.open(write_dnc_run(tmp_path / "run", steps=3, times=10, slots=12, fields="all"))
    view = MemoryView(trace[0], "memory", most=4000)
    assert view.heavy >= {"link_matrix", "memory"}  # 1440 and 1920 numbers
    assert "usage" in view
    assert "link_matrix" not in view.stored
    report = examine(trace, most=4000)
    reasons = {entry.diagnostic: entry.reason for entry in report.unchecked}
    assert "too many numbers" in reasons["blurred_links"]
    assert "blurred_links" not in report.checks
    assert "diffuse_reads" in report.checks
    assert "blurred_links" in examine(trace).checks
