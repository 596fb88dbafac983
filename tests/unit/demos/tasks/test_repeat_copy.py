"""Repeat copy: the items so often as was said, then the end."""

from __future__ import annotations

import pytest
import torch

from memviz.demos.tasks.repeat_copy import RepeatCopyTask
from memviz.errors import OptionError


def test_the_items_are_asked_for_again_and_again_and_then_the_end():
    task = RepeatCopyTask(width=3)
    batch = task.repeated(2, 4, 3, torch.Generator().manual_seed(0))
    items = batch.input[:, :4, :3]
    assert batch.asked.tolist() == [False] * 5 + [True] * 13
    for turn in range(3):
        assert torch.equal(batch.target[:, 5 + 4 * turn : 9 + 4 * turn, :3], items)
    assert batch.target[0, 5:, 3].tolist() == [0] * 12 + [1]
    assert not batch.target[:, -1, :3].any()
    assert not batch.input[:, 5:].any()
    assert not batch.input[:, 4, :3].any()


def test_the_number_is_normalized_over_the_training_range_and_beyond_it_on_the_same_scale():
    task = RepeatCopyTask(width=3, fewest=2, most=8)

    def number(repeats):
        batch = task.of_length(repeats).batch(1, torch.Generator().manual_seed(0))
        return float(batch.input[0, :, 3].sum())

    numbers = torch.tensor([number(repeats) for repeats in range(2, 9)])
    assert float(numbers.mean()) == pytest.approx(0, abs=1e-6)
    assert float(numbers.std(correction=0)) == pytest.approx(1, abs=1e-6)
    assert number(16) - number(15) == pytest.approx(number(3) - number(2), abs=1e-5)


def test_one_number_of_repeats_needs_no_scale():
    assert RepeatCopyTask(fewest=3, most=3).probe().input.isfinite().all()


@pytest.mark.parametrize("options", [{"most": 0}, {"fewest": 6}, {"repeats": -1}])
def test_repeats_that_cannot_be_are_refused(options):
    with pytest.raises(OptionError, match=f"{next(iter(options))} must be"):
        RepeatCopyTask(**options)
