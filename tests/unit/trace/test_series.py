from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from memviz.errors import FieldError, SchemaError
from memviz.trace.reader import open_trace

COUNT = 23


@pytest.fixture(params=[1, 4, 100], ids=["a segment each", "segments and live", "all live"])
def trace(request, tmp_path, make):
    path = make.trace(tmp_path / "run", count=COUNT, seal_every=request.param, close=False)
    return open_trace(path)


def expected(make, index, name="read_weights"):
    return [make.sample(i).fields[f"memory/{name}"][index] for i in range(COUNT)]


@pytest.mark.parametrize("index", [(0, 1, 2), (1, 0, 0), (-1, 1, 1), (-2, 0, -1)])
def test_one_value_of_every_record(trace, make, index):
    np.testing.assert_array_equal(trace.series("memory/read_weights", index), expected(make, index))


@pytest.mark.parametrize(
    "index",
    [(-1,), 0, (0, slice(None), 1), (-1, slice(None, None, -1)), (1, 1, slice(2, 0, -1)), (0, slice(0, 0))],
)
def test_one_row_of_every_record(trace, make, index):
    found = trace.series("memory/read_weights", index)
    np.testing.assert_array_equal(found, expected(make, index))
    assert found.dtype == np.float32


def test_a_time_that_only_some_records_have_is_nan_in_the_others(trace, make):
    found = trace.series("memory/read_weights", (3, 0, 1))
    assert np.isnan(found).tolist() == [2 + i % 3 <= 3 for i in range(COUNT)]
    assert found[2] == make.sample(2).fields["memory/read_weights"][3, 0, 1]


def test_other_dtypes(trace, make):
    found = trace.series("memory/usage", (0, 1, 1))
    assert found.dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(found, expected(make, (0, 1, 1), "usage"))
    counts = trace.series("memory/final/count")
    assert counts.dtype == np.int64
    assert counts.tolist() == list(range(COUNT))


def test_ragged_arrays_cannot_be_stacked(trace):
    with pytest.raises(SchemaError, match="put a whole number where records differ"):
        trace.series("memory/read_weights")
    with pytest.raises(SchemaError, match="names more"):
        trace.series("memory/read_weights", (0, 0, 0, 0))
    with pytest.raises(SchemaError, match="whole numbers and slices"):
        trace.series("memory/read_weights", (0, [1, 2]))


def test_a_slice_of_time_that_all_records_have(trace, make):
    np.testing.assert_array_equal(
        trace.series("memory/read_weights", (slice(0, 2), 0)), expected(make, (slice(0, 2), 0))
    )
    np.testing.assert_array_equal(
        trace.series("memory/read_weights", (slice(None, -3, -1), 1)), expected(make, (slice(None, -3, -1), 1))
    )


def test_an_unknown_field_lists_those_there_are(trace):
    with pytest.raises(FieldError, match="no record of run has the field 'memory/nothing'"):
        trace.series("memory/nothing")


def test_records_without_the_field_are_nan_and_whole_numbers_become_floats(tmp_path, make):
    memory = make.memory("memory", make.field("a", "slot", "int32"), make.field("b", "slot"))
    with make.writer(tmp_path / "run", memory, seal_every=3) as writer:
        for i in range(8):
            writer.append(make.record(i, **{"a" if i % 2 else "b": np.full(2, i, np.int32 if i % 2 else np.float32)}))
        found = open_trace(writer.path).series("memory/a", (0,))
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, [np.nan, 1, np.nan, 3, np.nan, 5, np.nan, 7])


def test_no_records_and_empty_arrays(tmp_path, make):
    memory = make.memory("memory", make.field("a", "time slot"))
    writer = make.writer(tmp_path / "run", memory)
    with pytest.raises(FieldError):
        open_trace(writer.path).series("memory/a", (0,))
    for _ in range(3):
        writer.append(make.record(0, a=np.zeros((0, 4), np.float32)))
    writer.close()
    trace = open_trace(writer.path)
    assert np.isnan(trace.series("memory/a", (0, 1))).tolist() == [True] * 3
    assert trace.series("memory/a").shape == (3, 0, 4)
