"""Copy: see a few random items, then, after a delimiter, say them again in order (Graves et al. 2014, section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from memviz.demos.tasks.task import Batch

PROBE_SEED = 2016
"""Seed of the probe; the same in every run, whatever the seed of the run."""


@dataclass(frozen=True, slots=True)
class CopyTask:
    """Items of `width` random bits, `shortest` to `longest` of them in training.

    The input has one more channel, which marks the delimiter. The probe is longer than anything in training: it shows
    whether the model learned to copy or learned the training lengths.
    """

    width: int = 6
    shortest: int = 1
    longest: int = 8
    probe_items: int = 10

    @property
    def input_size(self) -> int:
        """The bits of an item and the delimiter."""
        return self.width + 1

    @property
    def output_size(self) -> int:
        """The bits of an item."""
        return self.width

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        """`size` sequences of one random length; items are drawn on the CPU, so that runs repeat on any device."""
        length = int(torch.randint(self.shortest, self.longest + 1, (), generator=generator))
        return self.sequences(torch.randint(0, 2, (size, length, self.width), generator=generator).float())

    def probe(self) -> Batch:
        """One fixed sequence of `probe_items` items that are all different."""
        generator = torch.Generator().manual_seed(PROBE_SEED)
        order = torch.randperm(2**self.width, generator=generator)[: self.probe_items]
        return self.sequences((order.unsqueeze(1) >> torch.arange(self.width) & 1).float().unsqueeze(0))

    def sequences(self, items: Tensor) -> Batch:
        """Input and target for given items [batch, item, bit]: the items, the delimiter, and room to answer."""
        size, length, width = items.shape
        inputs = torch.zeros(size, 2 * length + 1, width + 1)
        inputs[:, :length, :width] = items
        inputs[:, length, width] = 1
        target = torch.full((size, 2 * length + 1, width), torch.nan)
        target[:, length + 1 :] = items
        phases = (("input", 0, length), ("delimiter", length, length + 1), ("recall", length + 1, 2 * length + 1))
        return Batch(inputs, target, phases)
