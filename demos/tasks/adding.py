"""Adding: of a list of numbers add the two that are marked (Hochreiter & Schmidhuber 1997, experiment 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from memviz.demos.models.options import at_most, number
from memviz.demos.tasks.ranged import RangedTask
from memviz.demos.tasks.sequence import SequenceBatch

TOLERANCE = 0.04
"""How far off a sum may be, as in the paper."""


@dataclass(frozen=True, slots=True)
class AddingTask(RangedTask):
    """`shortest` to `longest` numbers from [0, 1], one marked in either half; their sum is asked for at the last.

    A sum counts as wrong when it is more than 0.04 off. `width` is 1: a time shows one number.
    """

    measure: ClassVar[str] = "wrong sums"
    size_name: ClassVar[str] = "numbers"
    activation: ClassVar[str] = "none"

    width: int = 1
    shortest: int = 4
    longest: int = 20

    def __post_init__(self) -> None:
        """Refuse sizes that no task can have."""
        RangedTask.__post_init__(self)
        at_most(1, "the one number that a time shows", width=self.width)
        number(2, shortest=self.shortest)  # there are two numbers to add

    @property
    def input_size(self) -> int:
        """A number and its mark."""
        return 2

    @property
    def output_size(self) -> int:
        """The sum."""
        return 1

    def draw(self, size: int, length: int, generator: torch.Generator) -> SequenceBatch:
        """`size` lists of `length` numbers."""
        numbers, half = torch.rand(size, length, generator=generator), length // 2
        first = torch.randint(0, half, (size, 1), generator=generator)
        second = torch.randint(half, length, (size, 1), generator=generator)
        marks = torch.zeros(size, length).scatter_(1, torch.cat((first, second), dim=1), 1)
        target = torch.full((size, length, 1), torch.nan)
        target[:, -1, 0] = (numbers * marks).sum(dim=1)
        phases = (("numbers", 0, length - 1), ("answer", length - 1, length))
        tokens = [
            f"{n:.2f}{'*' if mark else ''}" for n, mark in zip(numbers[0].tolist(), marks[0].tolist(), strict=True)
        ]
        return SequenceBatch(torch.stack((numbers, marks), dim=2), target, phases, tokens)

    def loss(self, answer: Tensor, batch: SequenceBatch) -> Tensor:
        """Mean squared error of the sum."""
        return functional.mse_loss(answer[:, -1], batch.target[:, -1])

    def mistakes(self, answer: Tensor, batch: SequenceBatch) -> float:
        """Share of sums that are more than 0.04 off."""
        return ((answer[:, -1] - batch.target[:, -1]).abs() > TOLERANCE).double().mean().item()
