"""Associative recall: see a list of items, then one of them again, say the next (Graves et al. 2014, section 4.3)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from memviz.demos.models.options import at_least_one, at_most, number
from memviz.demos.tasks.ranged import RangedTask
from memviz.demos.tasks.sequence import SequenceBatch, distinct_items, letters


@dataclass(frozen=True, slots=True)
class AssociativeRecallTask(RangedTask):
    """`shortest` to `longest` items of `rows` vectors of `width` bits each, no two of a list equal.

    Were two items equal, what comes after them would be a matter of chance. The paper has three rows per item. Two
    more channels of the input mark the beginning of an item, and the beginning and the end of the question.
    """

    shortest: int = 2
    longest: int = 6
    rows: int = 1

    def __post_init__(self) -> None:
        """Refuse sizes that no task can have."""
        RangedTask.__post_init__(self)
        at_least_one(rows=self.rows)
        at_most(62, "62", **{"width * rows": self.width * self.rows})
        at_most(2 ** (self.width * self.rows) - 2, "two less than the number of different items", longest=self.longest)
        number(2, shortest=self.shortest)  # an item, and the one after it

    @property
    def input_size(self) -> int:
        """The bits of a row, the mark of an item and the mark of the question."""
        return self.width + 2

    @property
    def output_size(self) -> int:
        """The bits of a row."""
        return self.width

    @property
    def lengths(self) -> tuple[int, ...]:
        """Up to three times the longest of the training, as far as there are different items."""
        kinds = 2 ** (self.width * self.rows)
        return tuple(length for length in super(AssociativeRecallTask, self).lengths if length <= kinds)

    def draw(self, size: int, length: int, generator: torch.Generator) -> SequenceBatch:
        """`size` lists of `length` items, each with a question about one of them but the last."""
        rows, width = self.rows, self.width
        items = distinct_items(size, length, rows * width, generator).view(size, length, rows, width)
        asked = torch.randint(0, length - 1, (size,), generator=generator)
        sequence = torch.arange(size)
        listed = length * (rows + 1)
        answer = listed + rows + 2
        inputs = torch.zeros(size, answer + rows, self.input_size)
        per_item = inputs[:, :listed].view(size, length, rows + 1, self.input_size)
        per_item[:, :, 0, width] = 1
        per_item[:, :, 1:, :width] = items
        inputs[:, [listed, answer - 1], width + 1] = 1
        inputs[:, listed + 1 : answer - 1, :width] = items[sequence, asked]
        target = torch.full((size, answer + rows, width), torch.nan)
        target[:, answer:] = items[sequence, asked + 1]
        phases = (("items", 0, listed), ("question", listed, answer), ("answer", answer, answer + rows))
        return SequenceBatch(inputs, target, phases, self._tokens(length, int(asked[0])))

    def _tokens(self, length: int, asked: int) -> list[str]:
        names = letters(length)

        def rows(name: str) -> list[str]:
            return [name] if self.rows == 1 else [f"{name}.{row + 1}" for row in range(self.rows)]

        listed = [word for name in names for word in ("|", *rows(name))]
        return [*listed, "?", *rows(names[asked]), "?", *(f"{word}?" for word in rows(names[asked + 1]))]
