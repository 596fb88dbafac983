"""What the labels of a record say of a story: facts, question, answers (docs/demos.md, "One record, one story").

A label speaks of the first recorded item; a list with one entry per item speaks of each, and a longer one, of the whole
training batch, is looked up by the items' positions in it. A trace may come from anywhere, so a label of another form
says nothing, and a text is cut where it is too long to be a sentence.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LONGEST = 400
"""Characters of a fact or question."""

MOST_ALTERNATIVES = 50
"""Answers with their probabilities that are taken over."""

Labels = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of one story beside its gates.

    Attributes:
        facts: sentences in the order of the axis `fact`; empty where none are labelled.
        question: what was asked.
        answer: the right answer.
        supporting: positions of the facts that the answer rests on; None where nobody said.
        predicted: what the network answered.
        confidence: the probability that it gave that answer, in [0, 1].
        right: whether that is the right answer; None where one of the two is not known.
        alternatives: answers with their probabilities, as they were labelled.
        task: number or name of the task.
        family: name of the family of tasks.
        choices: of a network for multiple choice, the letter and the text of each; () for another.
    """

    facts: tuple[str, ...] = ()
    question: str = ""
    answer: str = ""
    supporting: tuple[int, ...] | None = None
    predicted: str = ""
    confidence: float | None = None
    right: bool | None = None
    alternatives: tuple[tuple[str, float], ...] = ()
    task: str = ""
    family: str = ""
    choices: tuple[tuple[str, str], ...] = ()

    @property
    def letter(self) -> str:
        """The letter of the choice that the network made; what it answered where no choice has that text."""
        return next((letter for letter, text in self.choices if text == self.predicted), self.predicted)

    @property
    def missing(self) -> tuple[str, ...]:
        """Labels that would say more, in the order in which a reader misses them."""
        wanted = {
            "facts": self.facts,
            "question": self.question,
            "answer": self.answer,
            "supporting": self.supporting is not None,
            "predicted": self.predicted,
            "alternatives": self.alternatives,
        }
        return tuple(name for name, given in wanted.items() if not given)


def told(labels: Labels, item: int, batch: Sequence[int], facts: int) -> Told:
    """What the labels say of one item.

    Args:
        labels: of the record.
        item: position among the recorded items.
        batch: positions in the training batch of the recorded items.
        facts: length of the axis `fact`; positions beyond it are none.
    """
    sentences = _list_of(labels, "facts", item, batch)
    given = _list_of(labels, "supporting", item, batch)
    alternatives = _alternatives(labels, item, batch)
    answer, predicted = (_text_of(labels, name, item, batch) for name in ("answer", "predicted"))
    if not predicted and alternatives:
        predicted = alternatives[0][0]
    confidence = _number(_entry(labels, "confidence", item, batch))
    if confidence is None:
        confidence = next((probability for name, probability in alternatives if name == predicted), None)
    right = _entry(labels, "right", item, batch)
    if not isinstance(right, bool):
        right = predicted.strip().lower() == answer.strip().lower() if predicted and answer else None
    task = _text_of(labels, "task", item, batch)
    return Told(
        facts=tuple(_text(sentence) for sentence in (sentences or [])[:facts]),
        question=_text_of(labels, "question", item, batch),
        answer=answer,
        supporting=None if given is None else positions(given, facts),
        predicted=predicted,
        confidence=confidence,
        right=right,
        alternatives=alternatives,
        task="" if task == "0" else task,
        family=_text_of(labels, "family", item, batch),
        choices=_choices(_entry(labels, "choices", item, batch)),
    )


def supporting_facts(labels: Labels, batch: Sequence[int], facts: int) -> list[tuple[int, ...]]:
    """The supporting facts of each item, empty where nobody said."""
    return [positions(_list_of(labels, "supporting", item, batch) or [], facts) for item in range(len(batch))]


def positions(entries: list[Any], facts: int) -> tuple[int, ...]:
    """The entries that are positions of facts, each once; what is none is left out."""
    whole = [entry for entry in entries if type(entry) is int]
    return tuple(fact for fact in dict.fromkeys(whole) if 0 <= fact < facts)


def _list_of(labels: Labels, name: str, item: int, batch: Sequence[int]) -> list[Any] | None:
    """A label that is a list by itself, or a list of such lists; None where it says nothing of the item."""
    given = labels.get(name)
    if not isinstance(given, list):
        return None
    if any(isinstance(entry, list) for entry in given):
        own = _at(given, item, batch)
        return own if isinstance(own, list) else None
    return given if item == 0 else None


def _entry(labels: Labels, name: str, item: int, batch: Sequence[int]) -> Any:
    """A label that is one value, or a list of such values."""
    given = labels.get(name)
    if not isinstance(given, list):
        return given if item == 0 else None
    return _at(given, item, batch)


def _at(entries: list[Any], item: int, batch: Sequence[int]) -> Any:
    """The entry of an item in a list per recorded item, or per item of the training batch."""
    place = item if len(entries) <= len(batch) else batch[item]
    return entries[place] if 0 <= place < len(entries) else None


def _alternatives(labels: Labels, item: int, batch: Sequence[int]) -> tuple[tuple[str, float], ...]:
    given = labels.get("alternatives")
    if not isinstance(given, list) or not given:
        return ()
    first = given[0]
    if isinstance(first, list) and (not first or isinstance(first[0], list)):
        given = _at(given, item, batch)
    elif item:
        given = []
    pairs = [
        (_text(entry[0]), probability)
        for entry in (given if isinstance(given, list) else [])
        if isinstance(entry, list) and len(entry) == 2 and (probability := _number(entry[1])) is not None
    ]
    return tuple(pairs[:MOST_ALTERNATIVES])


def _choices(given: Any) -> tuple[tuple[str, str], ...]:
    pairs = given.items() if isinstance(given, dict) else ()
    return tuple((_text(letter), _text(text)) for letter, text in pairs)[:MOST_ALTERNATIVES]


def _number(value: Any) -> float | None:
    known = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known else None


def _text_of(labels: Labels, name: str, item: int, batch: Sequence[int]) -> str:
    value = _entry(labels, name, item, batch)
    return "" if value is None or isinstance(value, (dict, list)) else _text(value)


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
