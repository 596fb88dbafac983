"""Associative recall: the answer follows the item that is asked about, and no two items are equal."""

from __future__ import annotations

import pytest
import torch

from memviz.demos.tasks.associative_recall import AssociativeRecallTask
from memviz.errors import OptionError


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("seed", range(4))
def test_the_answer_is_the_item_after_the_one_asked_about(rows, seed):
    task = AssociativeRecallTask(rows=rows)
    batch = task.batch(5, torch.Generator().manual_seed(seed))
    for sequence, target in zip(batch.input, batch.target, strict=True):
        starts = sequence[:, 6].nonzero().flatten().tolist()
        items = [sequence[start + 1 : start + 1 + rows, :6].tolist() for start in starts]
        assert 2 <= len(items) <= 6
        assert len({str(item) for item in items}) == len(items)
        opened, closed = sequence[:, 7].nonzero().flatten().tolist()
        asked = sequence[opened + 1 : closed, :6].tolist()
        assert target[closed + 1 :].tolist() == items[items.index(asked) + 1]
        assert target[: closed + 1].isnan().all()
        assert not sequence[closed + 1 :].any()


def test_every_item_but_the_last_is_asked_about():
    batch = AssociativeRecallTask().draw(200, 4, torch.Generator().manual_seed(0))
    items = batch.input[:, 1:8:2, :6]
    asked = (items == batch.input[:, 9:10, :6]).all(dim=2)
    assert asked.sum(dim=1).tolist() == [1] * 200
    assert sorted(set(asked.int().argmax(dim=1).tolist())) == [0, 1, 2]


def test_a_list_needs_two_items_and_enough_different_ones():
    with pytest.raises(OptionError, match="shortest must be a number >= 2, not 1"):
        AssociativeRecallTask(shortest=1)
    with pytest.raises(OptionError, match="longest must be at most two less than the number of different items"):
        AssociativeRecallTask(width=2)
    assert max(AssociativeRecallTask(width=3).lengths) <= 8
