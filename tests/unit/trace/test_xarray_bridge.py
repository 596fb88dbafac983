from __future__ import annotations

import sys

import numpy as np
import pytest

from memviz.errors import FieldError, MemvizError
from memviz.trace.reader import open_trace
from memviz.trace.record import Record

COUNT = 9


@pytest.fixture(params=[3, 100], ids=["sealed", "live"])
def trace(request, tmp_path, make):
    return open_trace(make.trace(tmp_path / "run", count=COUNT, seal_every=request.param, close=False))


def test_a_node_per_memory_with_what_is_real_and_nan_beyond(trace, make):
    tree = trace.to_xarray()
    memory = tree["memory"].to_dataset()
    assert memory.read_weights.dims == ("record", "time", "batch", "slot")
    assert memory.read_weights.shape == (COUNT, 4, 2, 3)
    assert memory.read_weights.dtype == np.float32
    assert memory.usage.dtype == np.float32  # bfloat16, exactly
    assert memory.step.values.tolist() == [10 * i for i in range(COUNT)]
    assert memory.length.values.tolist() == [2 + i % 3 for i in range(COUNT)]
    for i in range(COUNT):
        expected = make.sample(i).fields
        values = memory.read_weights.sel(record=i).values
        np.testing.assert_array_equal(values[: 2 + i % 3], expected["memory/read_weights"])
        assert np.isnan(values[2 + i % 3 :]).all()
        np.testing.assert_array_equal(memory.usage.values[i, : 2 + i % 3], expected["memory/usage"].astype(np.float32))
    assert tree["memory/final/count"].values.tolist() == list(range(COUNT))
    assert tree["memory/final/count"].dtype == np.int64
    assert tree.attrs["run"] == "run"


def test_every_way_of_indexing(trace):
    array = trace.to_xarray()["memory/read_weights"]
    whole = array.values
    for key in [
        (0,),
        (slice(1, 3), 0),
        ([4, 2], slice(None), 1),
        (slice(None, None, -2), [0, 3], [1], slice(None, None, -1)),
        (slice(0, 0),),
        (-1, -1, -1, -1),
    ]:
        found = array.isel(dict(zip(array.dims, key, strict=False))).values
        outer = whole
        for axis in reversed(range(len(key))):
            outer = outer[(slice(None),) * axis + (key[axis],)]
        np.testing.assert_array_equal(found, outer)
    assert float(array.where(array.length > 2).isel(time=2, batch=0, slot=1).max()) > 0


def test_nothing_is_read_before_it_is_used(trace, monkeypatch):
    read = []
    real = Record.read
    monkeypatch.setattr(Record, "read", lambda self, *a: (read.append(self.id), real(self, *a))[1])
    tree = trace.to_xarray()
    part = tree["memory/read_weights"].isel(record=[2, 5], time=0)
    assert read == []
    assert part.values.shape == (2, 2, 3)
    assert read == [2, 5]


def test_changing_shapes_and_missing_fields_are_padded(tmp_path, make):
    memory = make.memory("memory", make.field("count", "slot", "int32"), make.field("initial/usage", "slot"))
    with make.writer(tmp_path / "run", memory) as writer:
        writer.append(make.record(0, count=np.arange(2, dtype=np.int32), **{"initial/usage": np.ones(1, np.float32)}))
        writer.append(make.record(1, count=np.arange(3, dtype=np.int32)))
        writer.append(make.record(2, **{"initial/usage": np.ones(1, np.float32)}))
    tree = open_trace(writer.path).to_xarray()
    nan = np.nan
    np.testing.assert_array_equal(tree["memory/count"].values, [[0, 1, nan], [0, 1, 2], [nan, nan, nan]])
    assert tree["memory/initial/usage"].dims == ("record", "slot_broadcast")
    np.testing.assert_array_equal(tree["memory/initial/usage"].values, [[1], [nan], [1]])


def test_chosen_fields_only_and_unknown_ones_refused(trace):
    tree = trace.to_xarray(["memory/usage"])
    assert list(tree["memory"].data_vars) == ["usage"]
    with pytest.raises(FieldError, match="no field 'memory/nothing'"):
        trace.to_xarray(["memory/nothing"])


def test_an_empty_trace_is_an_empty_tree(tmp_path, make):
    tree = open_trace(make.trace(tmp_path / "run", count=0)).to_xarray()
    assert tree.sizes["record"] == 0


def test_without_xarray_the_extra_is_named(trace, monkeypatch):
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(MemvizError, match=r"pip install 'memviz\[xarray\]'"):
        trace.to_xarray()
