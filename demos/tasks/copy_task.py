"""Copy: see a few random items, then, after a delimiter, say them again in order (Graves et al. 2014, section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from memviz.demos.tasks.ranged import RangedTask
from memviz.demos.tasks.sequence import PROBE_SEED, SequenceBatch, bits_of, letters, random_items


@dataclass(frozen=True, slots=True)
class CopyTask(RangedTask):
    """Items of `width` random bits. The input has one more channel, which marks the delimiter."""

    @property
    def input_size(self) -> int:
        """The bits of an item and the delimiter."""
        return self.width + 1

    @property
    def output_size(self) -> int:
        """The bits of an item."""
        return self.width

    def draw(self, size: int, length: int, generator: torch.Generator) -> SequenceBatch:
        """`size` sequences of `length` random items."""
        return self.sequences(random_items(size, length, self.width, generator))

    def probe(self) -> SequenceBatch:
        """One fixed sequence of two items more than the longest of the training, all different where they can be."""
        generator = torch.Generator().manual_seed(PROBE_SEED)
        # Enough for any probe, and no more work than that for items of many bits.
        kinds = 2 ** min(self.width, 16)
        order = torch.randperm(kinds, generator=generator).repeat(1 + (self.longest + 2) // kinds)
        return self.sequences(bits_of(order[: self.longest + 2], self.width).unsqueeze(0))

    def sequences(self, items: Tensor) -> SequenceBatch:
        """Input and target for given items [batch, item, bit]: the items, the delimiter, and room to answer."""
        size, length, width = items.shape
        inputs = torch.zeros(size, 2 * length + 1, width + 1)
        inputs[:, :length, :width] = items
        inputs[:, length, width] = 1
        target = torch.full((size, 2 * length + 1, width), torch.nan)
        target[:, length + 1 :] = self.recalled(items)
        phases = (("input", 0, length), ("delimiter", length, length + 1), ("recall", length + 1, 2 * length + 1))
        names = letters(length)
        return SequenceBatch(
            inputs, target, phases, [*names, "|", *(f"{name}?" for name in self.recalled_names(names))]
        )

    def recalled(self, items: Tensor) -> Tensor:
        """What should be said after seeing `items`, [batch, item, bit]."""
        return items

    def recalled_names(self, names: list[str]) -> list[str]:
        """The order in which the items should be said."""
        return names
