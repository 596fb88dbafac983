"""Priority sort: see items with a priority each, and say the first in order (Graves et al. 2014, section 4.5)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from memviz.demos.tasks.ranged import RangedTask
from memviz.demos.tasks.sequence import SequenceBatch, letters, random_items


@dataclass(frozen=True, slots=True)
class PrioritySortTask(RangedTask):
    """Items of `width` random bits, each with a priority drawn uniformly from [-1, 1].

    What is asked for are the four fifths of them with the highest priority, highest first; the paper has 16 of 20.
    """

    @property
    def input_size(self) -> int:
        """The bits of an item, its priority and the delimiter."""
        return self.width + 2

    @property
    def output_size(self) -> int:
        """The bits of an item."""
        return self.width

    def draw(self, size: int, length: int, generator: torch.Generator) -> SequenceBatch:
        """`size` lists of `length` items."""
        items = random_items(size, length, self.width, generator)
        priorities = torch.rand(size, length, generator=generator) * 2 - 1
        said = max(1, length * 4 // 5)
        order = priorities.argsort(dim=1, descending=True)[:, :said]
        start, times = length + 1, length + 1 + said
        inputs = torch.zeros(size, times, self.input_size)
        inputs[:, :length, : self.width] = items
        inputs[:, :length, self.width] = priorities
        inputs[:, length, self.width + 1] = 1
        target = torch.full((size, times, self.width), torch.nan)
        target[:, start:] = items.gather(1, order.unsqueeze(2).expand(-1, -1, self.width))
        phases = (("input", 0, length), ("delimiter", length, start), ("sorted", start, times))
        # Named in the order of their priority, so that the answer reads a, b, c.
        ranks = priorities[0].argsort(descending=True).argsort().tolist()
        names = letters(length)
        return SequenceBatch(
            inputs, target, phases, [*(names[rank] for rank in ranks), "|", *(f"{name}?" for name in names[:said])]
        )
