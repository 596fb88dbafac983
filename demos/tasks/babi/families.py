"""The twenty families of bAbI by number and name, and how a story shows which of them it belongs to.

Numbers and names are those of Weston et al. 2015, "Towards AI-Complete Question Answering: A Set of Prerequisite Toy
Tasks", section 3. `recognise` reads the family off a story itself, for files that mix all twenty without saying so: the
form of the first question decides between most families, and the vocabulary of the statements between the rest.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Family:
    """One of the twenty tasks.

    Attributes:
        id: its number, 1 to 20.
        name: its title in the paper.
        slug: the same in the names of the standard files, `qa<id>_<slug>_train.txt`.
    """

    id: int
    name: str
    slug: str


FAMILIES: tuple[Family, ...] = tuple(
    Family(number, name, slug)
    for number, (name, slug) in enumerate(
        (
            ("Single Supporting Fact", "single-supporting-fact"),
            ("Two Supporting Facts", "two-supporting-facts"),
            ("Three Supporting Facts", "three-supporting-facts"),
            ("Two Argument Relations", "two-arg-relations"),
            ("Three Argument Relations", "three-arg-relations"),
            ("Yes/No Questions", "yes-no-questions"),
            ("Counting", "counting"),
            ("Lists/Sets", "lists-sets"),
            ("Simple Negation", "simple-negation"),
            ("Indefinite Knowledge", "indefinite-knowledge"),
            ("Basic Coreference", "basic-coreference"),
            ("Conjunction", "conjunction"),
            ("Compound Coreference", "compound-coreference"),
            ("Time Reasoning", "time-reasoning"),
            ("Basic Deduction", "basic-deduction"),
            ("Basic Induction", "basic-induction"),
            ("Positional Reasoning", "positional-reasoning"),
            ("Size Reasoning", "size-reasoning"),
            ("Path Finding", "path-finding"),
            ("Agent's Motivations", "agents-motivations"),
        ),
        start=1,
    )
)


def family(number: int) -> Family:
    """The family of a number, 1 to 20."""
    if not 1 <= number <= len(FAMILIES):
        raise ValueError(f"bAbI has the tasks 1 to {len(FAMILIES)}, not {number}")
    return FAMILIES[number - 1]


_QUESTIONS: tuple[tuple[str, int], ...] = (
    (r"how do you go", 19),
    (r"how many", 7),
    (r"what color", 16),
    (r"what is \w+ carrying", 8),
    (r"what is \w+ afraid of", 15),
    (r"what is (the \w+ )?(north|south|east|west) of", 4),
    (r"(who|what) (gave|received|did)", 5),
    (r"(where will|why did)", 20),
    (r"(does|is) the .*(fit in|bigger than)", 18),
    (r"is the .*(left of|right of|above|below)", 17),
    (r"where was the", 3),
    (r"where was", 14),
    (r"where is the", 2),
)


def recognise(statements: Sequence[str], question: str) -> int | None:
    """The number of the family that a story belongs to; None where it belongs to none.

    Where the question is "Where is Mary?" or "Is Mary in the garden?", the statements decide: "they" is compound
    coreference, "he" or "she" coreference, "and" conjunction; "either" or the people and places of task 10 are
    indefinite knowledge, and a place stated with "is" negation. A story of moves alone that asks "Is Mary in the
    garden?" is of task 6: of the ten statements in a story of task 9 half state a place with "is".

    Args:
        statements: all statements of the story.
        question: its first question.
    """
    asked = question.lower().strip()
    for pattern, number in _QUESTIONS:
        if re.match(pattern, asked):
            return number
    words = {word for statement in statements for word in re.findall(r"\w+", statement.lower())}
    if asked.startswith("where is "):
        if "they" in words:
            return 13
        if words & {"he", "she"}:
            return 11
        return 12 if "and" in words else 1
    if asked.startswith("is "):
        if words & {"either", "bill", "fred", "julie", "cinema", "school", "park"}:
            return 10
        return 9 if "is" in words else 6
    return None
