"""What tasks with a range of lengths share: drawing one, growing the range, and going beyond it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch

from memviz.demos.models.options import at_least_one, at_most, number
from memviz.demos.tasks.sequence import PROBE_SEED, SequenceBatch, SequenceTask


@dataclass(frozen=True, slots=True)
class RangedTask(SequenceTask):
    """A task on sequences of `shortest` to `longest` items in training, all lengths as likely.

    The probe is longer than anything in training: it shows whether the task was learned, or the training lengths.

    Attributes:
        width: bits per item.
        shortest: fewest items in training.
        longest: most items in training.
        solved: mean mistakes per sequence below which the task counts as solved.
    """

    width: int = 6
    shortest: int = 1
    longest: int = 8
    solved: float = 0.01

    def __post_init__(self) -> None:
        """Refuse sizes that no task can have."""
        at_least_one(width=self.width, longest=self.longest)
        at_most(62, "the bits of a whole number", width=self.width)
        at_most(self.longest, "longest", shortest=self.shortest)
        number(0, solved=self.solved)

    @property
    def lengths(self) -> tuple[int, ...]:
        """Up to three times the longest of the training."""
        parts = (0.5, 1, 1.25, 1.5, 2, 2.5, 3)
        return tuple(sorted({max(self.shortest, round(self.longest * part)) for part in parts}))

    def batch(self, size: int, generator: torch.Generator, level: float = 1.0) -> SequenceBatch:
        """`size` sequences of one random length, from `shortest` up to the part `level` of the way to `longest`."""
        reached = self.shortest + round((self.longest - self.shortest) * level)
        return self.draw(size, int(torch.randint(self.shortest, reached + 1, (), generator=generator)), generator)

    def probe(self) -> SequenceBatch:
        """One fixed sequence of two items more than the longest of the training."""
        return self.draw(1, self.longest + 2, torch.Generator().manual_seed(PROBE_SEED))

    def of_length(self, length: int) -> Self:
        """The same task at `length` items only."""
        return replace(self, shortest=length, longest=length)

    def draw(self, size: int, length: int, generator: torch.Generator) -> SequenceBatch:
        """`size` random sequences of `length` items."""
        raise NotImplementedError
