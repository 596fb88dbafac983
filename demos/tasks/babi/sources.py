"""Where batches of stories come from: drawn from files, or made on the spot; always of about one length."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Protocol

import torch

from memviz.demos.tasks.babi.generate import generate
from memviz.demos.tasks.babi.stories import Story

SPREAD = 4
"""A batch is drawn from so many times its size of stories of about one length, so that little of it is padding."""


class Source(Protocol):
    """Somewhere to draw stories from."""

    def draw(self, size: int, generator: torch.Generator) -> list[Story]:
        """So many stories of about one length."""
        ...


class Drawn:
    """Stories of files.

    Every story is as likely as any other: of the stories in the order of their length one is drawn, and the batch from
    those that follow it, in a ring.

    Args:
        stories: what to draw from.
        shuffle: False for all stories in their order, again and again.
    """

    def __init__(self, stories: Sequence[Story], shuffle: bool = True) -> None:
        self.stories = list(stories)
        if shuffle:
            # Mixed first, so that stories of one length are not in the order of their families.
            Random(0).shuffle(self.stories)
            self.stories.sort(key=lambda story: len(story.facts))
        self.shuffle = shuffle
        self._next = 0

    def draw(self, size: int, generator: torch.Generator) -> list[Story]:
        """See `Source`."""
        if not self.shuffle:
            start, self._next = self._next, (self._next + size) % len(self.stories)
            return [self.stories[(start + place) % len(self.stories)] for place in range(size)]
        window = min(size * SPREAD, len(self.stories))
        start = _number(len(self.stories), generator)
        chosen = torch.randperm(window, generator=generator)[:size].tolist()
        return [self.stories[(start + place) % len(self.stories)] for place in chosen]


class Generated:
    """New stories of some families, each family as likely.

    Args:
        families: numbers.
        facts: at most so many of the last facts are kept.
    """

    def __init__(self, families: Sequence[int], facts: int) -> None:
        self.families = families
        self.facts = facts

    def draw(self, size: int, generator: torch.Generator) -> list[Story]:
        """See `Source`."""
        seed = _number(2**62, generator)
        rng = Random(seed)
        families = rng.sample(list(self.families), min(len(self.families), SPREAD))
        made = generate(families, -(-size * SPREAD // len(families)), seed)
        made = sorted((story.last(self.facts) for story in made), key=lambda story: len(story.facts))
        start = rng.randrange(len(made) // size) * size
        return made[start : start + size]


def _number(below: int, generator: torch.Generator) -> int:
    return int(torch.randint(below, (), generator=generator))
