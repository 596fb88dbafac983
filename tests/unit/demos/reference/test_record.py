"""What a reference writes is a trace like any other: whole, in float64, with the axes and laws that it was given."""

from __future__ import annotations

import numpy as np
import pytest

import memviz
from memviz.demos.reference.record import ReferenceMemory, ReferenceTrace
from memviz.errors import SchemaError


@pytest.fixture
def fields():
    rng = np.random.default_rng(0)
    return {
        "write_weights": rng.dirichlet(np.ones(4), size=(5, 2, 1)),
        "memory": rng.normal(size=(5, 2, 4, 3)),
        "initial/memory": np.zeros((2, 4, 3)),
    }


def test_what_was_given_is_read_back(tmp_path, fields):
    x, y = np.ones((5, 2, 3)), np.full((5, 2, 2), 0.1)
    attributes = {"write_heads": 1}
    with ReferenceTrace(tmp_path / "run", "ntm", {"task": "copy"}) as trace:
        trace.append(7, [ReferenceMemory(fields, "layer0", "ntm", attributes)], input=x, output=y)
        trace.append(8, [ReferenceMemory(fields, "layer0", "ntm", attributes)], output=y, labels={"note": "second"})
        trace.log(8, loss=0.5)
    read = memviz.open(trace.path)
    assert [record.step for record in read] == [7, 8]
    assert read.header.model["class"] == "memviz.demos.reference.ntm"
    assert read.header.attributes == {"reference": True, "task": "copy"}
    record = read[0]
    assert set(record.memories) == {"layer0", "model"}
    assert record.memories["layer0"].law == "ntm"
    assert record.memories["layer0"].attributes == attributes
    for name, values in fields.items():
        np.testing.assert_array_equal(record[f"layer0/{name}"], values)
        assert record[f"layer0/{name}"].dtype == np.float64
    np.testing.assert_array_equal(record["model/input"], x)
    assert "model/input" not in read[1].stored
    assert read[1].labels["note"] == "second"


def test_several_memories_have_their_own_laws(tmp_path, fields):
    memories = [ReferenceMemory(fields, "memory.0", "dnc"), ReferenceMemory(fields, "memory.1")]
    with ReferenceTrace(tmp_path / "run", "dnc") as trace:
        trace.append(0, memories)
    record = memviz.open(trace.path)[-1]
    assert {name: memory.law for name, memory in record.memories.items()} == {"memory.0": "dnc", "memory.1": ""}


def test_a_field_of_ones_own_needs_axes(tmp_path, fields):
    surprise = np.arange(20.0).reshape(5, 2, 2)
    with ReferenceTrace(tmp_path / "run", "own") as trace:
        with pytest.raises(SchemaError, match="surprise is no field of the catalogue; say its axes"):
            trace.append(0, [ReferenceMemory(fields | {"surprise": surprise})])
        axes = {"surprise": ("time", "batch", "part")}
        trace.append(0, [ReferenceMemory(fields | {"surprise": surprise}, axes=axes)])
    record = memviz.open(trace.path)[-1]
    np.testing.assert_array_equal(record["memory/surprise"], surprise)


def test_an_array_with_other_axes_is_refused(tmp_path, fields):
    with (
        ReferenceTrace(tmp_path / "run", "own") as trace,
        pytest.raises(SchemaError, match="memory must have the axes"),
    ):
        trace.append(0, [ReferenceMemory(fields | {"memory": np.zeros((5, 4, 3))})])


def test_a_second_trace_starts_beside_the_first(tmp_path, fields):
    for name in ("run", "run-2"):
        with ReferenceTrace(tmp_path / "run", "own") as trace:
            trace.append(0, [ReferenceMemory(fields)])
        assert trace.path.name == name
