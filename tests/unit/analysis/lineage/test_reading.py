"""What a lineage says of reads whose origin is known, its splits, and what it answers when it cannot be made."""

from __future__ import annotations

import numpy as np
import pytest

import memviz
from memviz.analysis.array_record import ArrayRecord
from memviz.analysis.lineage import explain_slot
from memviz.analysis.lineage.table import lineage_table
from memviz.demos.reference import dnc as reference
from memviz.errors import FieldError, PlaceError
from memviz.testing.synthetic import write_dnc_run

T, N, W = 6, 4, 3


def one_hot_copy():
    """Word t is written to slot t at times 0..2, slot 0 is overwritten by half at time 3, reads follow."""
    weights, reads = np.zeros((T, 1, 1, N)), np.zeros((T, 1, 1, N))
    for time in range(3):
        weights[time, 0, 0, time] = 1.0
    weights[3, 0, 0, 0] = 0.5
    reads[3, 0, 0, 1] = 1.0
    reads[4, 0, 0, 0] = 1.0
    reads[5, 0, 0, [1, 2]] = 0.5
    vectors = np.zeros((T, 1, 1, W))
    vectors[0, 0, 0], vectors[1, 0, 0], vectors[2, 0, 0], vectors[3, 0, 0] = [1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]
    return ArrayRecord(
        {
            "write_weights": weights,
            "read_weights": reads,
            "write_vectors": vectors,
            "erase_vectors": np.ones((T, 1, 1, W)),
        },
        law="ntm",
    )


def test_a_read_of_one_write_comes_from_that_write():
    found = memviz.lineage(one_hot_copy(), 3, 0)
    np.testing.assert_array_equal(found.shares, [0, 0, 1, 0, 0])
    assert (found.age, found.sources, found.cancellation) == (2.0, 1.0, 1.0)
    assert found.by_slot[2, 1] == 1
    assert found.text() == "100 % from the write at t=1; addressing frozen"


def test_a_half_overwritten_slot_has_two_sources():
    found = memviz.lineage(one_hot_copy(), 4, 0)
    np.testing.assert_array_equal(found.contributions[1], [0.5, 0, 0])
    np.testing.assert_array_equal(found.contributions[4], [0, 0, 0.5])
    np.testing.assert_allclose(found.shares, [0, 0.5, 0, 0, 0.5, 0])
    assert found.sources == pytest.approx(2)
    assert found.text() == "50 % from the write at t=0, 50 % from t=3; addressing frozen"


def test_what_cancels_is_said():
    fields = {
        "write_weights": np.ones((2, 1, 1, 1)),
        "read_weights": np.ones((2, 1, 1, 1)),
        "write_vectors": np.array([5.0, -4.0])[:, None, None, None],
        "erase_vectors": np.zeros((2, 1, 1, 1)),
    }
    found = memviz.lineage(ArrayRecord(fields, law="ntm"), -1, 0)
    np.testing.assert_allclose(found.shares, [0, 5, -4])
    assert found.cancellation == pytest.approx(9)
    assert "500 % from the write at t=0, -400 % from t=1, 9.0 times as much" in found.text()


def test_the_content_of_a_slot_has_a_lineage_too():
    found = explain_slot(one_hot_copy(), 5, 0)
    assert found.head == -1
    np.testing.assert_allclose(found.total, [0.5, 0, 0.5])
    assert found.recorded is None
    assert found.error is None


def test_writes_that_nobody_reads_are_named():
    assert lineage_table(one_hot_copy()).never_read().tolist() == [4, 5]


def test_a_recorded_read_that_the_law_does_not_give_is_noticed():
    record = one_hot_copy()
    reads = np.zeros((T, 1, 1, W))
    reads[3, 0, 0] = [0, 1, 0.25]
    fields = {name.removeprefix("memory/"): record.read(name) for name in record.stored} | {"read_vectors": reads}
    found = memviz.lineage(ArrayRecord(fields, law="ntm"), 3, 0)
    assert found.error == 0.25
    np.testing.assert_array_equal(found.read, [0, 1, 0.25])
    np.testing.assert_array_equal(found.total, [0, 1, 0])


def random_weights(rng, slots, words, read_heads, write_heads, hidden=6, inputs=3):
    width = read_heads * (words + 2 + 1 + 2 * write_heads) + write_heads * (3 * words + 3)
    shapes = {
        "controller.0.cells.0.weight_ih": (4 * hidden, inputs + read_heads * words),
        "controller.0.cells.0.weight_hh": (4 * hidden, hidden),
        "controller.0.cells.0.bias_ih": (4 * hidden,),
        "controller.0.cells.0.bias_hh": (4 * hidden,),
        "memory.interface.weight": (width, hidden),
        "memory.interface.bias": (width,),
        "output.weight": (2, hidden + read_heads * words),
        "output.bias": (2,),
    }
    return {name: 2 * rng.normal(size=shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("write_heads", [1, 2])
def test_the_reference_is_split_exactly_by_part_mode_and_slot(write_heads):
    rng = np.random.default_rng(0)
    slots, words, read_heads, times = 7, 4, 2, 9
    weights = random_weights(rng, slots, words, read_heads, write_heads)
    start = rng.normal(size=(2, slots, words))
    sizes = {"slots": slots, "words": words, "read_heads": read_heads, "write_heads": write_heads}
    fields = reference.run(rng.normal(size=(2, times, 3)), weights, memory=start, **sizes)
    fields.pop("output")
    record = ArrayRecord(fields | {"initial/memory": start}, attributes={"write_heads": write_heads})
    for time in range(times):
        for head in range(read_heads):
            found = memviz.lineage(record, time, head, batch=1)
            assert found.error < 1e-12
            split = found.split
            assert split.modes == (("backward", "content", "forward") if write_heads == 1 else ("content", "links"))
            np.testing.assert_allclose(split.contributions.sum((1, 2)), found.contributions, rtol=0, atol=1e-12)
            assert split.shares.sum() == pytest.approx(1, abs=1e-9)
            table = split.by_slot()
            np.testing.assert_allclose(table.sum((1, 2)), found.by_slot, rtol=0, atol=1e-9)
            np.testing.assert_allclose(table.sum(3), split.shares, rtol=0, atol=1e-9)
            # The initial memory was written by nobody; a write is never part of it.
            assert not table[0, 1:].any()
            assert not table[1:, 0].any()


def test_a_trace_is_explained_from_its_default_fields(tmp_path):
    write_dnc_run(tmp_path / "run")
    record = memviz.open(tmp_path / "run")[-1]
    table = lineage_table(record)
    for time in range(record.lengths["memory"]):
        found = memviz.lineage(record, time, 0)
        assert found.error < 1e-5
        np.testing.assert_allclose(found.split.contributions.sum((1, 2)), found.contributions, rtol=0, atol=1e-5)
        np.testing.assert_allclose(table.shares[time, 0, : time + 2], found.shares, atol=1e-6)
    # The run copies: at the k-th time of the recall the k-th item is read.
    recall = next(phase for phase in record.labels["phases"] if phase[0] == "recall")
    read = memviz.lineage(record, recall[1] + 2, 0)
    assert read.shares.argmax() == 1 + 2
    assert "from the write at t=2" in read.text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"time": 6, "head": 0}, "there is no time 6: the record has times 0 to 5."),
        ({"time": 0, "head": 1}, "there is no read head 1: the record has read heads 0 to 0."),
        ({"time": 0, "head": 0, "batch": 2}, "there is no batch item 2"),
    ],
)
def test_a_place_that_is_not_there_is_an_error(arguments, says):
    with pytest.raises(PlaceError, match=says):
        memviz.lineage(one_hot_copy(), **arguments)


def test_a_memory_without_a_law_or_without_its_generators_is_refused_with_the_reason():
    fields = {name.removeprefix("memory/"): one_hot_copy().read(name) for name in one_hot_copy().stored}
    with pytest.raises(FieldError, match="its adapter names none"):
        memviz.lineage(ArrayRecord(fields, law=""), 0, 0)
    fields.pop("erase_vectors")
    with pytest.raises(FieldError, match="needs erase_vectors, which was not recorded"):
        memviz.lineage(ArrayRecord(fields, law="ntm"), 0, 0)
    with pytest.raises(FieldError, match="no memory 'other'; it has 'memory'"):
        memviz.lineage(one_hot_copy(), 0, 0, memory="other")
    with pytest.raises(FieldError, match="needs read_modes, read_content_weights"):
        _ = memviz.lineage(one_hot_copy(), 4, 0).split


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_said_and_spreads_no_further_than_it_did(value):
    record = one_hot_copy()
    fields = {name.removeprefix("memory/"): record.read(name).copy() for name in record.stored}
    fields["write_vectors"][0, 0, 0, 1] = value
    spoiled = ArrayRecord(fields, law="ntm")
    found = memviz.lineage(spoiled, 4, 0)
    assert "the read is not finite" in found.text()
    assert not np.isfinite(found.total).all()
    assert np.isnan(found.shares).any()
    assert found.by_slot.shape == (6, N)
    assert found.sources != 1
    assert not np.isfinite(found.cancellation)
    # Slot 1 never saw it, but 0 times infinity is not a number, so a read that touches every slot has it too.
    table = lineage_table(spoiled)
    assert table.shares.shape == (T, 1, T + 1)
    assert table.age.shape == table.sources.shape == table.cancellation.shape == (T, 1)
    assert table.never_read().size
    explained = explain_slot(spoiled, 5, 1)
    assert explained.text()


def test_large_and_small_numbers_neither_overflow_nor_vanish():
    for scale in (1e-120, 1e120):
        record = one_hot_copy()
        fields = {name.removeprefix("memory/"): record.read(name).copy() for name in record.stored}
        fields["write_vectors"] *= scale
        big = ArrayRecord(fields, law="ntm")
        np.testing.assert_allclose(memviz.lineage(big, 4, 0).shares, [0, 0.5, 0, 0, 0.5, 0])
        np.testing.assert_allclose(lineage_table(big).shares[4, 0], [0, 0.5, 0, 0, 0.5, 0, 0])
        assert memviz.lineage(big, 4, 0).by_slot.sum() == pytest.approx(1)
