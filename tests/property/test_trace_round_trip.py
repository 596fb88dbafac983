"""Whatever is recorded reads back bit by bit, live and sealed, whatever its dtype, shape and raggedness."""

from __future__ import annotations

import json
import math
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
import safetensors
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memviz.testing import strategies
from memviz.trace.dtypes import SAFETENSORS
from memviz.trace.jsonl import LineReader, LineWriter, encode, plain
from memviz.trace.live import encode_record, read_live, write_live
from memviz.trace.reader import open_trace
from memviz.trace.schema import Event, TraceHeader
from memviz.trace.writer import TraceWriter

SLOW = settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))

IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where these tests write: sealing waits for the disk, which is not what they are about."""


@pytest.fixture(autouse=True, scope="module")
def no_waiting_for_the_disk():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda fd: None)
        yield


def assert_same(array: np.ndarray, expected: np.ndarray, name: str) -> None:
    assert array.dtype == expected.dtype, name
    assert array.shape == expected.shape, name
    assert array.tobytes() == expected.tobytes(), name


def assert_record(record, data) -> None:
    assert (record.step, record.forward, record.wall) == (data.step, data.forward, data.wall)
    assert record.batch == tuple(data.batch)
    assert record.labels == plain(data.labels)
    assert set(record.stored) == set(data.fields)
    for name, expected in data.fields.items():
        assert record.shape(name) == expected.shape
        assert_same(record[name], expected, name)
        schema = record.schema(name)
        if schema.axes[:1] == ("time",):
            assert record.lengths[name.rpartition("/")[0].removesuffix("/grad")] == len(expected)
            for part in (slice(1, 3), slice(None, None, -1), slice(-2, None), slice(3, 0, -2)):
                assert_same(record.read(name, part), expected[part], f"{name} {part}")


@st.composite
def runs(draw):
    memories = draw(strategies.memory_sets())
    return memories, draw(st.lists(strategies.records(memories), max_size=8)), draw(st.integers(1, 4))


@SLOW
@given(runs())
def test_a_trace_reads_back_bit_by_bit_live_and_sealed(run):
    memories, records, seal_every = run
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        header = TraceHeader("", 1.0, "run", memories=memories)
        writer = TraceWriter.create(Path(folder) / "run", header, seal_every=seal_every)
        try:
            trace = open_trace(writer.path)
            for data in records:
                writer.append(data)
                assert trace.refresh() == 1
                assert_record(trace[-1], data)
            held = list(trace)
            writer.seal()
            for view in (held, list(trace), list(open_trace(writer.path))):
                assert len(view) == len(records)
                for i, (record, data) in enumerate(zip(view, records, strict=True)):
                    assert record.id == i
                    assert_record(record, data)
            assert not open_trace(writer.path).notes
        finally:
            writer.close()


@SLOW
@given(runs())
def test_a_live_file_is_a_safetensors_file(run):
    _, records, _ = run
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        for i, data in enumerate(records):
            write_live(Path(folder), i, encode_record(data)[0])
            read = read_live(Path(folder), i)
            loaded = dict(safetensors.deserialize((Path(folder) / f"r{i:08d}.safetensors").read_bytes()))
            assert set(loaded) == set(data.fields) == set(read.tensors)
            for name, array in data.fields.items():
                assert tuple(loaded[name]["shape"]) == array.shape
                assert SAFETENSORS[array.dtype.name] == loaded[name]["dtype"]
                assert bytes(loaded[name]["data"]) == array.tobytes()
                assert_same(read.read(name), array, name)


@SLOW
@given(st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), strategies.scalars(), st.floats(allow_nan=False))))
def test_scalars_read_back_nan_and_infinities_included(lines):
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        writer = TraceWriter.create(Path(folder) / "run", TraceHeader("", 1.0, "run"))
        trace = open_trace(writer.path)
        expected: dict[str, list[tuple[int, float, float]]] = {}
        for step, values, wall in lines:
            writer.log(step, values, wall=wall)
            for name, value in values.items():
                expected.setdefault(name, []).append((step, value, wall))
        writer.close()
        for view in (trace, open_trace(writer.path)):
            assert set(view.scalars) == set(expected)
            for name, rows in expected.items():
                series = view.scalars[name]
                assert series.steps.tolist() == [row[0] for row in rows]
                assert series.walls.tolist() == [row[2] for row in rows]
                np.testing.assert_array_equal(series.values, [row[1] for row in rows])
        for line in (writer.path / "scalars.jsonl").read_text().splitlines():
            json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not strict JSON"))


@SLOW
@given(st.lists(strategies.events()))
def test_events_read_back_in_order(events):
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        writer = TraceWriter.create(Path(folder) / "run", TraceHeader("", 1.0, "run"))
        for event in events:
            writer.event(event)
        writer.close()
        found = open_trace(writer.path).events
        assert [event.kind for event in (found[0], found[-1])] == ["opened", "closed"]
        assert found[1:-1] == [Event(e.kind, e.message, e.wall, e.step, dict(e.data)) for e in events]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(_JSON)
def test_encoding_is_strict_json_of_the_same_value(value):
    def spelled(item):
        if isinstance(item, float) and not math.isfinite(item):
            return "NaN" if math.isnan(item) else "Infinity" if item > 0 else "-Infinity"
        if isinstance(item, list):
            return [spelled(part) for part in item]
        return {key: spelled(part) for key, part in item.items()} if isinstance(item, dict) else item

    decoded = json.loads(encode(value), parse_constant=lambda name: pytest.fail(f"{name} is not strict JSON"))
    assert decoded == spelled(value)


@SLOW
@given(st.lists(st.dictionaries(st.text(), st.text())), st.binary(max_size=20), st.integers(0, 40))
def test_lines_survive_a_torn_end_and_a_reader_that_comes_in_between(lines, torn, split):
    """Every whole line is read once and in order, whenever the reader looks, and a torn end is never a line."""
    torn = torn.replace(b"\n", b"x")
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        path = Path(folder) / "lines.jsonl"
        reader, found = LineReader(path), []
        writer = LineWriter(path)
        for i, line in enumerate(lines):
            writer.append(line)
            if i % (split + 1) == 0:
                found += reader.read()
        writer.close()
        with path.open("ab") as file:
            file.write(torn)
        found += reader.read()
        assert found == lines
        assert reader.torn == len(torn)
        assert not reader.notes
        writer = LineWriter(path)  # cuts the torn end off
        writer.append({"last": "line"})
        writer.close()
        assert reader.read() == [{"last": "line"}]
        assert LineReader(path).read() == [*lines, {"last": "line"}]
