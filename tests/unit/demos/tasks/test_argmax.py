"""Argmax: the answer against a loop."""

from __future__ import annotations

import torch

from memviz.demos.tasks.argmax import ArgmaxTask


def test_the_item_with_the_largest_value_is_asked_for():
    batch = ArgmaxTask(shortest=5, longest=5).batch(20, torch.Generator().manual_seed(0))
    places = set()
    for sequence, target in zip(batch.input.tolist(), batch.target, strict=True):
        best = max(sequence[:5], key=lambda row: row[6])
        places.add(sequence.index(best))
        assert target[-1].tolist() == best[:6]
    assert batch.asked.tolist() == [False] * 6 + [True]
    assert len(places) > 2
