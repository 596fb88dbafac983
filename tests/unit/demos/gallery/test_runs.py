"""Runs of the gallery: the faults that are asked for exist, equal seeds give equal runs, and faults may be partial."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

import memviz
from memviz.demos.gallery import has_strength, names, write_run
from memviz.demos.gallery.__main__ import main
from memviz.errors import UnknownNameError


def test_the_faults_that_a_memory_network_dies_of_are_all_there():
    wanted = {"nan_cosine", "dead_slots", "collapsed_heads", "saturated_usage", "closed_write_gate", "blurred_links"}
    assert set(names()) >= wanted | {"value_leakage", "freed_residue"}
    assert len(names()) == len(set(names()))


def test_a_zero_row_gives_nan_in_the_read_that_meets_it_first(tmp_path):
    run = write_run("nan_cosine", tmp_path / "run")
    record = memviz.open(run.path)[-1]
    broken = np.isnan(record["read_weights"]).any(axis=(2, 3))
    assert broken[:, run.item].any()
    assert not broken[:, [item for item in range(3) if item != run.item]].any()
    assert np.argmax(broken[:, run.item]) == run.where["time"]


def test_equal_seeds_give_equal_runs(tmp_path):
    one, two, other = (
        memviz.open(write_run("blurred_links", tmp_path / name, seed=seed).path)[-1]["write_weights"]
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


def test_a_fault_of_an_equation_is_there_or_not(tmp_path):
    assert has_strength("closed_write_gate")
    assert not has_strength("nan_cosine")
    assert not has_strength("attention_sink")
    with pytest.raises(ValueError, match="either there or not"):
        write_run("nan_cosine", tmp_path / "run", strength=0.5)


def test_an_unknown_fault_gives_one_line(tmp_path):
    with pytest.raises(UnknownNameError, match=r"no fault named 'dead_slot'\. Did you mean 'dead_slots'"):
        write_run("dead_slot", tmp_path / "run")
    result = CliRunner().invoke(main, ["dead_slot", "--out", str(tmp_path)])
    assert result.exit_code == 1
    assert len(result.output.splitlines()) == 1


def test_the_command_lists_every_fault_and_writes_one(tmp_path):
    listed = CliRunner().invoke(main, []).output.splitlines()
    assert [line.split()[0] for line in listed] == list(names())
    result = CliRunner().invoke(main, ["dead_slots", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "dead_slots" / "trace.json").is_file()
