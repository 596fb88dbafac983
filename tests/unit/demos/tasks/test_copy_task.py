"""The copy task: what the sequences say, and how answers are scored."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from memviz.demos.tasks.copy_task import CopyTask
from memviz.demos.tasks.sequence import wrong_bits


@given(st.integers(0, 2**31), st.integers(1, 5))
def test_the_target_repeats_the_items_after_the_delimiter(seed, size):
    batch = CopyTask().batch(size, torch.Generator().manual_seed(seed))
    length = (batch.input.shape[1] - 1) // 2
    assert 1 <= length <= 8
    assert batch.input.shape == (size, 2 * length + 1, 7)
    assert torch.equal(batch.target[:, length + 1 :], batch.input[:, :length, :6])
    assert batch.target[:, : length + 1].isnan().all()
    assert batch.input[0, :, 6].nonzero().flatten().tolist() == [length]
    assert not batch.input[:, length + 1 :].any()
    assert batch.asked.tolist() == [False] * (length + 1) + [True] * length


def test_the_phases_cover_the_sequence_in_order():
    batch = CopyTask().probe()
    assert [name for name, _, _ in batch.phases] == ["input", "delimiter", "recall"]
    assert [start for _, start, _ in batch.phases] == [0, 10, 11]
    assert [stop for _, _, stop in batch.phases] == [10, 11, batch.input.shape[1]]


def test_lengths_are_drawn_from_the_whole_range():
    generator = torch.Generator().manual_seed(0)
    assert {CopyTask().batch(1, generator).asked.sum().item() for _ in range(200)} == set(range(1, 9))


def test_the_probe_is_always_the_same_and_its_items_differ():
    first, second = CopyTask().probe(), CopyTask().probe()
    assert torch.equal(first.input, second.input)
    assert len({tuple(item) for item in first.input[0, :10, :6].tolist()}) == 10


def test_wrong_bits_counts_only_where_an_answer_is_asked():
    batch = CopyTask(width=2, longest=2).sequences(torch.tensor([[[0.0, 1.0], [1.0, 1.0]]]))
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
