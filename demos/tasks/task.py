"""What a demo task gives: batches to learn from, and one fixed probe that every record shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

Phase = tuple[str, int, int]
"""Name, first time and time after the last of one part of a sequence."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Sequences of one length with what should be answered.

    Attributes:
        input: [batch, time, input_channel].
        target: [batch, time, output_channel], bits; NaN at times when nothing is asked.
        phases: what happens when, in order.
    """

    input: Tensor
    target: Tensor
    phases: Sequence[Phase]

    @property
    def asked(self) -> Tensor:
        """[time], true where an answer is asked for."""
        return ~self.target[0].isnan().any(dim=-1)

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on a device."""
        return Batch(self.input.to(device), self.target.to(device), self.phases)


class Task(Protocol):
    """A task on sequences of bits."""

    @property
    def input_size(self) -> int:
        """Channels of the input."""
        ...

    @property
    def output_size(self) -> int:
        """Channels of the answer."""
        ...

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        """Fresh sequences to learn from."""
        ...

    def probe(self) -> Batch:
        """One sequence that is always the same, so that records of different steps can be compared."""
        ...


def wrong_bits(answer: Tensor, batch: Batch) -> float:
    """Mean number of wrong bits per sequence.

    Args:
        answer: [batch, time, output_channel], the probability that each bit is 1.
        batch: what was asked.
    """
    asked = batch.asked
    wrong = (answer[:, asked] > 0.5) != (batch.target[:, asked] > 0.5)
    return wrong.sum().item() / len(answer)
