"""One side of a comparison: one item of a record, and what the update law makes of it."""

from __future__ import annotations

import numpy as np
import pytest

import memviz
from memviz.analysis.compare.sides import ByLaw, OneItem
from memviz.errors import FieldError, PlaceError
from memviz.testing.synthetic import write_dnc_run


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for name, fields in (("all", "all"), ("few", "default")):
        write_dnc_run(folder / name, steps=2, batch=2, fields=fields)
    return {name: memviz.open(folder / name)[1] for name in ("all", "few")}


@pytest.mark.parametrize("name", ["usage", "memory", "link_matrix", "initial/memory", "read_modes"])
def test_an_item_has_the_values_of_that_item(records, name):
    record = records["few"]
    side = OneItem(record, 1)
    full = f"memory/{name}"
    axis = record.schema(full).axes.index("batch")
    whole = record[full]
    expected = np.take(whole, [min(1, whole.shape[axis] - 1)], axis=axis)
    np.testing.assert_array_equal(side.read(full), expected)
    if "time" in record.schema(full).axes:
        np.testing.assert_array_equal(side.read(full, slice(3, 7)), expected[3:7])


def test_what_is_left_out_and_what_is_not_there(records):
    record = records["all"]
    most = int(np.prod(record.shape("memory/link_matrix"))) - 1
    side = OneItem(record, 0, "memory", most=most)
    assert set(side.left_out) == {"memory/link_matrix", "memory/memory"}
    with pytest.raises(FieldError, match="link_matrix"):
        side.read("memory/link_matrix")
    with pytest.raises(PlaceError, match="2 items"):
        OneItem(record, 2)
    few = side.keeping(["memory/usage", "memory/nothing"])
    assert few.fields == ("memory/usage",)
    assert len(side.fields) > 1


def test_items_are_compared_with_each_other(records):
    record = records["few"]
    found = memviz.compare(OneItem(record, 0), OneItem(record, 1), align_by="none").memories[0]
    expected = record["write_weights"][:, 1].astype(float) - record["write_weights"][:, 0]
    np.testing.assert_allclose(found.difference("write_weights")[:, 0], expected)
    assert memviz.compare(OneItem(record, 1), OneItem(record, 1)).same


def test_a_recorded_state_is_held_against_its_law(records):
    side = OneItem(records["all"], 1)
    law = ByLaw(side)
    assert {"memory/usage", "memory/link_matrix", "memory/memory"} <= law.computed
    assert "memory/write_weights" not in law.computed
    assert memviz.compare(side, law, align_by="none").same


def test_a_fault_in_the_recorded_state_is_found(records):
    class Wrong(OneItem):
        def read(self, name, time=None):
            values = super().read(name, time)
            return (
                np.where(np.arange(len(values))[:, None, None] >= 7, 0.0, values) if name == "memory/usage" else values
            )

    side = Wrong(records["all"], 0)
    found = memviz.compare(side, ByLaw(side), align_by="none").memories[0]
    usage = next(entry for entry in found.fields if entry.field == "usage")
    assert (usage.same, usage.first) == (False, 7)


def test_without_a_recorded_state_there_is_nothing_to_hold_against_the_law(records):
    side = OneItem(records["few"], 0).keeping(["memory/write_weights", "memory/erase_vectors"])
    with pytest.raises(FieldError, match='fields="all"'):
        ByLaw(side)
