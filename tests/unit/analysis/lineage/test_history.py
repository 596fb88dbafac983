"""The events of a slot, and what became of a write, in a memory small enough to follow by hand."""

from __future__ import annotations

import numpy as np
import pytest

from memviz.analysis.array_record import ArrayRecord
from memviz.analysis.lineage.history import destruction, slot_history
from memviz.errors import PlaceError

T, N, W = 4, 2, 2


def record(**attributes):
    """Slot 0 is written at time 0, read at time 1, freed at time 2, overwritten by a quarter at time 3."""
    weights, reads, gates = np.zeros((T, 1, 1, N)), np.zeros((T, 1, 1, N)), np.zeros((T, 1, 1))
    weights[0, 0, 0, 0], weights[3, 0, 0, 0] = 1.0, 0.25
    reads[1, 0, 0, 0] = 0.8
    gates[2] = 0.5
    vectors = np.zeros((T, 1, 1, W))
    vectors[0, 0, 0], vectors[3, 0, 0] = [3.0, 4.0], [4.0, 0.0]
    fields = {
        "write_weights": weights,
        "read_weights": reads,
        "write_vectors": vectors,
        "erase_vectors": np.ones((T, 1, 1, W)),
        "free_gates": gates,
    }
    return ArrayRecord(fields, attributes=attributes)


def test_the_events_of_a_slot_come_in_order_with_their_values():
    events = slot_history(record(), 0)
    assert [(e.time, e.kind, e.weight) for e in events] == [
        (0, "erased", 1.0),
        (0, "written", 1.0),
        (1, "read", 0.8),
        (2, "freed", 0.4),
        (3, "erased", 0.25),
        (3, "written", 0.25),
    ]
    np.testing.assert_allclose(events[1].after, [3, 4])
    np.testing.assert_allclose(events[4].after, [2.25, 3])
    np.testing.assert_allclose(events[5].after, [3.25, 3])
    assert events[1].text() == "t=0 written by write head 0 with weight 1: 0 -> 5 (norm)"
    assert events[2].text() == "t=1 read by read head 0 with weight 0.8: 5 (norm)"


def test_a_cell_has_the_events_of_its_slot_in_numbers():
    events = slot_history(record(), 0, 1)
    assert [(float(e.before), float(e.after)) for e in events] == [(0, 0), (0, 4), (4, 4), (4, 4), (4, 3), (3, 3)]
    assert events[4].change == 1


def test_small_events_are_left_out_and_a_quiet_slot_has_none():
    assert [e.time for e in slot_history(record(), 0, least=0.5)] == [0, 0, 1]
    assert slot_history(record(), 1, least=0) == []


def test_freeing_clears_where_the_memory_deallocates():
    freed = next(e for e in slot_history(record(deallocation=True), 0) if e.kind == "freed")
    np.testing.assert_allclose(freed.after, [0.6 * 3, 0.6 * 4])
    found = destruction(record(deallocation=True), 0)
    assert found.causes == ("freed", "write head 0")
    np.testing.assert_allclose(found.lost, [[0, 0], [0, 0], [0.4, 0], [0, 0.15]])
    assert found.survives[-1] == pytest.approx(0.45)
    assert found.text() == "45 % of the write at t=0 is left; fell: 40 % to t=2, 15 % to t=3"


def test_a_memory_that_reads_first_has_its_reads_before_its_writes():
    kinds = [e.kind for e in slot_history(record(read_order="before_write"), 0)]
    assert kinds == ["erased", "written", "read", "freed", "erased", "written"]


def test_the_history_ends_at_the_recorded_memory():
    rng = np.random.default_rng(1)
    for attributes in ({"write_order": "series"}, {}):
        fields = {
            "write_weights": rng.dirichlet(np.ones(3), size=(5, 1, 2)),
            "read_weights": rng.dirichlet(np.ones(3), size=(5, 1, 2)),
            "write_vectors": rng.normal(size=(5, 1, 2, W)),
            "erase_vectors": rng.random((5, 1, 2, W)),
        }
        held = ArrayRecord(fields, law="ntm", attributes=attributes)
        memory = held.read("memory/memory")
        for slot in range(3):
            last = [e for e in slot_history(held, slot, least=0) if e.kind == "written"][-1]
            np.testing.assert_allclose(last.after, memory[-1, 0, slot], atol=1e-6)


def test_a_write_of_nothing_cannot_be_destroyed():
    assert destruction(record(), 1).text() == "the write at t=1 put nothing anywhere"


def test_places_that_are_not_there_are_errors():
    with pytest.raises(PlaceError, match="there is no slot 2"):
        slot_history(record(), 2)
    with pytest.raises(PlaceError, match="there is no time 4"):
        destruction(record(), 4)
