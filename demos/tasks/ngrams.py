"""Dynamic n-grams: predict bits whose chances are new in every sequence (Graves et al. 2014, section 4.4)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from memviz.demos.models.options import at_least_one, number
from memviz.demos.tasks.sequence import PROBE_SEED, SequenceBatch, SequenceTask


@dataclass(frozen=True, slots=True)
class NGramTask(SequenceTask):
    """Sequences of `length` bits, each drawn with a chance that the `order` - 1 bits before it decide.

    The table of chances is drawn anew for every sequence, each entry from Beta(1/2, 1/2). Nobody can predict better
    than to count what followed on a context so far: with n1 ones and n0 zeros the chance of a one is
    (n1 + 1/2) / (n1 + n0 + 1) (Murphy 2012; eq. 10 of the paper). How many bits an answer costs more than that is what
    is measured, as an expectation over the bit to come: Σ KL(best ‖ answer), which is never negative.

    Attributes:
        order: n; 6 in the paper.
        length: bits per sequence; 200 in the paper.
        shortest: bits per sequence at the beginning of a curriculum.
        solved: bits above the floor per sequence below which the task counts as solved.
    """

    measure: ClassVar[str] = "bits above the floor"
    size_name: ClassVar[str] = "bits"

    order: int = 6
    length: int = 200
    shortest: int = 0
    solved: float = 3.0

    def __post_init__(self) -> None:
        """Refuse sizes that no task can have."""
        at_least_one(order=self.order, length=self.length)
        number(2, 16, order=self.order)  # the table of chances has 2^(order - 1) entries
        number(self.order + 1, length=self.length)
        number(0, self.length, shortest=self.shortest, solved=self.solved)

    @property
    def input_size(self) -> int:
        """One bit."""
        return 1

    @property
    def output_size(self) -> int:
        """The chance that the next bit is one."""
        return 1

    @property
    def lengths(self) -> tuple[int, ...]:
        """Up to twice the length of the training."""
        return tuple(sorted({max(self.order + 1, round(self.length * part)) for part in (0.25, 0.5, 1, 1.5, 2)}))

    def of_length(self, length: int) -> NGramTask:
        """Sequences of `length` bits."""
        return replace(self, length=length, shortest=0)

    def batch(self, size: int, generator: torch.Generator, level: float = 1.0) -> SequenceBatch:
        """`size` sequences, each with a table of its own; `level` is their part of the length."""
        shortest = max(self.shortest, self.order + 1)
        return self.draw(size, min(self.length, shortest + round((self.length - shortest) * level)), generator)

    def probe(self) -> SequenceBatch:
        """One fixed sequence."""
        return self.draw(1, self.length, torch.Generator().manual_seed(PROBE_SEED))

    def draw(self, size: int, length: int, generator: torch.Generator) -> SequenceBatch:
        """`size` sequences of `length` bits with what was best to say at every time."""
        contexts = 2 ** (self.order - 1)
        # sin²(π u / 2) of a uniform u has the distribution Beta(1/2, 1/2), the arcsine law.
        chances = torch.sin(math.pi / 2 * torch.rand(size, contexts, generator=generator)).square()
        luck = torch.rand(size, length, generator=generator)
        bits = (luck < 0.5).long()  # the first context is a matter of fair chance
        for time in range(self.order - 1, length):
            context = self._contexts(bits[:, time - self.order + 1 : time])
            bits[:, time] = (luck[:, time] < chances.gather(1, context.unsqueeze(1)).squeeze(1)).long()
        target = bits[:, 1:].unsqueeze(2).float()
        start = self.order - 2
        target[:, :start] = torch.nan
        phases = (
            (("context", 0, start), ("prediction", start, length - 1)) if start else (("prediction", 0, length - 1),)
        )
        tokens = [str(bit) for bit in bits[0, :-1].tolist()]
        return SequenceBatch(bits[:, :-1].unsqueeze(2).float(), target, phases, tokens, self.optimal(bits))

    def optimal(self, bits: Tensor) -> Tensor:
        """The best prediction of the next bit at every time, from the counts so far.

        Args:
            bits: [batch, time], zeros and ones.

        Returns:
            The chance of a one as the bit after each time but the last, [batch, time - 1, 1]; NaN before the first
            whole context.
        """
        size, length = bits.shape
        ones, seen = torch.zeros(size, 2 ** (self.order - 1)), torch.zeros(size, 2 ** (self.order - 1))
        best = torch.full((size, length - 1, 1), torch.nan)
        for time in range(self.order - 1, length):
            context = self._contexts(bits[:, time - self.order + 1 : time]).unsqueeze(1)
            best[:, time - 1] = (ones.gather(1, context) + 0.5) / (seen.gather(1, context) + 1)
            ones.scatter_add_(1, context, bits[:, time : time + 1].float())
            seen.scatter_add_(1, context, torch.ones(size, 1))
        return best

    def mistakes(self, answer: Tensor, batch: SequenceBatch) -> float:
        """Bits per sequence that the answer is expected to cost above the floor."""
        assert batch.best is not None
        best, said = batch.best[:, batch.asked].double(), answer[:, batch.asked].double()
        said = said.clamp(1e-12, 1 - 1e-12)
        above = best * (best / said).log2() + (1 - best) * ((1 - best) / (1 - said)).log2()
        return above.sum().item() / len(answer)

    def floor(self, batch: SequenceBatch) -> float:
        """Bits per sequence that the best answer costs, in expectation over each bit to come."""
        assert batch.best is not None
        best = batch.best[:, batch.asked].double()
        return -(best * best.log2() + (1 - best) * (1 - best).log2()).sum().item() / len(best)

    def _contexts(self, bits: Tensor) -> Tensor:
        """The last bits [batch, order - 1] as a number, [batch]."""
        return (bits << torch.arange(self.order - 1)).sum(dim=1)
