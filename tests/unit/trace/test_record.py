from __future__ import annotations

import numpy as np
import pytest

from memviz.analysis.replay import derive
from memviz.errors import FieldError
from memviz.fields import CATALOGUE
from memviz.trace.reader import open_trace
from memviz.trace.schema import FieldSchema, MemorySchema, RecordData, TraceHeader
from memviz.trace.writer import TraceWriter

TIMES, SLOTS, WORDS, HEADS = 6, 5, 3, 2
GENERATORS = ("write_weights", "erase_vectors", "write_vectors", "read_weights", "free_gates")


def dnc_values(seed):
    rng = np.random.default_rng(seed)
    shapes = {
        "write_weights": (TIMES, 1, 1, SLOTS),
        "erase_vectors": (TIMES, 1, 1, WORDS),
        "write_vectors": (TIMES, 1, 1, WORDS),
        "read_weights": (TIMES, 1, HEADS, SLOTS),
        "free_gates": (TIMES, 1, HEADS),
    }
    return {name: rng.random(shape, np.float32) / SLOTS for name, shape in shapes.items()}


def catalogue_field(name):
    field = CATALOGUE[name]
    return FieldSchema(name, field.axes, "float32", field.kind, field.low, field.high, field.simplex)


@pytest.fixture(params=["live", "sealed"])
def trace(request, tmp_path):
    """Two DNC layers that store generators, and a model memory."""
    fields = {name: catalogue_field(name) for name in GENERATORS}
    memories = {
        "layer0": MemorySchema("layer0", "dnc", fields),
        "layer1": MemorySchema("layer1", "dnc", {**fields, "usage": catalogue_field("usage")}),
        "model": MemorySchema("model", "", {"output": catalogue_field("output")}),
    }
    writer = TraceWriter.create(tmp_path / "run", TraceHeader("", 1.0, "run", memories=memories))
    for i in range(3):
        data = {f"layer{layer}/{name}": array for layer in (0, 1) for name, array in dnc_values(10 * i + layer).items()}
        data["layer1/usage"] = np.full((TIMES, 1, SLOTS), 0.25, np.float32)
        data["model/output"] = np.full((TIMES, 1, 4), i, np.float32)
        writer.append(RecordData(i, data, 1.0, batch=(3,), labels={"i": i}))
    if request.param == "sealed":
        writer.seal()
    yield open_trace(writer.path)
    writer.close()


def test_names_of_what_is_stored_and_what_follows_from_it(trace):
    record = trace[1]
    assert "layer0/usage" not in record.stored
    assert "layer0/usage" in record.fields
    assert "layer1/usage" in record.stored
    assert record.fields[: len(record.stored)] == record.stored
    assert len(set(record.fields)) == len(record.fields)
    assert (record.is_derived("layer0/usage"), record.is_derived("layer1/usage")) == (True, False)
    assert record.lengths == {"layer0": TIMES, "layer1": TIMES, "model": TIMES}
    assert list(record.memories) == ["layer0", "layer1", "model"]
    assert (record.batch, record.labels) == ((3,), {"i": 1})


def test_a_bare_name_that_one_memory_has_is_enough(trace):
    record = trace[2]
    np.testing.assert_array_equal(record["output"], record["model/output"])
    assert record.full_name("output") == "model/output"


def test_a_bare_name_that_memories_share_lists_them(trace):
    with pytest.raises(FieldError, match="choose one of 'layer0/write_weights', 'layer1/write_weights'"):
        trace[0]["write_weights"]
    with pytest.raises(FieldError, match="choose one of 'layer1/usage', 'layer0/usage'"):
        trace[0]["usage"]  # stored by one, derived for the other


def test_a_missing_field_names_the_nearest_and_how_to_record_it(trace):
    with pytest.raises(FieldError, match=r"no field 'outputs'\. Nearest: 'output'"):
        trace[0]["outputs"]
    with pytest.raises(FieldError, match=r"attach\(model, path, fields=\['default', 'read_keys'\]\)"):
        trace[0]["layer0/read_keys"]
    with pytest.raises(FieldError) as error:
        trace[0]["nonsense"]
    assert "attach" not in str(error.value)
    with pytest.raises(KeyError):
        trace[0].schema("nonsense")
    assert "nonsense" not in trace[0]
    assert "output" in trace[0]


def test_derived_values_are_those_of_the_replay(trace):
    record = trace[1]
    for name in ("link_matrix", "usage", "memory", "precedence_weights"):
        expected = derive(record, "layer0", name)
        found = record[f"layer0/{name}"]
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, expected)
        assert record.shape(f"layer0/{name}") == expected.shape
        np.testing.assert_array_equal(record.read(f"layer0/{name}", slice(2, 5)), expected[2:5])
        np.testing.assert_array_equal(record.read(f"layer0/{name}", slice(None, None, -2)), expected[::-2])
        np.testing.assert_array_equal(record.read(f"layer0/{name}", -1), expected[-1])
        assert record.read(f"layer0/{name}", slice(0, 0)).shape == (0, *expected.shape[1:])
    schema = record.schema("layer0/link_matrix")
    assert schema.axes == CATALOGUE["link_matrix"].axes
    assert (schema.dtype, schema.kind, schema.low, schema.high) == ("float32", "weight", 0.0, 1.0)


def test_what_a_record_gives_is_the_callers_own(trace):
    record = trace[0]
    for name in ("layer0/link_matrix", "layer0/write_weights", "layer1/usage"):
        first = record[name]
        kept = first.copy()
        first += 1
        np.testing.assert_array_equal(record[name], kept)
        np.testing.assert_array_equal(trace[0][name], kept)


def test_a_large_derived_field_is_computed_in_part_only(trace, monkeypatch):
    asked = []

    def spy(record, memory, field, time=None):
        asked.append(time)
        return derive(record, memory, field, time)

    monkeypatch.setattr("memviz.analysis.replay.derive", spy)
    monkeypatch.setattr("memviz.trace.record._WHOLE_BYTES", 100)
    whole = derive(trace[0], "layer0", "link_matrix")
    np.testing.assert_array_equal(trace[0].read("layer0/link_matrix", 3), whole[3])
    assert asked == [slice(3, 4)]


def test_a_derived_field_is_computed_once_while_it_is_used(trace, monkeypatch):
    calls = []

    def spy(*arguments):
        calls.append(arguments)
        return derive(*arguments)

    monkeypatch.setattr("memviz.analysis.replay.derive", spy)
    for time in range(TIMES):
        trace[0].read("layer0/memory", time)
    assert len(calls) == 1


def test_time_must_be_there(trace):
    record = trace[0]
    with pytest.raises(FieldError, match="has the times 0 to 5, not 6"):
        record.read("layer1/usage", 6)


def test_a_field_without_time_is_read_whole(tmp_path, make):
    record = open_trace(make.trace(tmp_path / "run", count=1))[0]
    with pytest.raises(FieldError, match="has no time axis"):
        record.read("final/count", 0)
    assert record["final/count"].shape == ()


def test_a_record_of_no_times_derives_nothing_and_says_nothing_wrong(tmp_path):
    fields = {name: catalogue_field(name) for name in GENERATORS}
    header = TraceHeader("", 1.0, "run", memories={"memory": MemorySchema("memory", "dnc", fields)})
    with TraceWriter.create(tmp_path / "run", header) as writer:
        values = {f"memory/{name}": array[:0] for name, array in dnc_values(0).items()}
        writer.append(RecordData(0, values, 1.0))
    record = open_trace(writer.path)[0]
    assert record["usage"].shape == (0, 1, SLOTS)
    assert record["link_matrix"].shape == (0, 1, 1, SLOTS, SLOTS)


def test_a_record_outlives_sealing(tmp_path, make):
    writer = make.writer(tmp_path / "run")
    for i in range(3):
        writer.append(make.sample(i))
    records = list(open_trace(writer.path))
    writer.close()
    for i, record in enumerate(records):
        for name, array in make.sample(i).fields.items():
            assert record[name].tobytes() == array.tobytes()
        assert record.labels == {"number": i}


def test_grad_fields_are_told_from_fields(tmp_path, make):
    memory = make.memory("memory", make.field("usage", "time slot"), make.field("grad/usage", "time slot"))
    with make.writer(tmp_path / "run", memory) as writer:
        values = {"usage": np.zeros((2, 3), np.float32), "grad/usage": np.ones((2, 3), np.float32)}
        writer.append(make.record(0, **values))
        writer.seal()
    record = open_trace(writer.path)[0]
    assert record.stored == ("memory/grad/usage", "memory/usage")
    assert record["grad/usage"].sum() == 6
    assert record["usage"].sum() == 0


def test_nothing_is_derived_from_fields_with_axes_of_their_own(tmp_path):
    schema = MemorySchema("memory", "dnc", {"usage": FieldSchema("usage", ("batch", "slot"))})
    with TraceWriter.create(tmp_path / "run", TraceHeader("", 0.0, "run", memories={"memory": schema})) as writer:
        writer.append(RecordData(0, {"memory/usage": np.zeros((1, 4), np.float32)}, 0.0))
    record = open_trace(tmp_path / "run")[0]
    assert record.fields == ("memory/usage",)


def test_what_is_derived_from_no_times_has_no_times(tmp_path):
    schema = MemorySchema("memory", "dnc", {"usage": FieldSchema("usage", ("time", "batch", "slot"))})
    with TraceWriter.create(tmp_path / "run", TraceHeader("", 0.0, "run", memories={"memory": schema})) as writer:
        writer.append(RecordData(0, {"memory/usage": np.zeros((0, 1, 4), np.float32)}, 0.0))
    record = open_trace(tmp_path / "run")[0]
    assert record.shape("allocation_weights") == (0, 1, 1, 4)
    assert record["allocation_weights"].shape == (0, 1, 1, 4)
