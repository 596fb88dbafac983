"""The reader of bAbI's format: facts before each question, supporting facts by number, and what is no story."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memviz.demos.tasks.babi.stories import BabiError, Story, parse

LINES = """\
1 Mary moved to the bathroom.
2 John went to the hallway.
3 Where is Mary?\tbathroom\t1
4 Daniel went back to the hallway.
5 Where is Daniel? \tHallway\t4
1 The office is east of the hallway.
2 The kitchen is north of the office.
3 How do you go from the hallway to the kitchen?\te,n\t2 1
"""


def read(text, **options):
    return list(parse(text.splitlines(keepends=True), "qa.txt", **options))


def test_a_story_per_question_with_all_facts_before_it():
    first, second, third = read(LINES)
    assert first == Story(
        1, ("Mary moved to the bathroom.", "John went to the hallway."), "Where is Mary?", "bathroom", (0,)
    )
    assert second.facts == (*first.facts, "Daniel went back to the hallway.")
    assert (second.question, second.answer) == ("Where is Daniel?", "hallway")
    assert second.supporting == (2,), "the question before it has a number, but is no fact"
    assert third.task == 19
    assert third.facts == ("The office is east of the hallway.", "The kitchen is north of the office.")
    assert (third.answer, third.supporting) == ("e,n", (1, 0))


def test_a_family_that_is_known_is_not_looked_for():
    assert [story.task for story in read(LINES, task=6)] == [6, 6, 6]


@pytest.mark.parametrize("text", [LINES.replace("\n", "\r\n"), LINES + "\n\n", LINES.replace("1 The", "\n1 The")])
def test_line_ends_and_blank_lines_do_not_matter(text):
    assert read(text) == read(LINES)


def test_questions_without_supporting_facts():
    (story,) = read("1 Mary went to the garden.\n2 Where is Mary?\tgarden\n")
    assert story.supporting == ()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Mary went to the garden.\n", "line 1: expected a number and a sentence, got 'Mary went"),
        ("1 Mary went.\n\x00\x01\n", "line 2"),
        ("1 Mary went.\n2 " + "x" * 2000, "line 2"),
        ("1 Mary went.\n2 Where is Mary?\tgarden\t7\n", "line 2: '7' are not numbers of statements before it"),
        ("1 Mary went.\n2 Where is Mary?\tgarden\t2\n", "'2' are not numbers of statements"),
        ("1 Mary went.\n2 Where is Mary?\tgarden\tone\n", "'one' are not numbers"),
        ("1 Where is Mary?\tgarden\t\n", "line 1: expected a question after a statement, with its answer"),
        ("1 Mary went.\n2 Where is Mary?\t\t1\n", "line 2: expected a question after a statement, with its answer"),
        ("1 Mary went.\n2 Who am I?\tnobody\t1\n", "'Who am I?' is asked in none of the 20 families"),
    ],
)
def test_what_is_no_story_is_named_by_file_and_line(text, line):
    with pytest.raises(BabiError) as caught:
        read(text)
    assert str(caught.value).startswith("qa.txt")
    assert line in str(caught.value)


@given(st.text(max_size=60) | st.lists(st.sampled_from([*LINES.splitlines(), "", "\t", "7 x\ty\tz"])).map("\n".join))
def test_any_text_gives_stories_or_one_error(text):
    try:
        stories = read(text)
    except BabiError:
        return
    for story in stories:
        assert story.facts
        assert story.answer
        assert all(place < len(story.facts) for place in story.supporting)


def test_the_last_facts_keep_their_support():
    story = Story(1, ("a", "b", "c", "d"), "q", "x", (0, 3, 2))
    assert story.last(2) == Story(1, ("c", "d"), "q", "x", (1, 0))
    assert story.last(4) is story
