"""CSV and npz hold the exact values."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from memviz.dashboards.export import tables
from memviz.dashboards.export.tables import as_csv, as_npz, exact_fields, with_effective
from memviz.errors import ExportError, PlaceError


def rows_of(data):
    return list(csv.DictReader(io.StringIO(data.decode())))


def test_a_csv_of_one_field_gives_every_float_back(trace, values):
    record = trace[1]
    found = exact_fields(values(record), ["memory/read_weights"], 1)
    rows = rows_of(as_csv(found))
    assert list(rows[0]) == ["time", "read_head", "slot", "read_weights"]
    back = np.zeros(record["read_weights"][:, 1].shape, np.float32)
    for row in rows:
        back[int(row["time"]), int(row["read_head"]), int(row["slot"])] = np.float32(row["read_weights"])
    np.testing.assert_array_equal(back, record["read_weights"][:, 1])


def test_one_time_and_one_head_drop_their_axes(trace, values):
    record = trace[1]
    ((axes, array),) = exact_fields(values(record), ["memory/read_weights"], 0, time=4, head=1).values()
    assert axes == ("slot",)
    np.testing.assert_array_equal(array, record["read_weights"][4, 0, 1])
    with pytest.raises(PlaceError):
        exact_fields(values(record), ["memory/read_weights"], 0, time=99)
    with pytest.raises(PlaceError):
        exact_fields(values(record), ["memory/read_weights"], 0, head=2)


def test_several_fields_share_long_columns(trace, values):
    record = trace[1]
    rows = rows_of(as_csv(exact_fields(values(record), ["memory/write_gate", "memory/memory"], 0)))
    picked = [r for r in rows if r["field"] == "memory/memory" and r["time"] == "3" and r["index"] == "2.5"]
    assert [(r["axis"], np.float32(r["value"])) for r in picked] == [("slot×word", record["memory"][3, 0, 2, 5])]
    assert len(rows) == record["write_gate"][:, 0].size + record["memory"][:, 0].size


def test_what_is_no_number_is_named():
    data = as_csv({"m/x": (("time",), np.array([np.nan, np.inf, -np.inf, 0.1], np.float32))})
    assert [row["x"] for row in rows_of(data)] == ["nan", "inf", "-inf", "0.1"]


def test_an_npz_holds_fields_axes_and_where_they_are_from(trace, values):
    record = trace[1]
    data = as_npz(exact_fields(values(record), ["memory/usage", "model/input"], 1), {"step": record.step})
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["memory/usage"], record["usage"][:, 1])
        about = json.loads(str(arrays["about"]))
    assert about["step"] == record.step
    assert about["axes"]["model/input"] == ["time", "input_channel"]


def test_a_csv_of_too_many_rows_names_the_way_out(monkeypatch):
    monkeypatch.setattr(tables, "MAX_ROWS", 3)
    with pytest.raises(ExportError, match="npz"):
        as_csv({"m/x": (("time",), np.zeros(4))})


def test_a_field_without_attention_stays_alone(trace, values):
    found = exact_fields(values(trace[0]), ["memory/usage"], 0)
    assert with_effective(values(trace[0]), found) == found
