"""The reverse task: what the sequences say."""

from __future__ import annotations

import torch

from memviz.demos.tasks.reverse import ReverseTask


def test_the_target_says_the_items_backward():
    batch = ReverseTask().batch(3, torch.Generator().manual_seed(4))
    length = (batch.input.shape[1] - 1) // 2
    said = batch.target[:, length + 1 :]
    for item in range(length):
        assert torch.equal(said[:, item], batch.input[:, length - 1 - item, :6])
    assert batch.tokens[0] == "a"
    assert batch.tokens[-1] == "a?"
