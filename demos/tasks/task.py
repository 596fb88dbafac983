"""What the training loop asks of a task: batches, how a model answers them, and how good an answer is.

A task of sequences in and sequences out is a `SequenceTask` (demos/tasks/sequence.py) and has most of this for free. A
task whose input is not one tensor, such as a story with a question, brings a `Batch` of its own and its own `answer`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Protocol, Self

import torch
from torch import Tensor, nn

Phase = tuple[str, int, int]
"""Name, first time and time after the last of one part of a sequence."""

Maker = Callable[..., nn.Module]
"""Makes a model: its sizes, in the way that the task and the model agree on, and the options of the model."""


class Batch(Protocol):
    """What one forward sees, with what should be answered."""

    def __len__(self) -> int:
        """Number of items."""
        ...

    def to(self, device: torch.device | str) -> Self:
        """The same batch on a device."""
        ...

    def labels(self) -> dict[str, Any]:
        """What `recorder.label` is told: `target`, `phases`, `tokens` (one word per time), whatever helps a reader."""
        ...


class Task(Protocol):
    """A source of batches and the judge of answers.

    Attributes:
        measure: what `mistakes` counts, in plural: "wrong bits", "wrong answers".
        solved: mean mistakes per item below which the task counts as solved.
        lengths: sizes for the evaluation of generalisation, beyond those of the training; empty where there are none.
        size_name: what a length counts: "items", "bits", "facts".
    """

    measure: ClassVar[str]
    size_name: ClassVar[str]
    solved: float

    @property
    def lengths(self) -> Sequence[int]:
        """See the class."""
        ...

    def build(self, maker: Maker, options: Mapping[str, Any]) -> nn.Module:
        """A model of the sizes that the task needs."""
        ...

    def batch(self, size: int, generator: torch.Generator, level: float = 1.0) -> Batch:
        """Fresh items, drawn on the CPU so that runs repeat on any device.

        Args:
            size: number of items.
            generator: where chance comes from.
            level: how much of the range of lengths to draw from, in (0, 1]; a curriculum raises it.
        """
        ...

    def fresh(self, size: int, generator: torch.Generator) -> Batch:
        """Items to judge by, none of which was learned from; where items never run out these are like any others."""
        ...

    def probe(self) -> Batch:
        """One item that is always the same, so that records of different steps can be compared."""
        ...

    def answer(self, model: nn.Module, batch: Any) -> Tensor:
        """Run the model on a batch."""
        ...

    def loss(self, answer: Tensor, batch: Any) -> Tensor:
        """What training makes small; a scalar."""
        ...

    def mistakes(self, answer: Tensor, batch: Any) -> float:
        """Mean number of mistakes per item."""
        ...

    def of_length(self, length: int) -> Task:
        """The same task at one length, within the training lengths or beyond."""
        ...
