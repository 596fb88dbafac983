"""From text to sentences, as somebody types it or pastes it from a file of bAbI."""

from __future__ import annotations

import pytest

from memviz.demos.playground.text import facts_of, without_mark


@pytest.mark.parametrize(
    ("story", "facts"),
    [
        ("Mary went home.\nJohn left.", ["Mary went home.", "John left."]),
        ("Mary went home. John left", ["Mary went home.", "John left"]),
        ("\r\n  Mary went home\r\n\r\nJohn left!  \r", ["Mary went home", "John left!"]),
        ("1 Mary went home.\n12 John left.", ["Mary went home.", "John left."]),
        ("Mary has 2 apples.", ["Mary has 2 apples."]),
        ("Who? Mary.", ["Who?", "Mary."]),
        ("version 1.5 came", ["version 1.5 came"]),
        ("", []),
        (" \n\t\n", []),
    ],
)
def test_sentences_end_with_their_line_or_their_mark(story, facts):
    assert facts_of(story) == facts


@pytest.mark.parametrize("question", ["Where is Mary?", " Where is Mary ", "Where is Mary?!", "Where is Mary ?"])
def test_the_mark_of_a_question_does_not_matter(question):
    assert without_mark(question) == "Where is Mary"
