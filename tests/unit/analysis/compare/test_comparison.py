"""What a comparison says: the first difference, behaviour in words, unequal shapes, runs, the command."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

import memviz
from memviz.analysis.array_record import ArrayRecord
from memviz.analysis.compare.words import run_changes
from memviz.cli import main
from memviz.errors import FieldError, RecordError
from memviz.testing.simulate import Sizes, simulate_dnc
from memviz.testing.synthetic import write_dnc_run
from memviz.trace.schema import TraceHeader
from memviz.trace.writer import TraceWriter


def fields(sharpness=1.0, seed=0, **sizes):
    found = simulate_dnc(
        Sizes(**{"times": 10, "slots": 6, "words": 4} | sizes), seed=seed, sharpness=sharpness, jitter=0
    )
    return {name: values for name, values in found.items() if name not in ("input", "target", "output")}


def test_what_a_trained_memory_does_differently_is_said():
    found = memviz.compare(ArrayRecord(fields(0.0), step=0), ArrayRecord(fields(1.0), step=400))
    text = found.text()
    assert text.startswith("a: step 0\nb: step 400\n")
    assert not found.same
    assert "write head 0: slots per write" in text
    assert "write head 0: share of free slots in writes 0.4" in text
    assert "the first difference is at time 0, in read_keys" in text


def test_a_change_of_mode_is_said_by_name():
    one, other = fields(), fields()
    one["read_modes"], other["read_modes"] = np.array(one["read_modes"]), np.array(other["read_modes"])
    one["read_modes"][:], other["read_modes"][:] = [0.1, 0.8, 0.1], [0.0, 0.1, 0.9]
    changes = memviz.compare(ArrayRecord(one), ArrayRecord(other)).memories[0].changes
    assert "read head 1 reads by content (80%) in a, by forward (90%) in b" in changes


def test_the_field_that_goes_wrong_first_is_named_in_the_order_of_computing():
    other = {name: values.copy() for name, values in fields().items()}
    for name in ("read_vectors", "memory", "write_weights"):
        other[name][4:] += 0.25
    (memory,) = memviz.compare(ArrayRecord(fields()), ArrayRecord(other), align_by="none").memories
    assert memory.first() == (4, "write_weights")
    assert memory.aligned("memory")[1] is not None
    with pytest.raises(FieldError, match="cannot be compared"):
        memory.difference("interpolation_gate")


def test_memories_of_unequal_size_are_compared_as_far_as_they_go():
    small, large = ArrayRecord(fields(slots=4, times=8)), ArrayRecord(fields(slots=6, times=10))
    (memory,) = memviz.compare(large, small).memories
    assert (memory.alignment.slots < 0).sum() == 2
    assert "2 have no counterpart" in memory.alignment.text()
    difference = memory.difference("write_weights")
    assert difference.shape == (8, 1, 1, 6)
    assert np.isnan(difference).all(axis=(0, 1, 2)).sum() == 2
    assert all(np.isfinite(entry.largest) for entry in memory.fields)
    (back,) = memviz.compare(small, large).memories
    assert back.difference("link_matrix").shape == (8, 1, 1, 4, 4)
    assert np.isfinite(back.difference("link_matrix")).all()


def test_a_nan_is_a_difference_and_two_are_none():
    other = {name: values.copy() for name, values in fields().items()}
    other["write_vectors"][3, 0, 0, 1] = np.nan
    (memory,) = memviz.compare(ArrayRecord(fields()), ArrayRecord(other)).memories
    entry = next(entry for entry in memory.fields if entry.field == "write_vectors")
    assert entry.largest == np.inf
    assert entry.place["time"] == 3
    assert memviz.compare(ArrayRecord(other), ArrayRecord(other)).same
    other["memory"][:] = np.nan
    (spoiled,) = memviz.compare(ArrayRecord(fields()), ArrayRecord(other)).memories
    assert next(entry for entry in spoiled.fields if entry.field == "memory").largest == np.inf


def test_what_does_not_match_is_an_error():
    with pytest.raises(FieldError, match="needs write_weights in both"):
        memviz.compare(
            ArrayRecord({"read_weights": fields()["read_weights"]}, law=""), ArrayRecord(fields()), align_by="writes"
        )


def test_the_only_memory_of_each_is_compared_whatever_its_name():
    renamed = memviz.compare(ArrayRecord(fields(), memory="ours"), ArrayRecord(fields(), memory="theirs"))
    assert renamed.same
    assert renamed.memories[0].text().startswith("ours / theirs: all")


@pytest.fixture
def runs(tmp_path):
    write_dnc_run(tmp_path / "a", steps=3, seed=0, fields="all")
    write_dnc_run(tmp_path / "b", steps=3, seed=1)
    return tmp_path


def invoke(*arguments):
    return CliRunner().invoke(main, ["diff", *map(str, arguments)])


def test_the_command_compares_runs_and_steps(runs):
    result = invoke(runs / "a", runs / "b")
    assert result.exit_code == 0, result.output
    assert "run seed: 0 in a, 1 in b" in result.output
    assert "memory: " in result.output
    steps = invoke(f"{runs / 'a'}@0", f"{runs / 'a'}@40")
    assert f"a: {runs / 'a'}@0\n" in steps.output
    assert "fields differ" in steps.output
    assert "fields differ" in invoke(f"{runs / 'a'}@0", runs / "a").output


def test_the_command_prints_json_and_an_exit_code(runs):
    result = invoke(runs / "a", runs / "a", "--json", "--exit-code")
    assert result.exit_code == 0
    assert json.loads(result.output)["same"] is True
    differing = invoke(f"{runs / 'a'}@0", f"{runs / 'a'}@40", "--json", "--exit-code", "--align", "content")
    assert differing.exit_code == 1
    data = json.loads(differing.output)
    assert data["memories"][0]["alignment"]["method"] == "content"
    assert data["memories"][0]["fields"][0]["same"] is False


def test_the_command_says_what_is_wrong(runs):
    assert "expected the number of a step after the @" in invoke(f"{runs / 'a'}@last", runs / "b").output
    assert invoke(runs / "nothing", runs / "b").exit_code == 1
    result = invoke(runs / "a", runs / "b", "--memory", "other")
    assert result.exit_code == 0, "with one memory in each there is no doubt which is meant"


def test_a_run_without_records_is_refused(tmp_path):
    writer = TraceWriter.create(tmp_path / "none", TraceHeader("0", 0.0, "none"))
    writer.close()
    trace = memviz.open(tmp_path / "none")
    with pytest.raises(RecordError, match="no record to compare"):
        memviz.compare(trace, trace)


def test_facts_within_facts_of_runs_differ_by_name(tmp_path):
    traces = []
    for name, seed in (("a", 0), ("b", 1)):
        plan = {"task": "copy", "options": {"slots": 16, "seed": seed}, "nothing": {}}
        header = TraceHeader(memviz_version="0", created=0.0, run=name, attributes={"plan": plan})
        writer = TraceWriter.create(tmp_path / name, header)
        writer.close()
        traces.append(memviz.open(tmp_path / name))
    assert list(run_changes(*traces)) == ["run plan.options.seed: 0 in a, 1 in b"]
