"""Priority sort: the answer against a sort in plain Python."""

from __future__ import annotations

import torch

from memviz.demos.tasks.priority_sort import PrioritySortTask


def test_the_first_items_are_asked_for_in_the_order_of_their_priority():
    batch = PrioritySortTask(shortest=10, longest=10).batch(4, torch.Generator().manual_seed(0))
    for sequence, target in zip(batch.input, batch.target, strict=True):
        rows = sequence[:10].tolist()
        in_order = [row[:6] for row in sorted(rows, key=lambda row: -row[6])]
        assert target[11:].tolist() == in_order[:8]
    assert batch.input[0, :, 7].nonzero().flatten().tolist() == [10]
    assert batch.input[:, :10, 6].abs().max() <= 1


def test_one_item_is_its_own_order():
    batch = PrioritySortTask(shortest=1, longest=1).batch(1, torch.Generator().manual_seed(0))
    assert batch.tokens == ["a", "|", "a?"]
