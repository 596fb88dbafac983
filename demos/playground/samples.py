"""Stories to begin with: made on the spot, from the families that a network learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from memviz.demos.tasks.babi.families import Family
from memviz.demos.tasks.babi.generate import generate
from memviz.demos.tasks.babi.stories import Story

SEEDS = 10**6
"""Seeds are below this, so that they are short in an address."""

TOLD = 20
"""Questions that a seed chooses from, of a few tellings."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A story that is known to have an answer.

    Attributes:
        family: of the story.
        seed: with the family, makes the same story again.
        story: with its right answer and supporting facts.
    """

    family: Family
    seed: int
    story: Story

    def to_json(self) -> dict[str, Any]:
        """As the route answers."""
        return {
            "task": self.family.id,
            "family": self.family.name,
            "seed": self.seed,
            "story": "\n".join(self.story.facts),
            "facts": list(self.story.facts),
            "question": self.story.question,
            "answer": self.story.answer,
            "supporting": list(self.story.supporting),
        }


def sample(families: Sequence[Family], seed: int, most: int) -> Sample:
    """The story of a seed.

    Args:
        families: one of them is drawn.
        seed: below `SEEDS`.
        most: so many of the last facts are kept; a story that would lose a supporting fact is not taken.
    """
    # Apart from each other, so that the family and the seed make the same story again.
    family = Random(f"{seed}/family").choice(list(families))
    told = generate([family.id], TOLD, seed)
    whole = [story for story in told if len(story.last(most).supporting) == len(story.supporting)] or told
    return Sample(family, seed, Random(f"{seed}/story").choice(whole).last(most))


def samples(families: Sequence[Family], count: int, most: int) -> list[dict[str, str]]:
    """Some stories as the servers of YerevaNN's networks list them: C the story, Q the question, A the answer."""
    made = (sample([families[seed % len(families)]], seed, most).story for seed in range(count))
    return [{"Q": story.question, "A": story.answer, "C": "\n".join(story.facts)} for story in made]
