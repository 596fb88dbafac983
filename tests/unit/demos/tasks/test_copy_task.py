"""The copy task: what the sequences say."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from memviz.demos.tasks.copy_task import CopyTask


@settings(max_examples=30)
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


def test_the_probe_is_longer_than_the_training_and_its_items_differ():
    probe = CopyTask().probe()
    assert probe.input.shape == (1, 21, 7)
    assert len({tuple(item) for item in probe.input[0, :10, :6].tolist()}) == 10


def test_few_bits_make_a_probe_with_equal_items():
    assert CopyTask(width=1, longest=5).probe().input.shape == (1, 15, 2)
