"""Fields as Dask arrays: the same values as read at once, here, by threads, and by the processes of a cluster."""

from __future__ import annotations

import pickle
import sys

import numpy as np
import pytest

from memviz.analysis.cluster import connect
from memviz.errors import MemvizError
from memviz.trace.reader import open_trace
from memviz.trace.record import Record

COUNT = 9


@pytest.fixture(params=[3, 100], ids=["sealed", "live"])
def trace(request, tmp_path, make):
    return open_trace(make.trace(tmp_path / "run", count=COUNT, seal_every=request.param, close=False))


@pytest.fixture(scope="module")
def client():
    with connect("local:2") as cluster:
        yield cluster.client


def assert_same_trees(found, expected):
    assert [node.path for node in found.subtree] == [node.path for node in expected.subtree]
    for node in expected.subtree:
        other = found[node.path].to_dataset()
        assert set(other.variables) == set(node.variables)
        for name, variable in node.variables.items():
            np.testing.assert_array_equal(other[name].values, variable.values)
            assert other[name].dtype == variable.dtype
            assert other[name].dims == variable.dims
            assert other[name].attrs == variable.attrs


@pytest.mark.parametrize("chunks", [1, 4, 100])
def test_chunks_hold_what_is_read_at_once(trace, chunks):
    tree = trace.to_xarray(chunks=chunks)
    assert_same_trees(tree, trace.to_xarray())
    weights = tree["memory/read_weights"]
    spans = [min(chunks, COUNT - start) for start in range(0, COUNT, chunks)]
    assert weights.chunks == (tuple(spans), (4,), (2,), (3,))
    assert tree["memory"].length.chunks is None  # coordinates are small and stay at hand


def test_a_cluster_computes_what_this_process_computes(trace, client):
    """Ragged in time, with NaN, bfloat16 and whole numbers."""
    tree, eager = trace.to_xarray(chunks=2), trace.to_xarray()
    for name in ("memory/read_weights", "memory/usage", "memory/final/count"):
        future = client.compute(tree[name])
        np.testing.assert_array_equal(future.result().values, eager[name].values)
        assert future.result().dtype == eager[name].dtype
    mean = tree["memory/usage"].mean(["time", "slot"])
    np.testing.assert_array_equal(client.compute(mean).result(), eager["memory/usage"].mean(["time", "slot"]))


def test_missing_fields_are_filled_on_a_cluster_too(tmp_path, make, client):
    memory = make.memory("memory", make.field("count", "slot", "int32"), make.field("initial/usage", "slot"))
    with make.writer(tmp_path / "run", memory) as writer:
        writer.append(make.record(0, count=np.arange(2, dtype=np.int32), **{"initial/usage": np.ones(1, np.float32)}))
        writer.append(make.record(1, count=np.arange(3, dtype=np.int32)))
        writer.append(make.record(2, **{"initial/usage": np.ones(1, np.float32)}))
    trace = open_trace(writer.path)
    tree = trace.to_xarray(chunks=2)
    found = client.compute(tree["memory/count"]).result()
    np.testing.assert_array_equal(found, [[0, 1, np.nan], [0, 1, 2], [np.nan, np.nan, np.nan]])
    assert_same_trees(tree, trace.to_xarray())


def test_derived_fields_can_be_chunked(tmp_path, client):
    from memviz.testing.synthetic import write_dnc_run

    trace = open_trace(write_dnc_run(tmp_path / "copy", steps=3).path)
    links = trace.to_xarray(["memory/link_matrix"], chunks=2)["memory/link_matrix"]
    np.testing.assert_array_equal(client.compute(links[1]).result(), trace[1]["link_matrix"])


def test_only_the_chunks_that_are_used_are_read(trace, monkeypatch):
    read = []
    real = Record.read
    monkeypatch.setattr(Record, "read", lambda self, *a: (read.append(self.id), real(self, *a))[1])
    weights = trace.to_xarray(chunks=2)["memory/read_weights"]
    assert read == []
    weights.isel(record=slice(2, 4)).compute(scheduler="synchronous")
    assert read == [2, 3]


def test_a_task_carries_no_values(trace):
    array = trace.to_xarray(["memory/read_weights"])["memory/read_weights"].variable._data
    assert b"_contents" not in pickle.dumps(array)
    assert len(pickle.dumps(array)) < 4000


def test_an_empty_trace_has_no_chunk_to_read(tmp_path, make):
    assert open_trace(make.trace(tmp_path / "run", count=0)).to_xarray(chunks=5).sizes["record"] == 0


def test_what_cannot_be_chunked_is_said(trace, monkeypatch):
    with pytest.raises(MemvizError, match="from 1 on, got 0"):
        trace.to_xarray(chunks=0)
    monkeypatch.setitem(sys.modules, "dask.array", None)
    with pytest.raises(MemvizError, match=r"pip install 'memviz\[dask\]'"):
        trace.to_xarray(chunks=1)
