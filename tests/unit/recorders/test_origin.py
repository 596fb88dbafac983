"""The first value that is not finite is named by its place."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import memviz
from memviz.recorders import record_origin
from memviz.recorders.origin import Column, backward_origin, forward_origin, parameter_origin

W = ("time", "batch", "slot")


def column(name, *bad, axes=W, shape=(4, 2, 3), value=np.nan, items=None):
    values = np.ones(shape, np.float32)
    for place in bad:
        values[place] = value
    return Column(name, axes, values, items)


def test_all_finite_has_no_origin():
    assert forward_origin(0, [column("m/usage")]) is None


def test_the_earliest_time_wins_over_the_causal_order():
    found = forward_origin(7, [column("m/read_keys", (2, 0, 0)), column("m/read_weights", (1, 1, 2))])
    assert (found.step, found.time, found.module, found.field) == (7, 1, "m", "read_weights")
    assert found.index == {"batch": 1, "slot": 2}
    assert str(found).startswith("step 7: m/read_weights at time 1, batch 1, slot 2 is nan")


@pytest.mark.parametrize("reverse", [False, True])
def test_within_a_time_the_causal_order_decides(reverse):
    columns = [column(f"m/{name}", (1, 0, 0), value=np.inf) for name in ("write_strengths", "write_weights", "memory")]
    found = forward_origin(0, columns[::-1] if reverse else columns)
    assert (found.field, found.value) == ("write_strengths", "inf")


def test_input_comes_before_all_memories_and_output_after_them():
    columns = [column("model/output", (1, 0, 0)), column("b/usage", (1, 0, 0)), column("model/input", (1, 0, 0))]
    assert forward_origin(0, columns).field == "input"
    assert forward_origin(0, columns[:2]).field == "usage"


def test_a_bad_initial_state_comes_first():
    initial = column("m/initial/memory", (0, 1), axes=("batch", "slot"), shape=(2, 3))
    found = forward_origin(0, [column("m/usage", (0, 0, 0)), initial])
    assert (found.field, found.time) == ("initial/memory", None)


def test_a_field_of_ones_own_follows_what_came_before_it():
    columns = [column("m/write_keys"), column("m/mine", (1, 0, 0)), column("m/write_weights", (1, 0, 0))]
    assert forward_origin(0, columns).field == "mine"


def test_backward_begins_at_the_end():
    columns = [column("m/grad/write_weights", (1, 0, 0), (2, 0, 1)), column("m/grad/read_weights", (2, 1, 2))]
    found = backward_origin(0, columns)
    assert (found.time, found.field, found.phase) == (2, "grad/read_weights", "backward")


def test_items_are_told_by_their_place_in_the_batch():
    assert forward_origin(0, [column("m/usage", (0, 1, 0), items=(3, 9))]).item == 9


def test_a_parameter_is_named_by_its_path():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 3))
    assert parameter_origin(0, model) is None
    with torch.no_grad():
        model[1].weight[2, 1] = float("-inf")
    found = parameter_origin(4, model)
    assert (found.module, found.field, found.index, found.value) == ("1", "weight", {"axis 0": 2, "axis 1": 1}, "-inf")
    assert "before the forward began" in str(found)


def test_the_planted_nan_of_the_gallery_is_found_where_it_was_planted(tmp_path):
    from memviz.demos.gallery import write_run
    from memviz.demos.gallery.runs import BATCH, ITEM

    run = write_run("nan_cosine", tmp_path / "run")
    trace = memviz.open(run.path)
    found = record_origin(trace.at(run.step))
    assert {"field": found.field, "time": found.time} == run.where
    assert found.item == BATCH[ITEM]
    assert (found.step, found.phase) == (run.step, "forward")
    healthy = [record for record in trace if record.step < run.step]
    assert [record_origin(record) for record in healthy] == [None] * len(healthy)
