"""Frames and matrices: every cell of every tile against the recorded values, whole or read in parts."""

from __future__ import annotations

import math

import numpy as np
import pytest

import memviz
import memviz.dashboards.fieldview as fieldview
import memviz.dashboards.frames as frames_module
from memviz.dashboards.fieldview import FieldView, Values, spans, view, views
from memviz.dashboards.frames import field_tiles, frame, matrices, order_of, record_scale
from memviz.dashboards.source import ArrayCache
from memviz.dashboards.tiles import encode
from memviz.errors import FieldError
from memviz.testing.synthetic import write_dnc_run
from memviz.trace.schema import FieldSchema, MemorySchema, RecordData, TraceHeader
from memviz.trace.writer import TraceWriter

FIELD = FieldView("m/x", ("time", "batch", "read_head", "slot"), (9, 2, 3, 5), "weight", False)


def values_of(record):
    return Values(record, ("test", record.id), ArrayCache())


@pytest.fixture(scope="module", params=["default", "all"])
def run(request, tmp_path_factory):
    return write_dnc_run(
        tmp_path_factory.mktemp("frames") / "copy", steps=2, times=31, slots=12, batch=2, fields=request.param
    )


def pictures_of(name, array, item):
    """All pictures of a field over time, [row, time], by tile id; written out axis by axis."""
    taken = array[:, item]
    if name.endswith(("forward_weights", "backward_weights")):
        return {f"{name}:{h}": taken[:, h, 0].T for h in range(taken.shape[1])}
    if name.endswith(("usage", "input", "target", "output")):
        return {name: taken.T}
    if taken.ndim == 2:
        return {f"{name}:{h}": taken[:, h][None] for h in range(taken.shape[1])}
    return {f"{name}:{h}": taken[:, h].T for h in range(taken.shape[1])}


@pytest.mark.parametrize("item", [0, 1])
def test_every_panel_shows_the_recorded_values(run, item, parse):
    record = memviz.open(run)[1]
    head, codes = parse(frame(values_of(record), "memory", item, 672, 320, {"index": 1}))
    truth = run.arrays(1)
    wanted = {}
    for name in record.fields:
        bare = name.split("/", 1)[1]
        if not bare.startswith(("initial/", "final/")) and bare not in ("memory", "link_matrix"):
            wanted |= pictures_of(name, truth[bare], item)
    assert set(codes) == set(wanted)
    assert head["missing"] == []
    assert (head["times"], head["memory"], head["item"], head["index"]) == (31, "memory", item, 1)
    for tile in head["tiles"]:
        exact = wanted[tile["id"]]
        assert (tile["rows"], tile["cols"]) == (tile["full_rows"], tile["full_cols"]) == exact.shape
        back = tile["vmin"] + codes[tile["id"]] / 248 * (tile["vmax"] - tile["vmin"])
        missing = np.isnan(exact)
        assert (codes[tile["id"]][missing] == 255).all()
        half_a_code = (tile["vmax"] - tile["vmin"]) / 248 / 2
        np.testing.assert_allclose(back[~missing], exact[~missing], atol=half_a_code * 1.01 + 1e-5, err_msg=tile["id"])
        assert tile["derived"] == record.is_derived(tile["field"])
        np.testing.assert_allclose(
            [math.nan if mean == "NaN" else mean for mean in tile["stats"]["mean"]], exact.mean(axis=0), atol=1e-5
        )


def test_panels_come_in_the_order_of_the_catalogue_model_first(run, parse):
    head, _ = parse(frame(values_of(memviz.open(run)[0]), "memory", 0, 672, 320, {}))
    ids = [tile["id"] for tile in head["tiles"]]
    assert ids[:6] == [
        "model/input",
        "model/target",
        "model/output",
        "memory/write_weights:0",
        "memory/read_weights:0",
        "memory/read_weights:1",
    ]
    rows = {tile["id"]: (tile["row_axis"], tile["rows"]) for tile in head["tiles"]}
    assert rows["memory/usage"] == ("slot", 12)
    assert rows["memory/read_modes:1"] == ("mode", 3)
    assert rows["memory/write_gate:0"] == (None, 1)


def test_more_cells_than_pixels_are_pooled_and_said(run, parse):
    record = memviz.open(run)[1]
    head, codes = parse(frame(values_of(record), "memory", 0, 7, 5, {}))
    tile = next(tile for tile in head["tiles"] if tile["id"] == "memory/write_weights:0")
    assert (tile["rows"], tile["cols"], tile["full_rows"], tile["full_cols"]) == (5, 7, 12, 31)
    assert len(tile["stats"]["peak"]) == 31, "statistics are of every time"
    exact = record["write_weights"][:, 0, 0].T
    assert codes[tile["id"]].max() == encode(np.array([exact.max()]), 0, 1)[0]
    assert all(tile["rows"] <= 5 and tile["cols"] <= 7 for tile in head["tiles"])


@pytest.mark.parametrize(("cols", "rows"), [(672, 320), (7, 5), (1, 1), (13, 12)])
def test_a_field_read_in_parts_gives_the_same_tiles(run, monkeypatch, cols, rows):
    record = memviz.open(run)[1]
    for name in ("memory/usage", "memory/read_weights", "memory/write_vectors", "memory/write_gate"):
        whole = field_tiles(values_of(record), view(record, name), 1, cols, rows)
        with monkeypatch.context() as patch:
            patch.setattr(fieldview, "SMALL_BYTES", 3000)
            patch.setattr(fieldview, "PART_BYTES", 3000)
            field = view(record, name)
            assert field.is_small == (field.count * 4 <= 3000)
            parts = field_tiles(values_of(record), field, 1, cols, rows)
        for one, other in zip(whole, parts, strict=True):
            assert one.meta == other.meta
            np.testing.assert_array_equal(one.codes, other.codes)


def test_matrices_on_the_scale_of_the_whole_record(run, monkeypatch, parse):
    record = memviz.open(run)[1]
    truth = run.arrays(1)
    head, codes = parse(matrices(values_of(record), view(record, "memory/memory"), 1, 0, 4, 9, 220, {}))
    reach = np.abs(truth["memory"][:, 1]).max()
    assert list(codes) == [f"memory/memory@{t}" for t in range(4, 9)]
    for tile in head["tiles"]:
        assert (tile["row_axis"], tile["col_axis"]) == ("slot", "word")
        assert (-tile["vmin"], tile["vmax"]) == pytest.approx((reach, reach), abs=1e-5)
        back = (codes[tile["id"]] - 124.0) / 124 * tile["vmax"]
        np.testing.assert_allclose(back, truth["memory"][tile["time"], 1], atol=tile["vmax"] / 240)
    links, codes = parse(matrices(values_of(record), view(record, "memory/link_matrix"), 0, 0, 30, 31, 220, {}))
    np.testing.assert_allclose(codes["memory/link_matrix:0@30"] / 248, truth["link_matrix"][30, 0, 0], atol=0.003)
    assert (links["tiles"][0]["row_axis"], links["tiles"][0]["col_axis"]) == ("slot_to", "slot_from")

    monkeypatch.setattr(fieldview, "SMALL_BYTES", 3000)
    monkeypatch.setattr(fieldview, "PART_BYTES", 3000)
    parts = record_scale(values_of(record), view(record, "memory/memory"), 1)
    assert parts == pytest.approx((-reach, reach), abs=1e-5)


def test_a_field_too_large_to_hold_is_named_with_its_remedy(run, monkeypatch, parse):
    monkeypatch.setattr(fieldview, "SMALL_BYTES", 10)
    monkeypatch.setattr(fieldview, "MAX_VALUES", 20)
    record = memviz.open(run)[0]
    head, _ = parse(frame(values_of(record), "memory", 0, 1, 1, {}))
    assert "memory/usage" in {entry["field"] for entry in head["missing"]}
    with pytest.raises(FieldError, match=r"memviz\.open"):
        values_of(record).whole(view(record, "memory/memory"))


def test_a_panel_that_would_take_too_long_is_named_unless_it_was_recorded(run, monkeypatch, parse):
    monkeypatch.setattr(frames_module, "MAX_LINKS", 2 * 31 * 12 * 12 - 1)
    record = memviz.open(run)[0]
    head, codes = parse(frame(values_of(record), "memory", 0, 672, 320, {}))
    missing = {entry["field"]: entry["reason"] for entry in head["missing"]}
    if record.is_derived("memory/forward_weights"):
        assert set(missing) == {"memory/forward_weights", "memory/backward_weights"}
        assert "fields='all'" in missing["memory/forward_weights"]
    else:
        assert missing == {}
    assert "memory/precedence_weights:0" in codes


def write(path, fields, arrays):
    """One record of a memory `m` with fields of one's own."""
    schema = {
        name: FieldSchema(name, tuple(axes.split()), str(arrays[name].dtype), kind)
        for name, (axes, kind) in fields.items()
    }
    with TraceWriter.create(path, TraceHeader("0", 0.0, "own")) as writer:
        writer.declare(MemorySchema("m", "", schema))
        writer.append(RecordData(0, {f"m/{name}": array for name, array in arrays.items()}, 0.0))
    return memviz.open(path)[0]


def test_fields_outside_the_catalogue_are_drawn_by_their_axes(tmp_path, parse):
    rng = np.random.default_rng(0)
    fields = {
        "strip": ("time batch", "gate"),
        "rows": ("time batch cell", "signed"),
        "grid": ("time batch x y", "positive"),
        "two_heads": ("time batch read_head write_head slot", "weight"),
        "still": ("batch cell", "signed"),
        "picks": ("time batch k", "index"),
    }
    shapes = [(6, 1), (6, 1, 4), (6, 1, 3, 5), (6, 1, 2, 2, 3), (1, 4), (6, 1, 2)]
    arrays = {name: rng.random(shape).astype(np.float32) for name, shape in zip(fields, shapes, strict=True)}
    arrays["picks"] = arrays["picks"].astype(np.int32)
    record = write(tmp_path / "own", fields, arrays)
    _, codes = parse(frame(values_of(record), "m", 0, 672, 320, {}))
    assert set(codes) == {"m/strip", "m/rows", *(f"m/two_heads:{r}.{w}" for r in (0, 1) for w in (0, 1))}
    np.testing.assert_allclose(codes["m/two_heads:1.0"] / 248, arrays["two_heads"][:, 0, 1, 0].T, atol=0.003)
    assert [field.name for field in views(record, "m") if field.is_matrix] == ["m/grid"]
    _, grids = parse(matrices(values_of(record), view(record, "m/grid"), 0, 0, 2, 3, 220, {}))
    np.testing.assert_allclose(grids["m/grid@2"] / 248 * arrays["grid"].max(), arrays["grid"][2, 0], atol=0.003)
    assert sorted(views(record, "m"), key=order_of)[0].name == "m/grid"


@pytest.mark.parametrize("dtype", ["float16", "float64", "bfloat16", "uint8", "int64", "bool"])
def test_every_dtype_is_drawn(tmp_path, dtype, parse):
    import ml_dtypes  # noqa: F401  (registers bfloat16 with numpy)

    exact = np.array([[[0, 1, 1, 0]], [[1, 0, 0, 1]]]).astype(dtype)
    record = write(tmp_path / "own", {"rows": ("time batch cell", "weight")}, {"rows": exact})
    _, codes = parse(frame(values_of(record), "m", 0, 672, 320, {}))
    np.testing.assert_array_equal(codes["m/rows"], exact[:, 0].T.astype(np.uint8) * 248)


@pytest.mark.parametrize(("shape", "times"), [((0, 1, 4), 0), ((3, 1, 0), 3)], ids=["no times", "no rows"])
def test_an_empty_field_is_missing_and_not_a_failure(tmp_path, parse, shape, times):
    record = write(tmp_path / "own", {"rows": ("time batch cell", "signed")}, {"rows": np.zeros(shape, np.float32)})
    head, codes = parse(frame(values_of(record), "m", 0, 672, 320, {}))
    assert (codes, head["times"]) == ({}, times)
    assert [entry["field"] for entry in head["missing"]] == ["m/rows"]
    assert "empty" in head["missing"][0]["reason"]


@pytest.mark.parametrize("small", [1, 100, 500, 4 * 9 * 2 * 3 * 5])
def test_stretches_cover_all_times_and_begin_where_they_may(monkeypatch, small):
    monkeypatch.setattr(fieldview, "SMALL_BYTES", small)
    monkeypatch.setattr(fieldview, "PART_BYTES", small)
    starts = [0, 2, 4, 6]
    found = list(spans(FIELD, starts))
    assert [time for start, stop in found for time in range(start, stop)] == list(range(9))
    assert all(start in starts for start, _ in found)
    most = max(1, small // (4 * 30))
    assert all(stop - start <= max(most, 3) for start, stop in found) or FIELD.is_small


def test_links_that_take_too_long_to_follow_are_refused_and_said(tmp_path, monkeypatch):
    run = write_dnc_run(tmp_path / "copy", steps=1, times=9, slots=12)
    values = values_of(memviz.open(run.path)[0])
    links = view(values.record, "memory/link_matrix")
    monkeypatch.setattr(fieldview, "SMALL_BYTES", 100)
    monkeypatch.setattr(fieldview, "MAX_FOLLOWED", 5 * 12**2)
    assert values.times(links, 0, 4, 5).shape == (1, 1, 12, 12)
    with pytest.raises(FieldError, match="following 864 links to time 5 takes too long"):
        values.times(links, 0, 5, 6)
    with pytest.raises(FieldError, match="fields='all'"):
        list(values.parts(links, 0, [(0, 4), (4, 9)]))
    # What does not rest on links is not refused.
    assert values.times(view(values.record, "memory/memory"), 0, 8, 9).shape == (1, 12, 16)


def test_the_scale_of_a_derived_field_follows_the_past_once(tmp_path, monkeypatch):
    run = write_dnc_run(tmp_path / "copy", steps=1, times=30, slots=12)
    values = values_of(memviz.open(run.path)[0])
    field = view(values.record, "memory/memory")
    exact = values.record["memory"]
    monkeypatch.setattr(fieldview, "SMALL_BYTES", 100)
    monkeypatch.setattr(fieldview, "PART_BYTES", 4 * 12 * 16 * 4)
    seen = []
    real = fieldview.derive_parts
    monkeypatch.setattr(fieldview, "derive_parts", lambda *args: seen.append(len(args[3])) or real(*args))
    low, high = record_scale(values, field, 0)
    assert seen == [8]
    assert (low, high) == (-float(np.abs(exact).max()), float(np.abs(exact).max()))
