"""Examine a trained network: right answers per family, what it confuses with what, and a record of every story."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from memviz.demos.models.dmn import DMN
from memviz.demos.tasks.babi.files import read_files
from memviz.demos.tasks.babi.generate import generate
from memviz.demos.tasks.babi.recording import record_stories
from memviz.demos.tasks.babi.results import Results, measure
from memviz.demos.tasks.babi.stories import Story
from memviz.demos.tasks.babi.task import BabiTask
from memviz.demos.tasks.babi.vocabulary import UnknownWordsError
from memviz.errors import OptionError

QUESTIONS = 1000
"""Generated questions per family, as many as the published test sets have."""


def asked_stories(task: BabiTask, babi: str = "", questions: int | None = None, *, seed: int) -> list[Story]:
    """What to ask a network of a task.

    Args:
        task: that it was trained on.
        babi: folder, file or archive whose test stories to ask; by default those of the files that it learned from,
            and for one that learned from generated stories new ones.
        questions: at most so many of each family; by default all of the files, and `QUESTIONS` generated ones.
        seed: of generated stories.

    Raises:
        BabiError: the files cannot be read.
        UnknownWordsError: they have words that the network never saw.
    """
    if babi or task.babi:
        read = task.part("test") if not babi else read_files(babi, "test", task.families)
        asked = [story for family in task.families for story in _first(read, family, questions)]
    else:
        asked = generate(task.families, questions or QUESTIONS, seed)
    sentences = dict.fromkeys(text for story in asked for text in (*story.facts, story.question))
    unknown = dict.fromkeys(word for text in sentences for word in task.vocabulary.unknown(text))
    if unknown:
        raise UnknownWordsError(list(unknown))
    return [story.last(task.facts) for story in asked]


def _first(stories: Sequence[Story], family: int, count: int | None) -> list[Story]:
    return [story for story in stories if story.task == family][:count]


def examine(
    model: DMN,
    task: BabiTask,
    stories: Sequence[Story],
    *,
    beside: Path,
    confusion: str | None = None,
    record: Path | None = None,
    attributes: Mapping[str, Any] | None = None,
    console: Console | None = None,
) -> Results:
    """Ask a network, print the table beside published figures, and write all figures as JSON.

    Args:
        model: on its device.
        task: that it was trained on.
        stories: what to ask; see `asked_stories`.
        beside: a checkpoint or a trace; the figures go to its name with `.babi.json`.
        confusion: families whose confusion matrix to print: numbers with commas between them, or "all"; None for none.
        record: folder of a trace to write, with a record of each story; None for none.
        attributes: facts for the trace.
        console: to print to.

    Raises:
        OptionError: `confusion` names a family that was not asked about.
        TraceError: the trace cannot be written.
    """
    console = console or Console()
    shown = _families(confusion, stories)
    results = measure(model, task.vocabulary, stories, next(model.parameters()).device)
    console.print(results.table())
    for family in shown:
        console.print(results.confusion_table(family))
    figures = (beside.with_suffix("") if beside.suffix == ".safetensors" else beside).name + ".babi.json"
    beside.parent.mkdir(parents=True, exist_ok=True)
    beside.with_name(figures).write_text(json.dumps(results.to_json(), indent=2) + "\n")
    console.print(f"figures in {beside.with_name(figures)}", soft_wrap=True)
    if record is not None:
        path = record_stories(model, task.vocabulary, stories, record, attributes)
        console.print(f"{len(stories)} stories recorded in {path}; memviz serve {path}", soft_wrap=True)
    return results


def _families(text: str | None, stories: Sequence[Story]) -> list[int]:
    """The families that `confusion` names, of those that are asked about."""
    asked = sorted({story.task for story in stories})
    if text == "all":
        return asked
    named = [part.strip() for part in text.split(",")] if text else []
    if not all(part.isdigit() and int(part) in asked for part in named):
        raise OptionError(
            f"--confusion takes families that are asked about ({', '.join(map(str, asked))}) with commas between "
            f"them, or all, not {text!r}"
        )
    return [int(part) for part in named]
