"""The ranks of a run as one: steps, items and scalars of all of them."""

from __future__ import annotations

import numpy as np
import pytest

import memviz
from memviz.errors import FieldError, PlaceError
from memviz.trace.schema import Event, FieldSchema, MemorySchema, RecordData, TraceHeader
from memviz.trace.writer import TraceWriter

AXES = {"usage": ("time", "batch", "slot"), "state_gate": ("time", "word")}


@pytest.fixture
def run(tmp_path):
    """Two ranks; the second one lacks step 1 and has another length at step 2."""
    for rank in range(2):
        header = TraceHeader(memviz_version="0", created=0.0, run="run", rank=rank, world_size=2)
        writer = TraceWriter.create(tmp_path / "run", header)
        fields = {name: FieldSchema(name, axes, "float32") for name, axes in AXES.items()}
        writer.declare(MemorySchema("m", fields=fields))
        for step in range(3):
            if (rank, step) == (1, 1):
                continue
            times = 3 if (rank, step) == (1, 2) else 2
            usage = np.full((times, 1 + rank, 4), 10 * rank + step, np.float32)
            gate = np.zeros((times, 5), np.float32)
            arrays = {"m/usage": usage, "m/state_gate": gate}
            writer.append(RecordData(step, arrays, 0.0, step, tuple(range(1 + rank)), {}))
            writer.log(step, {"loss": float(rank)})
        writer.event(Event("note", f"rank {rank}", 5.0 - rank, 0))
        writer.close()
    return memviz.open(tmp_path / "run").merged()


def test_items_of_all_ranks_lie_side_by_side(run):
    record = run.at(0)
    assert record.ranks == (0, 1)
    assert record.batch == ((0, 0), (1, 0), (1, 1))
    assert record["usage"][0, :, 0].tolist() == [0, 10, 10]
    assert record["m/usage"].shape == (2, 3, 4)
    assert set(record.fields) >= {"m/usage", "m/state_gate"}


def test_steps_that_not_all_ranks_have_are_told(run):
    assert run.steps.tolist() == [0, 1, 2]
    assert len(run) == 3
    assert run.incomplete == {1: (0,)}
    assert run[1].ranks == (0,)
    assert [record.step for record in run] == [0, 1, 2]
    assert run[-1].step == 2
    with pytest.raises(IndexError):
        run[3]
    with pytest.raises(PlaceError, match="no rank recorded step 9"):
        run.at(9)


def test_what_cannot_lie_side_by_side_is_said(run):
    with pytest.raises(FieldError, match=r"more than its batch \(rank 0: \(2, 1, 4\), rank 1: \(3, 2, 4\)\)"):
        run.at(2)["usage"]
    with pytest.raises(FieldError, match="has no batch axis"):
        run.at(0)["state_gate"]
    with pytest.raises(FieldError):
        run.at(0)["nothing"]


def test_scalars_and_events_keep_their_rank(run):
    assert {rank: series.values.tolist() for rank, series in run.scalars["loss"].items()} == {0: [0, 0, 0], 1: [1, 1]}
    notes = [(rank, event.message) for rank, event in run.events if event.kind == "note"]
    assert notes == [(1, "rank 1"), (0, "rank 0")], "in the order in which they happened"
    assert "ranks 0, 1, 3 steps" in repr(run)


def test_a_run_of_one_process_is_its_only_rank(tmp_path):
    writer = TraceWriter.create(tmp_path / "one", TraceHeader(memviz_version="0", created=0.0, run="one"))
    writer.close()
    run = memviz.open(tmp_path / "one").merged()
    assert list(run.traces) == [0]
    assert len(run) == 0
