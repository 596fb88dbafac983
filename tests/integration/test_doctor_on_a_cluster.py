"""The doctor on a Dask cluster says, word for word and bit for bit, what it says alone."""

from __future__ import annotations

import json
import os
import shutil

import dask
import numpy as np
import pytest
from click.testing import CliRunner

import memviz
from memviz.analysis import cluster as room
from memviz.analysis.cluster import connect
from memviz.analysis.diagnostics import Diagnostic, Measure, Place, examine
from memviz.analysis.film import film
from memviz.cli import main
from memviz.demos.gallery import names, write_healthy, write_run
from memviz.errors import ClusterError, TraceNotFound
from memviz.testing.synthetic import write_dnc_run


@pytest.fixture(scope="module")
def cluster():
    with connect("local:2") as connected:
        assert connected.threads == 2
        yield connected


@pytest.fixture(scope="module")
def address(cluster):
    return cluster.client.scheduler.address


def doctor(*args):
    return CliRunner().invoke(main, ["doctor", *map(str, args)])


@pytest.mark.parametrize("name", names())
def test_every_fault_of_the_gallery_is_found_the_same(name, cluster, tmp_path):
    trace = memviz.open(write_run(name, tmp_path / name).path)
    alone = examine(trace)
    assert alone.findings
    assert examine(trace, each=cluster.each) == alone


def test_a_film_is_the_same_and_only_new_records_are_read(cluster, tmp_path):
    with write_dnc_run(tmp_path / "copy", steps=30, live=True) as run:
        trace = memviz.open(run.path)
        alone, spread = film(trace, keep=False), film(trace, each=cluster.each)
        assert alone.to_json() == spread.to_json()
        assert alone.changes() == spread.changes() != []
        run.append()
        trace.refresh()
        assert film(trace, each=cluster.each).computed == 1


def lasting(first):
    """A check that holds good until record `first`; a closure, so that the workers get it by value."""

    def measure(view):
        yield Measure(np.full(view.items, float(view.record.id >= first)), [Place("usage")] * view.items, str)

    return Diagnostic("test", "t", "f", ("usage",), measure, "s", "try", {"error": 1.0}, lasting=True)


@pytest.mark.parametrize("first", [1, 40, 73, 94])
def test_the_first_violation_between_the_sampled_records_is_found(first, cluster, tmp_path):
    trace = memviz.open(write_dnc_run(tmp_path / "copy", steps=100).path)
    checks = [lasting(first)]
    alone = examine(trace, sample=4, checks=checks)
    assert [found.record for found in alone.findings] == [first]
    assert examine(trace, sample=4, checks=checks, each=cluster.each) == alone


def test_a_check_that_fails_or_comes_and_goes_is_reported_the_same(cluster, tmp_path):
    def measure(view):
        if view.record.id == 11:
            raise ValueError("from a plugin")
        values = np.full(view.items, float(view.record.id in (3, 9, 10, 12, 13, 18, 19)))
        yield Measure(values, [Place("usage")] * view.items, str, f"every {1 + view.record.id % 2}")

    check = Diagnostic("test", "t", "f", ("usage",), measure, "s", "try", {"note": 1.0})
    trace = memviz.open(write_dnc_run(tmp_path / "copy", steps=20).path)
    alone = examine(trace, checks=[check])
    assert alone.unchecked[0].failed
    assert alone.findings
    assert examine(trace, checks=[check], each=cluster.each) == alone


def test_the_command_prints_and_keeps_the_same_for_many_runs(address, tmp_path):
    for number in range(4):
        write_dnc_run(tmp_path / "runs" / f"run{number}", steps=5 + number, seed=number)
    write_dnc_run(tmp_path / "nan", steps=4, plant_nan=(2, 6))
    args = [tmp_path / "runs", tmp_path / "nan", "--all", "--film", "--fail-on", "error"]
    alone = [doctor(*args, *more) for more in ([], ["--json"])]
    kept = {path: path.read_text() for path in tmp_path.rglob(".memviz/*/*.json")}
    assert len(kept) == 10
    for path in kept:
        path.unlink()
    spread = [doctor(*args, *more, "--dask", address) for more in ([], ["--json"])]
    for one, other in zip(alone, spread, strict=True):
        assert other.output == one.output
        assert other.exit_code == one.exit_code == 3
    runs = [json.loads(line)["run"] for line in spread[1].output.splitlines()]
    assert runs == ["run0", "run1", "run2", "run3", "nan"]
    assert {path: path.read_text() for path in kept} == kept


def test_a_worker_that_cannot_see_the_trace_says_so(cluster, tmp_path):
    path = write_healthy(tmp_path / "here").path
    trace = memviz.open(path)
    shutil.move(path, tmp_path / "elsewhere")
    with pytest.raises(TraceNotFound, match=r"process \d+ on .* cannot open the trace .*here.*that they share"):
        examine(trace, each=cluster.each)


def test_workers_with_another_memviz_are_refused(address, monkeypatch):
    monkeypatch.setattr(room, "__version__", "0.0.0")
    with pytest.raises(ClusterError, match=r"expected memviz 0\.0\.0 on every worker.*pip install"), connect(address):
        pass


def test_a_scheduler_without_workers_is_said():
    from distributed import LocalCluster

    with (
        LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0") as empty,
        pytest.raises(ClusterError, match="has no workers; start some with: dask worker"),
        connect(empty.scheduler_address, timeout=0.5),
    ):
        pass


def test_a_worker_that_dies_over_a_record_is_said(tmp_path):
    trace = memviz.open(write_healthy(tmp_path / "run").path)
    # One death is enough to be told of; each more costs the start of a process.
    once = dask.config.set({"distributed.scheduler.allowed-failures": 0})
    with once, connect("local:1") as own, pytest.raises(ClusterError, match="--memory-limit"):
        list(own.each(trace, range(3), lambda record: os._exit(1)))


def test_an_address_that_does_not_answer_and_a_watch_are_refused_in_a_sentence(tmp_path):
    path = write_healthy(tmp_path / "run").path
    result = doctor(path, "--dask", "nonsense")
    assert result.exit_code == 1
    assert result.output.startswith("Error: expected a Dask scheduler at 'nonsense'")
    result = doctor(path, "--follow", "--dask", "local:1")
    assert result.exit_code == 2
    assert "--follow takes records as they come" in result.output
