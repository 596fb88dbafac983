"""From what somebody typed to facts and a question."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"^\d{1,4}\s+")
_END = re.compile(r"(?<=[.!?])\s+")


def facts_of(story: str) -> list[str]:
    """The sentences of a story: one per line, and where a full stop, ! or ? ends one within a line.

    The number that begins a line in the files of bAbI is dropped, and so are empty lines.
    """
    facts = []
    for line in story.splitlines():
        facts += [part for part in _END.split(_NUMBER.sub("", line.strip())) if part]
    return facts


def without_mark(question: str) -> str:
    """A question without the punctuation at its end."""
    return question.strip().rstrip("?!. \t")
