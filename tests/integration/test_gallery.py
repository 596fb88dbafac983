"""Each planted fault is named first by its diagnostic, with evidence that points at it; what is healthy stays quiet."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import memviz
from memviz.analysis.diagnostics import diagnostics, examine
from memviz.analysis.film import film
from memviz.demos.gallery import has_strength, names, write_healthy, write_healthy_other, write_run
from memviz.demos.gallery.others import OTHERS
from memviz.demos.gallery.runs import BATCH, EVERY, ITEM, PLANTED_FROM
from memviz.errors import UnknownNameError
from memviz.testing.simulate import Sizes


@pytest.fixture(scope="module", params=names())
def run(request, tmp_path_factory):
    return write_run(request.param, tmp_path_factory.mktemp("gallery") / request.param)


def test_a_fault_is_named_first_and_its_evidence_points_at_it(run):
    report = examine(memviz.open(run.path))
    first = report.findings[0]
    assert first.diagnostic == run.diagnostic
    assert first.since == run.step == PLANTED_FROM * EVERY
    assert (first.item, first.batch) == (ITEM, BATCH[ITEM])
    assert first.spread.beyond == 1
    assert first.value >= first.threshold > first.spread.low
    shown = {"field": first.place.field, "time": first.place.time, "slot": first.place.slot, "head": first.place.head}
    assert run.where
    assert {key: shown[key] for key in run.where} == run.where
    assert not [entry for entry in report.unchecked if entry.failed]


def test_right_before_the_fault_the_run_is_healthy(run):
    record = memviz.open(run.path)[PLANTED_FROM - 1]
    assert [found for found in memviz.diagnose(record) if found.severity != "note"] == []


@pytest.mark.parametrize(
    "sizes",
    [Sizes(batch=3), Sizes(times=41, slots=32, words=24, read_heads=3, batch=3), Sizes(times=31, slots=8, batch=3)],
)
def test_health_has_no_finding_but_notes(sizes, tmp_path):
    report = examine(memviz.open(write_healthy(tmp_path / "healthy", seed=1, sizes=sizes).path))
    assert report.at_least("warning") == []
    assert len(report.checks) >= 20


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_the_memory_that_another_fault_is_planted_into_is_clean(name, tmp_path):
    assert memviz.diagnose(memviz.open(write_healthy_other(name, tmp_path / name).path)) == []


def test_every_diagnostic_can_fire():
    """A fault names it, or it reports the consequence of one (docs/diagnostics.md, "Calibration")."""
    from memviz.demos.gallery.faults import FAULTS

    named = {fault.diagnostic for fault in (*FAULTS.values(), *OTHERS.values())}
    assert set(diagnostics()) - named == {"starved_allocation", "flat_precedence", "collapsed_heads", "stuck_gates"}


@pytest.mark.parametrize(
    ("fault", "consequence"),
    [
        ("saturated_usage", "starved_allocation"),
        ("diffuse_writes", "flat_precedence"),
        ("collapsed_heads", "collapsed_heads"),
        ("saturated_usage", "stuck_gates"),
    ],
)
def test_consequences_are_found_too(fault, consequence, tmp_path):
    run = write_run(fault, tmp_path / fault)
    assert consequence in {found.diagnostic for found in memviz.diagnose(memviz.open(run.path))}


def test_equal_seeds_give_equal_runs_and_other_seeds_others(tmp_path):
    first, again, other = (
        memviz.open(write_run("blurred_links", tmp_path / str(index), seed=seed).path)[-1]["write_vectors"]
        for index, seed in enumerate((3, 3, 4))
    )
    assert (first == again).all()
    assert (first != other).any()


def test_an_unknown_fault_offers_the_nearest(tmp_path):
    with pytest.raises(UnknownNameError, match="dead_slots"):
        write_run("dead_slot", tmp_path / "run")


def test_the_module_lists_and_writes_faults(tmp_path):
    environment = dict(os.environ, PYTHONWARNINGS="error")
    run = [sys.executable, "-m", "memviz.demos.gallery"]
    listed = subprocess.run(run, capture_output=True, text=True, check=True, env=environment)
    assert all(name in listed.stdout for name in names())
    subprocess.run([*run, "weak_strengths", "--out", str(tmp_path)], check=True, env=environment)
    assert memviz.diagnose(memviz.open(tmp_path / "weak_strengths"))[0].diagnostic == "weak_strengths"


@pytest.mark.slow
@pytest.mark.parametrize("package", [None, pytest.param("dnc", marks=pytest.mark.thirdparty)])
def test_a_trained_demo_has_no_finding_but_notes_and_a_film_of_its_learning(package, tmp_path):
    from memviz.demos.running import run_demo

    outcome = run_demo("copy", package=package, out=tmp_path / "copy", serve=False)
    assert outcome.solved
    trace = memviz.open(outcome.path)
    assert examine(trace).at_least("warning") == []
    changes = film(trace).changes()
    assert any(change.statistic == "modes" and "forward" in change.sentence for change in changes)
    falls = [change for change in changes if change.statistic == "read_slots" and change.after < change.before]
    assert falls
    assert 0 < falls[0].step <= outcome.steps


def test_a_fault_at_part_of_its_strength_lies_between_health_and_itself(tmp_path):
    from memviz.analysis.diagnostics import MemoryView, get

    def value(strength):
        run = write_run("closed_write_gate", tmp_path / str(strength), strength=strength)
        (measure,) = get("closed_write_gate").measure(MemoryView(memviz.open(run.path)[-1], "memory"))
        return measure.values[run.item]

    assert value(0.25) < value(0.5) < value(1.0)
    assert not has_strength("dead_slots")
    with pytest.raises(ValueError, match="either there or not"):
        write_run("dead_slots", tmp_path / "none", strength=0.5)
