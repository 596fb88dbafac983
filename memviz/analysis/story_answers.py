"""What a network would have answered after each hop: recorded probabilities by the names that the labels give.

A record holds `answer_probabilities` by number; its labels name the most probable answers with their probabilities
after the last hop. The k-th most probable number and the k-th name are the same answer where their probabilities agree.
Of a network for multiple choice the label `choices` names all numbers in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memviz.analysis.stories import Source, Story, axes_of
from memviz.fields import bare_name, memory_of

Array = NDArray[np.float64]

FIELD = "answer_probabilities"
AXES = ("time", "batch", "answer")

CLOSE = 2e-3
"""Relative difference of probabilities that a record in half precision may show."""


@dataclass(frozen=True)
class Answers:
    """Probabilities of answers after each hop.

    Attributes:
        total: [hop, answer], as recorded.
        column: for each alternative of the labels its number on the axis `answer`; None where it cannot be told.
    """

    total: Array
    column: tuple[int | None, ...]

    def of(self, alternative: int) -> Array | None:
        """[hop], the probability of an alternative after each hop."""
        number = self.column[alternative]
        return None if number is None else self.total[:, number]

    def settled(self, alternative: int) -> int | None:
        """The hop from which on an alternative is more probable than any other; None where it is not at the end."""
        number = self.column[alternative]
        if number is None:
            return None
        first = None
        others = np.delete(self.total, number, axis=1).max(axis=1, initial=0.0)
        for hop, ahead in enumerate((self.total[:, number] > others).tolist()):
            first = None if not ahead else hop if first is None else first
        return first


def answers_of(record: Source, story: Story) -> Answers | None:
    """The probabilities recorded with a story; None where there are none of as many hops."""
    own = f"{story.memory}/{FIELD}"
    names = [own] if own in record.stored else [name for name in record.stored if bare_name(name) == FIELD]
    for name in names:
        if axes_of(record.memories[memory_of(name)], FIELD) != AXES:
            continue
        values = np.asarray(record.read(name), np.float64)
        if values.size and values.shape[0] == story.hops and values.shape[1] > story.item:
            total = values[:, story.item]
            given = [probability for _, probability in story.told.alternatives]
            texts = [text for _, text in story.told.choices]
            if len(texts) == len(set(texts)) == total.shape[1]:
                named = (texts.index(name) if name in texts else None for name, _ in story.told.alternatives)
                return Answers(total, tuple(named))
            return Answers(total, _columns(total[-1], given))
    return None


def _columns(last: Array, given: Sequence[float]) -> tuple[int | None, ...]:
    """The number of each alternative: by rank, where the probability is the same and no neighbour shares it."""
    order = np.argsort(-last, kind="stable").tolist()
    ranks = sorted(range(len(given)), key=lambda i: -given[i])
    found: list[int | None] = [None] * len(given)
    for rank, alternative in enumerate(ranks[: len(order)]):
        value = last[order[rank]]
        beside = [last[order[other]] for other in (rank - 1, rank + 1) if 0 <= other < len(order)]
        if _same(value, given[alternative]) and not any(_same(value, other) for other in beside):
            found[alternative] = order[rank]
    return tuple(found)


def _same(a: float, b: float) -> bool:
    return bool(abs(a - b) <= CLOSE * max(abs(a), abs(b)) + 1e-12)
