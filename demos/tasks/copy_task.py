"""Copy: see a few random items, then, after a delimiter, say them again in order (Graves et al. 2014, section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from memviz.demos.models.options import at_least_one, at_most, number
from memviz.demos.tasks.sequence import (
    PROBE_SEED,
    SequenceBatch,
    SequenceTask,
    bits_of,
    draw_length,
    letters,
    random_items,
)


@dataclass(frozen=True, slots=True)
class CopyTask(SequenceTask):
    """Items of `width` random bits, `shortest` to `longest` of them in training.

    The input has one more channel, which marks the delimiter. The probe is longer than anything in training: it shows
    whether the model learned to copy or learned the training lengths.
    """

    width: int = 6
    shortest: int = 1
    longest: int = 8
    solved: float = 0.01

    def __post_init__(self) -> None:
        at_least_one(width=self.width, longest=self.longest)
        at_most(self.longest, "longest", shortest=self.shortest)
        number(0, solved=self.solved)

    @property
    def input_size(self) -> int:
        """The bits of an item and the delimiter."""
        return self.width + 1

    @property
    def output_size(self) -> int:
        """The bits of an item."""
        return self.width

    @property
    def lengths(self) -> tuple[int, ...]:
        """Up to three times the longest of the training."""
        return tuple(round(self.longest * part) for part in (0.5, 1, 1.25, 1.5, 2, 2.5, 3))

    def batch(self, size: int, generator: torch.Generator, level: float = 1.0) -> SequenceBatch:
        """`size` sequences of one random length."""
        length = draw_length(self.shortest, self.longest, level, generator)
        return self.sequences(random_items(size, length, self.width, generator))

    def probe(self) -> SequenceBatch:
        """One fixed sequence of two items more than the longest of the training, all different where they can be."""
        generator = torch.Generator().manual_seed(PROBE_SEED)
        order = torch.randperm(2**self.width, generator=generator).repeat(1 + self.longest // 2**self.width + 1)
        return self.sequences(bits_of(order[: self.longest + 2], self.width).unsqueeze(0))

    def of_length(self, length: int) -> CopyTask:
        """Copies of `length` items."""
        return replace(self, shortest=length, longest=length)

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
