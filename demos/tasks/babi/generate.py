"""Stories of any of the twenty families, made on the spot.

What a family is follows Weston et al. 2015, section 3; how often things happen is set so that lengths and answers are
near those of the published English data, whose words are a part of these (with the same forms of sentences). Stories
are made, not copied, and none of the published ones is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from types import MappingProxyType

from memviz.demos.tasks.babi import carrying, placing, reasoning
from memviz.demos.tasks.babi.stories import Story

GENERATORS: Mapping[int, Callable[[Random], list[Story]]] = MappingProxyType(
    {
        1: carrying.single_fact,
        2: carrying.two_facts,
        3: carrying.three_facts,
        4: reasoning.two_arguments,
        5: carrying.giving,
        6: carrying.yes_no,
        7: carrying.counting,
        8: carrying.listing,
        9: placing.negation,
        10: placing.indefinite,
        11: placing.coreference,
        12: placing.conjunction,
        13: placing.compound_coreference,
        14: placing.time_reasoning,
        15: reasoning.deduction,
        16: reasoning.induction,
        17: reasoning.positions,
        18: reasoning.sizes,
        19: reasoning.paths,
        20: reasoning.motives,
    }
)
"""By number of the family: one telling, with all questions asked in it."""


def generate(tasks: Sequence[int], count: int, seed: int) -> list[Story]:
    """Stories of some families.

    Args:
        tasks: numbers of families, 1 to 20.
        count: questions per family.
        seed: the same seed gives the same stories.

    Returns:
        Family by family; the questions of one telling come one after the other.
    """
    made: list[Story] = []
    for task in tasks:
        # A seed of its own, so that a family's stories do not depend on which others are made.
        rng = Random(f"{seed}/{task}")
        told: list[Story] = []
        while len(told) < count:
            told += GENERATORS[task](rng)
        made += told[:count]
    return made
