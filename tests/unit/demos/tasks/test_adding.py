"""Adding: the marked numbers and their sum."""

from __future__ import annotations

import pytest
import torch

from memviz.demos.tasks.adding import AddingTask
from memviz.errors import OptionError


def test_one_number_in_either_half_is_marked_and_their_sum_asked_for():
    batch = AddingTask(shortest=9, longest=9).batch(50, torch.Generator().manual_seed(0))
    numbers, marks = batch.input.unbind(2)
    assert marks.sum(dim=1).tolist() == [2] * 50
    assert marks[:, :4].sum(dim=1).tolist() == [1] * 50
    torch.testing.assert_close(batch.target[:, -1, 0], (numbers * marks).sum(dim=1))
    assert marks.any(dim=0).all()


def test_a_sum_is_wrong_when_it_is_more_than_4_percent_off():
    task = AddingTask()
    batch = task.batch(4, torch.Generator().manual_seed(0))
    answer = batch.target.nan_to_num(0) + torch.tensor([0.0, 0.039, -0.039, 0.05])[:, None, None]
    assert task.mistakes(answer, batch) == 0.25
    torch.testing.assert_close(task.loss(answer, batch), torch.tensor((2 * 0.039**2 + 0.05**2) / 4))


def test_two_numbers_are_the_least():
    with pytest.raises(OptionError, match="shortest must be a number >= 2, not 1"):
        AddingTask(shortest=1)
    assert AddingTask(shortest=2, longest=2).probe().input.shape == (1, 4, 2)
