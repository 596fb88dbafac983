r"""A story of bAbI with one question, and the reader of its files.

A line of the format is `<number> <sentence>` or `<number> <question>\t<answer>\t<numbers of the supporting facts>`;
number 1 begins a new story, and questions are numbered with the statements (Weston et al. 2015, data v1.2).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from memviz.demos.tasks.babi.families import FAMILIES, recognise
from memviz.errors import MemvizError

MAX_LINE = 1000
"""Characters of one line; the longest in the published data has 70."""


@dataclass(frozen=True, slots=True)
class Story:
    """What was told before a question, the question, and what the answer rests on.

    Attributes:
        task: number of the family, 1 to 20; 0 where it is not known.
        facts: the statements, as written.
        question: as written.
        answer: in lower case; the items of a list are joined by commas, as in the files.
        supporting: positions in `facts`, from 0, in the order in which the file lists them.
    """

    task: int
    facts: tuple[str, ...]
    question: str
    answer: str
    supporting: tuple[int, ...] = ()

    def last(self, count: int) -> Story:
        """The same with only the last `count` facts; supporting facts before them are lost."""
        cut = max(len(self.facts) - count, 0)
        if not cut:
            return self
        kept = tuple(fact - cut for fact in self.supporting if fact >= cut)
        return Story(self.task, self.facts[cut:], self.question, self.answer, kept)


class BabiError(MemvizError):
    """A file or folder of bAbI stories that cannot be read; the message names the file and the line."""


def parse(lines: Iterable[str], where: str = "bAbI", task: int | None = None) -> Iterator[Story]:
    """One `Story` per question.

    Args:
        lines: of a file.
        where: name of the file, for messages.
        task: number of the family; None reads it off each story (`families.recognise`).

    Raises:
        BabiError: a line that is not of the format, a question about nothing, or a story of no family.
    """
    statements: list[str] = []
    places: dict[int, int] = {}
    pending: list[Story] = []

    def finished() -> Iterator[Story]:
        number = task
        if number is None and pending:
            number = recognise(statements, pending[0].question)
            if number is None:
                raise BabiError(f"{where}: {pending[0].question!r} is asked in none of the {len(FAMILIES)} families")
        for story in pending:
            yield Story(number or 0, story.facts, story.question, story.answer, story.supporting)

    for at, line in enumerate(lines, start=1):
        found = re.fullmatch(r"(\d{1,6}) (.+)", line.rstrip("\r\n").strip(" ")) if len(line) <= MAX_LINE else None
        if found is None:
            if not line.strip():
                continue
            raise BabiError(f"{where}, line {at}: expected a number and a sentence, got {line[:60]!r}")
        number, rest = int(found[1]), found[2]
        if number == 1:
            yield from finished()
            statements, places, pending = [], {}, []
        if "\t" not in rest:
            places[number] = len(statements)
            statements.append(rest.strip())
            continue
        parts = [part.strip() for part in rest.split("\t")]
        if not statements or not all(parts[:2]):
            raise BabiError(f"{where}, line {at}: expected a question after a statement, with its answer, got {rest!r}")
        try:
            supporting = tuple(places[int(text)] for text in parts[2].split()) if len(parts) > 2 else ()
        except (KeyError, ValueError):
            raise BabiError(f"{where}, line {at}: {parts[2]!r} are not numbers of statements before it") from None
        pending.append(Story(0, tuple(statements), parts[0], parts[1].lower(), supporting))
    yield from finished()
