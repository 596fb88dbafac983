"""What tasks of sequences in and sequences out share: a batch of tensors, and answers judged bit by bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from memviz.demos.tasks.task import Maker, Phase

PROBE_SEED = 2016
"""Seed of the probes; the same in every run, whatever the seed of the run."""


@dataclass(frozen=True, slots=True)
class SequenceBatch:
    """Sequences of one length with what should be answered.

    Attributes:
        input: [batch, time, input_channel].
        target: [batch, time, output_channel]; NaN at times when nothing is asked.
        phases: what happens when, in order.
        tokens: for each time of the first sequence one short word that says what is seen, or asked.
        best: [batch, time, output_channel], the best answer that anyone could give where chance decides the target;
            NaN where nothing is asked, None where the target can be known.
    """

    input: Tensor
    target: Tensor
    phases: Sequence[Phase]
    tokens: Sequence[str] = ()
    best: Tensor | None = None

    def __len__(self) -> int:
        """Number of sequences."""
        return len(self.input)

    @property
    def asked(self) -> Tensor:
        """[time], true where an answer is asked for."""
        return ~self.target[0].isnan().any(dim=-1)

    def to(self, device: torch.device | str) -> SequenceBatch:
        """The same batch on a device."""
        best = None if self.best is None else self.best.to(device)
        return SequenceBatch(self.input.to(device), self.target.to(device), self.phases, self.tokens, best)

    def labels(self) -> dict[str, Any]:
        """The target as a field of the record; phases and tokens for the pages."""
        return {"target": self.target, "phases": [list(phase) for phase in self.phases], "tokens": list(self.tokens)}


class SequenceTask:
    """Base of tasks whose answer is the probability of each bit.

    A subclass is a frozen dataclass of its options with `input_size`, `output_size`, `batch`, `probe` and `of_length`.
    """

    measure: ClassVar[str] = "wrong bits"
    size_name: ClassVar[str] = "items"
    activation: ClassVar[str] = "sigmoid"
    solved: float

    @property
    def input_size(self) -> int:
        """Channels of the input."""
        raise NotImplementedError

    @property
    def output_size(self) -> int:
        """Channels of the answer."""
        raise NotImplementedError

    def batch(self, size: int, generator: torch.Generator, level: float = 1.0) -> SequenceBatch:
        """See `Task.batch`."""
        raise NotImplementedError

    def fresh(self, size: int, generator: torch.Generator) -> SequenceBatch:
        """See `Task.fresh`: every batch is new."""
        return self.batch(size, generator)

    def build(self, maker: Maker, options: Mapping[str, Any]) -> nn.Module:
        """A model from [batch, time, input_channel] to a tuple whose first element is the answer.

        Args:
            maker: called as `maker(input_size, output_size=..., **options)`.
            options: of the model.
        """
        model = maker(self.input_size, output_size=self.output_size, **options)
        model.register_forward_hook(_Answer(self.output_size, self.activation))
        return model

    def answer(self, model: nn.Module, batch: SequenceBatch) -> Tensor:
        """[batch, time, output_channel]."""
        answer: Tensor = model(batch.input)[0]
        return answer

    def loss(self, answer: Tensor, batch: SequenceBatch) -> Tensor:
        """Mean cross-entropy of the bits that are asked for, in nats."""
        return functional.binary_cross_entropy(answer[:, batch.asked], batch.target[:, batch.asked])

    def mistakes(self, answer: Tensor, batch: SequenceBatch) -> float:
        """Mean number of wrong bits per sequence."""
        return wrong_bits(answer, batch)


class _Answer:
    """A forward hook that turns the first output into an answer, such as the probability of each bit.

    A hook and not a wrapper, because the attached model then is the very class that the demo names. Of a model whose
    output is wider than the answer the first channels count.
    """

    def __init__(self, channels: int, activation: str) -> None:
        self.channels = channels
        self.activation = activation

    def __call__(self, module: nn.Module, args: Any, output: tuple[Tensor, ...]) -> tuple[Any, ...]:
        first = output[0][..., : self.channels]
        return torch.sigmoid(first) if self.activation == "sigmoid" else first, *output[1:]


def wrong_bits(answer: Tensor, batch: SequenceBatch) -> float:
    """Mean number of wrong bits per sequence.

    Args:
        answer: [batch, time, output_channel], the probability that each bit is 1.
        batch: what was asked.
    """
    asked = batch.asked
    wrong = (answer[:, asked] > 0.5) != (batch.target[:, asked] > 0.5)
    return wrong.sum().item() / len(answer)


def random_items(size: int, items: int, width: int, generator: torch.Generator) -> Tensor:
    """Random bits, [size, items, width]."""
    return torch.randint(0, 2, (size, items, width), generator=generator).float()


def distinct_items(size: int, items: int, width: int, generator: torch.Generator) -> Tensor:
    """Random bits such that no two items of a sequence are equal, [size, items, width]; `items` <= 2^width."""
    numbers = torch.randint(0, 2**width, (size, items), generator=generator)
    while True:
        # In a stable sort of equal numbers the first drawn comes first, so it is the others that are drawn again.
        ascending, order = numbers.sort(dim=1, stable=True)
        equal = torch.zeros_like(numbers, dtype=torch.bool)
        equal.scatter_(1, order[:, 1:], ascending[:, 1:] == ascending[:, :-1])
        again = int(equal.sum())
        if not again:
            return bits_of(numbers, width)
        numbers[equal] = torch.randint(0, 2**width, (again,), generator=generator)


def bits_of(numbers: Tensor, width: int) -> Tensor:
    """The lowest `width` bits of whole numbers, lowest first, as a new last axis."""
    return (numbers.unsqueeze(-1) >> torch.arange(width, device=numbers.device) & 1).float()


def letters(count: int) -> list[str]:
    """Names for items, in order: a to z, then a1, b1, ..."""
    return [chr(ord("a") + n % 26) + (str(n // 26) if n >= 26 else "") for n in range(count)]
