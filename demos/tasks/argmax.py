"""Argmax: see items with a value each, and say the one with the largest value."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from memviz.demos.tasks.ranged import RangedTask
from memviz.demos.tasks.sequence import SequenceBatch, letters, random_items


@dataclass(frozen=True, slots=True)
class ArgmaxTask(RangedTask):
    """Items of `width` random bits, each with a value drawn uniformly from [0, 1].

    What is asked for are the bits beside the largest value, and not its position, so that the answer takes no more
    room for a longer list. A model can keep the best so far in one slot, or all of them. Two values can be as close
    as they like, so some answers stay wrong and the task counts as solved below 0.1 wrong bits.
    """

    solved: float = 0.1

    @property
    def input_size(self) -> int:
        """The bits of an item, its value and the delimiter."""
        return self.width + 2

    @property
    def output_size(self) -> int:
        """The bits of an item."""
        return self.width

    def draw(self, size: int, length: int, generator: torch.Generator) -> SequenceBatch:
        """`size` lists of `length` items."""
        items = random_items(size, length, self.width, generator)
        values = torch.rand(size, length, generator=generator)
        best = values.argmax(dim=1)
        inputs = torch.zeros(size, length + 2, self.input_size)
        inputs[:, :length, : self.width] = items
        inputs[:, :length, self.width] = values
        inputs[:, length, self.width + 1] = 1
        target = torch.full((size, length + 2, self.width), torch.nan)
        target[:, -1] = items[torch.arange(size), best]
        phases = (("input", 0, length), ("delimiter", length, length + 1), ("answer", length + 1, length + 2))
        names = letters(length)
        return SequenceBatch(inputs, target, phases, [*names, "|", f"{names[int(best[0])]}?"])
