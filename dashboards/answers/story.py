"""One story of a DMN as JSON: what each hop kept, what was asked and answered, and what the checks say of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from memviz.analysis.diagnostics.base import MemoryView
from memviz.analysis.diagnostics.registry import diagnostics
from memviz.analysis.stories import ECLIPSED, FIELD, Story, memories_of, read_stories
from memviz.analysis.story_answers import Answers, answers_of
from memviz.analysis.story_text import answer_text, gate_text, hops_text, kept_text, support_text
from memviz.dashboards.answers.choice import item_of
from memviz.dashboards.fieldview import MAX_VALUES, Values
from memviz.dashboards.numbers import number, numbers
from memviz.dashboards.params import ApiError, Params
from memviz.dashboards.stories import memory_of
from memviz.trace.record import Record

MAX_CELLS = 100_000
"""Gates of one story that are sent at once: hops times facts."""

DIGITS = 12
"""Digits of the gates: what is kept and what is left sum to 1 within 1e-12."""


def story(values: Values, params: Params, index: int) -> dict[str, Any]:
    """Facts down, hops across, and everything that the page of a story says."""
    item = item_of(values, params)
    memory = params.text("memory", "") or None
    params.done()
    record = values.record
    check_size(record)
    stories = read_stories(record, memory)
    if memory is None and item < len(stories):
        stories = read_stories(record, memory_of(memories_of(record), stories[item].told))
    if item >= len(stories):
        raise ApiError(404, f"{stories[0].memory} has no item {item}", f"0 to {len(stories) - 1}", "change item")
    chosen = stories[item]
    if chosen.gates.size > MAX_CELLS:
        raise ApiError(
            404,
            f"the story has {chosen.facts:,} facts and {chosen.hops} hops, more than {MAX_CELLS:,} gates at once",
            "a shorter story",
            "use memviz.analysis.stories in a program",
        )
    answers = answers_of(record, chosen)
    return {
        "memory": chosen.memory,
        "memories": list(memories_of(record)),
        "item": item,
        "items": len(stories),
        **_gates(chosen),
        **_told(chosen, answers),
        "sentences": {
            "answer": answer_text(chosen),
            "kept": kept_text(chosen),
            "gate": gate_text(chosen),
            "hops": hops_text(chosen),
            "support": support_text(chosen),
            "settled": _settled(chosen, answers),
        },
        "findings": _findings(record, chosen),
    }


def check_size(record: Record) -> None:
    """Refuse a record whose gates do not fit what one request may hold.

    Raises:
        ApiError: more than MAX_VALUES numbers.
    """
    for memory in memories_of(record):
        count = int(np.prod(record.shape(f"{memory}/{FIELD}"), dtype=np.int64))
        if count > MAX_VALUES:
            raise ApiError(
                404,
                f"{memory}/{FIELD} has {count:,} numbers, more than {MAX_VALUES:,} at once",
                "a smaller record",
                "use memviz.analysis.stories in a program",
            )


def _gates(story: Story) -> dict[str, Any]:
    """The table of facts and hops in exact numbers."""
    texts = story.told.facts
    padded = (story.gates == 0).all(axis=0)
    padded[: len(texts) if texts else story.facts] = False
    return {
        "hops": story.hops,
        "facts": story.facts,
        "texts": [*texts, *[""] * (story.facts - len(texts))],
        "padding": int(padded.sum()),
        "episode": story.episode,
        "declared": story.declared,
        "raw": numbers(story.gates, DIGITS),
        "effective": numbers(story.effective, DIGITS),
        "left": numbers(story.left, DIGITS),
        "sum": numbers(story.effective.sum(axis=1) + story.left, DIGITS),
        "most": story.most.tolist(),
        "opened": story.opened.tolist(),
        "eclipsed": [[eclipse.hop, eclipse.fact] for eclipse in story.eclipsed],
        "eclipse": ECLIPSED,
        "divergence": numbers(story.divergence, 6),
        "supporting": None if story.told.supporting is None else list(story.told.supporting),
        "found": None if story.found is None else list(story.found),
        "missed": list(story.missed),
    }


def _told(story: Story, answers: Answers | None) -> dict[str, Any]:
    """Question, answer and alternatives."""
    told = story.told
    listed = sum(probability for _, probability in told.alternatives)
    return {
        "task": told.task,
        "family": told.family,
        "question": told.question,
        "answer": told.answer,
        "predicted": told.predicted,
        "confidence": told.confidence,
        "right": told.right,
        "kind": story.kind,
        "missing": list(told.missing),
        "choices": dict(told.choices),
        "alternatives": [
            {
                "answer": name,
                "probability": number(probability),
                "hops": None if answers is None or (hops := answers.of(place)) is None else numbers(hops),
            }
            for place, (name, probability) in enumerate(told.alternatives)
        ],
        "rest": number(max(0.0, 1 - listed)) if told.alternatives else None,
        "answers": None if answers is None else answers.total.shape[1],
    }


def _settled(story: Story, answers: Answers | None) -> str:
    """From which hop on the answer was there."""
    if answers is None:
        return "What would be answered after each hop was not recorded (answer_probabilities)."
    names = [name for name, _ in story.told.alternatives]
    place = names.index(story.told.predicted) if story.told.predicted in names else None
    if place is None or answers.column[place] is None:
        return "Which of the recorded probabilities is that of the answer cannot be told from the labels."
    hop = answers.settled(place)
    if hop is None:
        return f"After the last hop {story.told.predicted} is not the most probable answer."
    if hop == 0:
        return f"{story.told.predicted} is the most probable answer from the first hop on."
    hops = answers.of(place)
    assert hops is not None
    return (
        f"{story.told.predicted} is the most probable answer from hop {hop} on: "
        f"{hops[hop - 1]:.2f} before it, {hops[hop]:.2f} after."
    )


def _findings(record: Record, story: Story) -> list[dict[str, Any]]:
    """What the checks of episodes say of this item, worst first."""
    view = MemoryView(record, story.memory)
    found = []
    for check in sorted(diagnostics().values(), key=lambda check: check.order):
        if FIELD not in check.needs or check.missing(view):
            continue
        for measure in check.measure(view):
            level = check.level(float(measure.values[story.item]))
            if level is None:
                continue
            place = measure.places[story.item]
            found.append(
                {
                    "diagnostic": check.name,
                    "severity": level[0],
                    "sentence": measure.say(story.item),
                    "value": number(float(measure.values[story.item])),
                    "threshold": level[1],
                    "time": place.time,
                    "slot": place.slot,
                    "suggestion": check.suggestion,
                }
            )
    rank = {"error": 0, "warning": 1, "note": 2}
    return sorted(found, key=lambda finding: rank[str(finding["severity"])])
