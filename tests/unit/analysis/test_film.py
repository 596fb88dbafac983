from __future__ import annotations

import json

import numpy as np
import pytest

import memviz
from memviz.analysis import sidecar
from memviz.analysis.film import FILE, Film, film
from memviz.analysis.film_numbers import STATISTICS, numbers
from memviz.testing.synthetic import write_dnc_run


@pytest.fixture
def run(tmp_path):
    with write_dnc_run(tmp_path / "copy", steps=24, live=True) as run:
        yield run


def test_every_statistic_is_taken_of_a_dnc(run):
    shown = film(memviz.open(run.path), keep=False)
    names = {key.split("/")[1].split("[")[0] for key in shown.series}
    assert names == {statistic.name for statistic in STATISTICS}
    assert all(len(values) == 24 for values in shown.series.values())
    record = memviz.open(run.path)[-1]
    peak = record["usage"].mean(axis=-1).max()
    assert shown.series["memory/usage"][-1] == pytest.approx(peak, rel=1e-6)


def test_learning_is_told_in_words(run):
    changes = film(memviz.open(run.path), keep=False).changes()
    falls = [change for change in changes if change.statistic == "read_slots" and change.head == 0]
    assert falls[0].before > falls[-1].after
    assert falls[-1].sentence.startswith("Effective slots of reads of head 0 fell from ")
    assert [change.step for change in changes] == sorted(change.step for change in changes)


def test_a_switch_of_mode_is_named():
    steps = np.arange(12) * 100
    modes = {
        f"memory/mode_{mode}[0]": np.repeat([before, after], [5, 7])
        for mode, before, after in (("backward", 0.1, 0.1), ("content", 0.8, 0.1), ("forward", 0.1, 0.8))
    }
    (change,) = Film(np.arange(12), steps, modes, 0).changes()
    assert change.sentence == "Head 0 switched from content to forward at step 500"
    assert (change.step, change.record, change.head) == (500, 5, 0)


def test_only_new_records_are_read_again(run):
    first = film(memviz.open(run.path))
    assert first.computed == 24
    run.append(3)
    second = film(memviz.open(run.path))
    assert second.computed == 3
    fresh = film(memviz.open(run.path), keep=False)
    assert fresh.computed == 27
    for key, values in fresh.series.items():
        np.testing.assert_array_equal(values, second.series[key])


def test_it_is_kept_beside_the_trace_and_can_be_deleted_or_damaged(run):
    trace = memviz.open(run.path)
    before = {path for path in run.path.rglob("*") if path.is_file()}
    film(trace)
    kept = run.path.parent / ".memviz" / "copy" / FILE
    assert kept.exists()
    assert {path for path in run.path.rglob("*") if path.is_file()} == before
    kept.write_text('{"of": 3}')
    assert film(trace).computed == 24
    kept.unlink()
    assert film(trace).computed == 24


def test_what_was_kept_of_another_trace_is_not_used(run, tmp_path):
    film(memviz.open(run.path))
    with write_dnc_run(tmp_path / "other", steps=4):
        pass
    other = memviz.open(tmp_path / "other")
    kept = sidecar.folder_of(other)
    kept.mkdir(parents=True)
    (kept / FILE).write_bytes((sidecar.folder_of(memviz.open(run.path)) / FILE).read_bytes())
    assert film(other).computed == 4


def test_a_folder_that_cannot_be_written_costs_only_time(run):
    blocker = run.path.parent / ".memviz"
    blocker.write_text("a file where the folder should be")
    assert film(memviz.open(run.path)).computed == 24
    assert film(memviz.open(run.path)).computed == 24


def test_nan_survives_being_kept(tmp_path):
    path = write_dnc_run(tmp_path / "nan", steps=6, plant_nan=(3, 4)).path
    first, second = film(memviz.open(path)), film(memviz.open(path))
    assert second.computed == 0
    json.dumps(second.to_json(), allow_nan=False)
    assert any(np.isnan(values).any() for values in first.series.values())
    for key, values in first.series.items():
        np.testing.assert_array_equal(values, second.series[key])


def test_a_memory_of_another_kind_has_fewer_numbers(tmp_path):
    from memviz.demos.gallery import write_run

    assert numbers(memviz.open(write_run("blurred_shifts", tmp_path / "ntm").path)[0]) == {}
