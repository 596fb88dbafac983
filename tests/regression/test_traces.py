"""Traces written by earlier versions read the same for ever. The values are written down here a second time."""

from __future__ import annotations

import shutil
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import xarray

from memviz.trace.reader import open_trace
from memviz.trace.repair import repair
from memviz.trace.writer import TraceWriter

TRACES = Path(__file__).parent / "traces"


def bits(record, name):
    values = record[name]
    return values.view({1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}[values.dtype.itemsize])


def check_v1(trace, ids) -> None:
    assert trace.ids.tolist() == ids
    for record in trace:
        i = record.id
        times = [1, 2, 3, 4][i % 4]
        assert (record.step, record.forward, record.wall, record.batch) == (
            100 * i,
            2 * i,
            1_700_000_000.25 + i,
            (0, 5),
        )
        assert record.labels == ({"phase": ["input", i, None], "text": "Größe ≤ 1"} if i % 2 else {})
        assert record.lengths == {"layer0": times} | ({} if i == 7 else {"model": times + 1})
        expected = [k / 8 + i for k in range(times * 36)]
        found = record["read_weights"]
        assert (found.dtype, found.shape) == (np.dtype("float32"), (times, 2, 3, 6))
        assert found.reshape(-1)[3:].tolist() == expected[3:]
        assert bits(record, "read_weights").reshape(-1)[:3].tolist() == [0x7FC00ABC, 0xFF800000, 0x80000000]
        small = [k - 3 * i for k in range(times * 12)]
        assert record["layer0/usage"].dtype == ml_dtypes.bfloat16
        assert bits(record, "layer0/usage").reshape(-1).tolist() == [(k % 65536) * 257 % 65536 for k in small]
        assert record["grad/usage"].dtype == np.float16
        assert bits(record, "grad/usage").reshape(-1).tolist() == [(k % 65536) * 257 % 65536 for k in small]
        assert record["free"].dtype == bool
        assert record["free"].reshape(-1).tolist() == [k % 3 == 0 for k in small]
        assert record["initial/memory"].dtype == np.float64
        assert record["initial/memory"].shape == (2, 1, 4)
        assert set(record["initial/memory"].reshape(-1).tolist()) == {i / 3}
        assert record["final/count"].shape == ()
        assert int(record["final/count"]) == -i
        assert ("model/output" in record) == (i != 7)
        if i != 7:
            assert record["output"].tolist() == [[[float(i)] * 5] * 2] * (times + 1)


@pytest.fixture(params=["v1-mixed"])
def path(request, tmp_path):
    """A copy, so that repair and resume may work on it."""
    return shutil.copytree(TRACES / request.param, tmp_path / request.param)


def test_every_record_reads_as_it_was_written(path):
    trace = open_trace(path)
    check_v1(trace, list(range(8)))
    assert sorted(folder.name for folder in (path / "sealed").iterdir()) == [
        "r00000000-r00000002",
        "r00000003-r00000005",
    ]
    assert len(list((path / "live").iterdir())) == 2


def test_header_scalars_and_events_read_as_they_were_written(path):
    trace = open_trace(path)
    header = trace.header
    assert (header.format_version, header.run, header.created) == (1, "regression", 1_700_000_000.0)
    assert (dict(header.model), dict(header.attributes)) == (
        {"class": "Example", "parameters": 123},
        {"task": "copy", "seed": 0},
    )
    memory = trace.memories["layer0"]
    assert (memory.law, memory.attributes) == ("example", {"layer": 0})
    assert memory.fields["read_weights"].axes == ("time", "batch", "read_head", "slot")
    assert trace.scalars["loss"].values.tolist() == [1 / k for k in range(1, 9)]
    assert trace.scalars["loss"].steps.tolist() == [100 * k for k in range(8)]
    assert trace.scalars["loss"].walls.tolist() == [1.7e9 + k for k in range(8)]
    nan, inf = float("nan"), float("inf")
    np.testing.assert_array_equal(trace.scalars["rate"].values, [nan, inf, -inf, 0.1, nan, inf, -inf, 0.1])
    assert [event.kind for event in trace.events] == ["opened", "gap"]
    assert (trace.events[1].step, trace.events[1].data) == (900, {"dropped": 3, "reason": "queue full"})
    assert (trace.state, trace.dropped) == ("interrupted", 3)
    assert trace.notes == ["scalars.jsonl: 22 bytes of a torn last line left out"]


def test_its_segments_open_in_plain_xarray(path):
    dataset = xarray.open_zarr(path / "sealed" / "r00000003-r00000005", group="layer0")
    assert dataset.step.values.tolist() == [300, 400, 500]
    assert dataset.length.values.tolist() == [4, 1, 2]
    assert dataset.read_weights.dims == ("record", "time", "batch", "read_head", "slot")
    assert float(dataset.read_weights.isel(record=0, time=3, batch=1, read_head=2, slot=5)) == (4 * 36 - 1) / 8 + 3


def test_it_can_be_repaired_and_continued(path):
    report = repair(path)
    assert (report.sealed, report.records, report.trimmed) == (2, 8, {"scalars.jsonl": 22})
    trace = open_trace(path)
    check_v1(trace, list(range(8)))
    assert not trace.notes
    writer = TraceWriter.create(path, trace.header, resume=True)
    assert writer.records == 8
    writer.close()
    check_v1(open_trace(path), list(range(8)))
