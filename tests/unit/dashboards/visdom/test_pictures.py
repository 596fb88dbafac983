"""Records as labelled matrices: which fields, which axes, which scale, which order."""

from __future__ import annotations

import time

import numpy as np
import pytest

import memviz
from memviz.dashboards.visdom.panes import panes
from memviz.dashboards.visdom.pictures import MAX_HEADS, gallery
from memviz.dashboards.visdom.place import Place
from memviz.dashboards.visdom.texts import Tally
from memviz.fields import CATALOGUE, lookup
from memviz.trace.schema import FieldSchema, MemorySchema, RecordData, TraceHeader
from memviz.trace.writer import TraceWriter


@pytest.fixture
def drawn(run, show):
    def draw(place=None, index=-1):
        place = place or Place()
        trace = memviz.open(run.path)
        found = gallery(*_ordered(show(trace, index, place), place))
        return trace[index], {picture.key: picture for picture in found.pictures}, found

    return draw


def _ordered(shown, place):
    values, choice = shown
    return values, place, choice


def small_trace(path, fields):
    """A trace of one record with these fields of the memory m: name -> (array, axes, kind)."""
    header = TraceHeader("0", time.time(), path.name)
    writer = TraceWriter.create(path, header)
    schemas = {name: FieldSchema(name, axes, str(array.dtype), kind) for name, (array, axes, kind) in fields.items()}
    writer.declare(MemorySchema("m", "", schemas))
    arrays = {f"m/{name}": array for name, (array, _, _) in fields.items()}
    writer.append(RecordData(step=3, fields=arrays, wall=time.time()))
    writer.close()
    return memviz.open(path)


def test_the_seeds_six_come_first_with_heads_apart(drawn):
    _, _, found = drawn()
    assert [picture.key for picture in found.pictures][:8] == [
        "memory@all",
        "memory",
        "link_matrix:0",
        "precedence_weights:0",
        "read_weights:0",
        "read_weights:1",
        "write_weights:0",
        "usage",
    ]


def test_every_field_of_the_record_is_drawn_or_named(drawn):
    record, pictures, found = drawn()
    names = {picture.name for picture in pictures.values()}
    assert names | {text.split(":")[0].split(" ")[0] for text in found.missing} == set(record.fields)
    assert names >= {f"memory/{name}" for name in CATALOGUE if f"memory/{name}" in record.fields}
    assert {"model/input", "model/target", "model/output"} <= names


def test_values_are_those_of_the_trace_with_slots_down_and_times_across(drawn):
    record, pictures, _ = drawn()
    weights = pictures["read_weights:1"]
    np.testing.assert_array_equal(weights.values, record["read_weights"][:, 0, 1].T)
    assert (weights.rows.name, weights.columns.name) == ("slot", "time")
    assert (weights.title, weights.label) == ("Read weights, head 1", "read_weights, head 1")
    assert pictures["write_weights:0"].title == "Write weights"
    np.testing.assert_array_equal(pictures["memory"].values, record["memory"][-1, 0])
    links = pictures["link_matrix:0"]
    np.testing.assert_array_equal(links.values, record["link_matrix"][-1, 0, 0])
    assert (links.rows.name, links.columns.name, links.when) == ("slot, to", "slot, from", "at time 20")


def test_the_memory_over_time_has_the_words_of_a_slot_below_each_other(drawn):
    record, pictures, _ = drawn()
    picture, memory = pictures["memory@all"], record["memory"]
    assert picture.rows.per == 16
    assert picture.values.shape == (16 * 16, 21)
    np.testing.assert_array_equal(picture.values[3 * 16 + 5], memory[:, 0, 3, 5])


def test_a_gate_has_a_row_per_head(drawn):
    record, pictures, _ = drawn()
    gates = pictures["free_gates"]
    np.testing.assert_array_equal(gates.values, record["free_gates"][:, 0].T)
    assert gates.rows.names == ("head 0", "head 1")
    assert pictures["write_gate"].values.shape == (1, 21)


def test_modes_have_names(drawn):
    assert drawn()[1]["read_modes:0"].rows.names == ("backward", "content", "forward")


def test_scales_are_fixed_for_weights_and_symmetric_for_signed_values(drawn):
    _, pictures, _ = drawn(index=0)
    for picture in pictures.values():
        known = lookup(picture.name.split("/", 1)[1])
        if known and known.kind in ("weight", "gate", "mode"):
            assert picture.scale == (0.0, 1.0), picture.key
        if known and known.kind == "signed":
            assert picture.scale[0] == -picture.scale[1] < 0, picture.key


def test_the_scale_of_a_matrix_stands_still_while_time_moves(drawn):
    scales = {drawn(Place(time=time))[1]["memory"].scale for time in (0, 7, 20)}
    assert len(scales) == 1


def test_time_item_and_head_are_chosen(drawn):
    record, pictures, _ = drawn(Place(time=7, item=1, head=1))
    np.testing.assert_array_equal(pictures["memory"].values, record["memory"][7, 1])
    np.testing.assert_array_equal(pictures["read_weights:1"].values, record["read_weights"][:, 1, 1].T)
    assert "read_weights:0" not in pictures
    # The only write head is shown whichever head is chosen.
    assert "write_weights:0" in pictures
    np.testing.assert_array_equal(pictures["free_gates"].values, record["free_gates"][:, 1].T)


def test_only_so_many_heads_are_drawn_at_once_and_any_can_be_chosen(tmp_path, show):
    weights = np.random.default_rng(0).random((4, 1, 12, 5), np.float32)
    trace = small_trace(tmp_path / "t", {"read_weights": (weights, ("time", "batch", "read_head", "slot"), "weight")})
    values, choice = show(trace)
    found = gallery(values, Place(), choice)
    assert len(found.pictures) == MAX_HEADS
    assert found.missing == ("m/read_weights: 4 of 12 heads; choose a head",)
    chosen = gallery(values, Place(head=11), choice)
    np.testing.assert_array_equal(chosen.pictures[0].values, weights[:, 0, 11].T)


def test_unusual_fields_are_drawn_or_named(tmp_path, show):
    axes = ("time", "batch")
    fields = {
        "cube": (np.zeros((3, 1, 2, 2, 2), np.float32), (*axes, "a", "b", "c"), "signed"),
        "read_indices": (np.zeros((3, 1, 2), np.int64), (*axes, "k"), "index"),
        "pulse": (np.arange(3, dtype=np.float32), ("time",), "signed"),
        "constant": (np.full((1, 1), 0.5, np.float32), ("batch", "one"), "signed"),
        "state": (np.arange(4, dtype=np.float32).reshape(1, 4), ("batch", "slot"), "signed"),
    }
    trace = small_trace(tmp_path / "t", fields)
    values, choice = show(trace)
    found = gallery(values, Place(), choice)
    pictures = {picture.key: picture for picture in found.pictures}
    np.testing.assert_array_equal(pictures["pulse"].values, [[0, 1, 2]])
    np.testing.assert_array_equal(pictures["state"].values, [[0, 1, 2, 3]])
    assert not pictures["state"].over_time
    text = " ".join(found.missing)
    assert "m/constant is 0.5 everywhere" in text
    assert "m/cube" in text
    assert "m/read_indices" in text


def test_a_sequence_without_times_is_survived(tmp_path, show):
    axes = ("time", "batch", "slot")
    fields = {
        "usage": (np.zeros((0, 1, 2), np.float32), axes, "weight"),
        "memory": (np.zeros((0, 1, 2, 3), np.float32), (*axes, "word"), "signed"),
    }
    trace = small_trace(tmp_path / "t", fields)
    values, choice = show(trace)
    assert all(picture.values.shape[1] == 0 for picture in gallery(values, Place(), choice).pictures)
    assert panes(trace, values, Place(), choice, Tally())


def test_a_target_that_was_not_asked_for_is_not_bad(tmp_path, show):
    target = np.array([[[np.nan, np.nan]], [[1, np.nan]]], np.float32)
    axes = ("time", "batch", "output_channel")
    trace = small_trace(tmp_path / "t", {"target": (target, axes, "signed"), "output": (target, axes, "signed")})
    values, choice = show(trace)
    bad = {picture.key: picture.bad for picture in gallery(values, Place(), choice).pictures}
    np.testing.assert_array_equal(bad["target"], [[False, False], [False, True]])
    np.testing.assert_array_equal(bad["output"], [[True, False], [True, True]])
