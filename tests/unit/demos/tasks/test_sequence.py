"""Batches of sequences, and how answers to them are scored."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from memviz.demos.tasks.copy_task import CopyTask
from memviz.demos.tasks.sequence import bits_of, distinct_items, letters, wrong_bits

ITEMS = torch.tensor([[[0.0, 1.0], [1.0, 1.0]]])


def test_wrong_bits_counts_only_where_an_answer_is_asked():
    batch = CopyTask(width=2).sequences(ITEMS)
    right = batch.target.nan_to_num(0.0)
    assert wrong_bits(right, batch) == 0
    assert wrong_bits(1 - right, batch) == 4
    asked_wrong = right.clone()
    asked_wrong[0, -1, 0] = 1 - asked_wrong[0, -1, 0]
    asked_wrong[0, 0] = 0.9  # nobody asked here
    assert wrong_bits(asked_wrong, batch) == 1


def test_wrong_bits_is_a_mean_over_sequences():
    batch = CopyTask(width=3).sequences(torch.ones(4, 2, 3))
    answer = torch.ones(4, 5, 3)
    answer[0] = 0
    assert wrong_bits(answer, batch) == pytest.approx(6 / 4)


def test_a_batch_moves_between_devices():
    moved = CopyTask().probe().to("meta")
    assert moved.input.device.type == moved.target.device.type == "meta"
    assert moved.phases == CopyTask().probe().phases
    assert moved.tokens == CopyTask().probe().tokens


def test_labels_are_what_a_recorder_takes():
    labels = CopyTask(width=2).sequences(ITEMS).labels()
    assert labels["phases"] == [["input", 0, 2], ["delimiter", 2, 3], ["recall", 3, 5]]
    assert labels["tokens"] == ["a", "b", "|", "a?", "b?"]
    assert labels["target"].shape == (1, 5, 2)


@settings(max_examples=30)
@given(st.integers(0, 2**31), st.integers(1, 4), st.integers(1, 5), st.data())
def test_distinct_items_differ_even_when_there_are_no_others(seed, size, width, data):
    items = data.draw(st.integers(1, 2**width))
    drawn = distinct_items(size, items, width, torch.Generator().manual_seed(seed))
    assert drawn.shape == (size, items, width)
    for sequence in drawn.tolist():
        assert len({tuple(item) for item in sequence}) == items


def test_distinct_items_are_drawn_evenly():
    drawn = distinct_items(6000, 2, 2, torch.Generator().manual_seed(0)).long()
    pairs = (drawn[..., 0] + 2 * drawn[..., 1]) @ torch.tensor([1, 4])
    counts = torch.bincount(pairs, minlength=16)
    assert (counts > 0).sum() == 12  # ordered pairs of 4 different items
    assert counts[counts > 0].min() > 400  # 500 expected, deviation 22
    assert counts.max() < 600


def test_bits_and_letters():
    assert bits_of(torch.tensor([5]), 4).tolist() == [[1, 0, 1, 0]]
    assert letters(28)[-3:] == ["z", "a1", "b1"]
