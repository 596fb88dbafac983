"""Repeat copy: say a few items several times over, then say that it is over (Graves et al. 2014, section 4.2)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from memviz.demos.models.options import at_least_one, at_most, not_negative
from memviz.demos.tasks.ranged import RangedTask
from memviz.demos.tasks.sequence import PROBE_SEED, SequenceBatch, letters, random_items


@dataclass(frozen=True, slots=True)
class RepeatCopyTask(RangedTask):
    """`shortest` to `longest` items, to be said `fewest` to `most` times.

    One channel of the input says, after the items, how often: the number less its mean, by its standard deviation
    over the training, as in the paper. One channel of the answer marks the end.

    Attributes:
        fewest: least number of repeats in training.
        most: largest number of repeats in training.
        repeats: this number of repeats always, within the range of the training or beyond; 0 to draw one.
    """

    size_name: ClassVar[str] = "repeats"

    longest: int = 5
    fewest: int = 1
    most: int = 5
    repeats: int = 0

    def __post_init__(self) -> None:
        """Refuse sizes that no task can have."""
        # Not super(): a dataclass with slots is made anew after its methods have been bound to the old class.
        RangedTask.__post_init__(self)
        at_least_one(most=self.most)
        at_most(self.most, "most", fewest=self.fewest)
        not_negative(repeats=self.repeats)

    @property
    def input_size(self) -> int:
        """The bits of an item and the number of repeats."""
        return self.width + 1

    @property
    def output_size(self) -> int:
        """The bits of an item and the mark of the end."""
        return self.width + 1

    @property
    def lengths(self) -> tuple[int, ...]:
        """Numbers of repeats, up to twice the largest of the training."""
        return tuple(sorted({max(1, round(self.most * part)) for part in (0.4, 0.6, 0.8, 1, 1.2, 1.4, 1.6, 2)}))

    def of_length(self, length: int) -> RepeatCopyTask:
        """Always `length` repeats, of as many items as in training."""
        return replace(self, repeats=length)

    def batch(self, size: int, generator: torch.Generator, level: float = 1.0) -> SequenceBatch:
        """`size` sequences of one random number of items and of repeats."""
        items = self.shortest + round((self.longest - self.shortest) * level)
        most = self.fewest + round((self.most - self.fewest) * level)
        length = int(torch.randint(self.shortest, items + 1, (), generator=generator))
        repeats = self.repeats or int(torch.randint(self.fewest, most + 1, (), generator=generator))
        return self.repeated(size, length, repeats, generator)

    def probe(self) -> SequenceBatch:
        """One fixed sequence with as many items and repeats as the training has at most."""
        return self.repeated(1, self.longest, self.most, torch.Generator().manual_seed(PROBE_SEED))

    def repeated(self, size: int, length: int, repeats: int, generator: torch.Generator) -> SequenceBatch:
        """`size` sequences of `length` random items to be said `repeats` times."""
        items, times = random_items(size, length, self.width, generator), length * (repeats + 1) + 2
        start = length + 1
        inputs = torch.zeros(size, times, self.input_size)
        inputs[:, :length, : self.width] = items
        # Numbers from `fewest` to `most`, all as likely, have this mean and this deviation.
        deviation = (((self.most - self.fewest + 1) ** 2 - 1) / 12) ** 0.5
        inputs[:, length, self.width] = (repeats - (self.fewest + self.most) / 2) / (deviation or 1)
        target = torch.full((size, times, self.output_size), torch.nan)
        target[:, start:] = 0
        target[:, start:-1, : self.width] = items.repeat(1, repeats, 1)
        target[:, -1, self.width] = 1
        phases = (
            ("input", 0, length),
            ("number", length, start),
            *((f"recall {turn + 1}", start + turn * length, start + (turn + 1) * length) for turn in range(repeats)),
            ("end", times - 1, times),
        )
        names = letters(length)
        return SequenceBatch(
            inputs, target, phases, [*names, f"x{repeats}", *(f"{n}?" for n in names * repeats), "end"]
        )
