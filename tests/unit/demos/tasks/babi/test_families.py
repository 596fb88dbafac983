"""The twenty families: names and numbers of the paper, and how a story shows its own."""

from __future__ import annotations

import pytest

from memviz.demos.tasks.babi.families import FAMILIES, family, recognise


def test_numbers_names_and_files():
    assert [entry.id for entry in FAMILIES] == list(range(1, 21))
    assert family(14).name == "Time Reasoning"
    assert family(19).slug == "path-finding"
    assert len({entry.slug for entry in FAMILIES}) == 20


@pytest.mark.parametrize("number", [0, 21, -1])
def test_there_is_no_other(number):
    with pytest.raises(ValueError, match=f"tasks 1 to 20, not {number}"):
        family(number)


@pytest.mark.parametrize(
    ("number", "facts", "question"),
    [
        (1, ["Mary moved to the office."], "Where is Mary?"),
        (2, ["Mary got the milk."], "Where is the milk?"),
        (3, ["Mary got the milk."], "Where was the milk before the office?"),
        (4, ["The office is north of the kitchen."], "What is north of the kitchen?"),
        (4, ["The office is north of the kitchen."], "What is the office north of?"),
        (5, ["Mary gave the milk to Bill."], "Who did Mary give the milk to?"),
        (5, ["Mary gave the milk to Bill."], "What did Mary give to Bill?"),
        (6, ["Mary moved to the office.", "Mary got the milk there."], "Is Mary in the office?"),
        (7, ["Mary got the milk."], "How many objects is Mary carrying?"),
        (8, ["Mary got the milk."], "What is Mary carrying?"),
        (9, ["Mary is not in the office."], "Is Mary in the office?"),
        (9, ["Mary is in the garden."], "Is Mary in the office?"),
        (10, ["Julie is either in the park or the school."], "Is Julie in the park?"),
        (10, ["Fred is in the kitchen."], "Is Fred in the kitchen?"),
        (11, ["Mary went to the office.", "Then she moved to the garden."], "Where is Mary?"),
        (12, ["Mary and John went to the office."], "Where is Mary?"),
        (13, ["Mary and John went to the office.", "Then they moved to the garden."], "Where is Mary?"),
        (14, ["Julie went to the park yesterday."], "Where was Julie before the park?"),
        (15, ["Mice are afraid of cats."], "What is gertrude afraid of?"),
        (16, ["Lily is a swan."], "What color is Lily?"),
        (17, ["The triangle is above the red square."], "Is the red square below the triangle?"),
        (18, ["The box fits inside the chest."], "Does the box fit in the chest?"),
        (18, ["The box fits inside the chest."], "Is the chest bigger than the box?"),
        (19, ["The office is north of the kitchen."], "How do you go from the office to the kitchen?"),
        (20, ["Yann is tired."], "Why did yann go to the bedroom?"),
        (None, ["Mary moved to the office."], "Who is Mary?"),
    ],
)
def test_a_story_shows_its_family(number, facts, question):
    assert recognise(facts, question) == number
