r"""A story of bAbI with one question, and the reader of its files.

A line of the format is `<number> <sentence>` or `<number> <question>\t<answer>\t<numbers of the supporting facts>`;
number 1 begins a new story, and questions are numbered with the statements (Weston et al. 2015, data v1.2).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

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
        BabiError: a line that is not of the format, or a story of no family.
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
        try:
            supporting = tuple(places[int(text)] for text in parts[2].split()) if len(parts) > 2 else ()
        except (KeyError, ValueError):
            raise BabiError(f"{where}, line {at}: {parts[2]!r} are not numbers of statements before it") from None
        pending.append(Story(0, tuple(statements), parts[0], parts[1].lower(), supporting))
    yield from finished()


def read_file(path: Path, task: int | None = None) -> list[Story]:
    """All stories of one file; see `parse`."""
    try:
        with path.open(encoding="utf-8") as file:
            return list(parse(file, path.name, task))
    except (OSError, UnicodeDecodeError) as error:
        raise BabiError(f"{path} cannot be read: {error}") from error


def read_folder(path: str | Path, part: str, tasks: Sequence[int] = ()) -> list[Story]:
    """The stories of a folder of bAbI files.

    Known are the standard files `qa<number>_<name>_<part>.txt` and a mixed file `all_shuffled_<part>.txt`, in the
    folder itself or in the `en` of it or of its `data` or `tasks_1-20_v1-2`. `en-10k` and other sets are named by
    their own folder. A file itself is read too.

    Args:
        path: the folder.
        part: "train" or "test".
        tasks: only these families; all by default.

    Raises:
        BabiError: there are no such files there, or they cannot be read.
    """
    root = Path(path).expanduser()
    if root.is_file():
        chosen = read_file(root, _task_of(root))
    else:
        chosen = []
        for folder in (root, *(root / below for below in ("en", "data/en", "tasks_1-20_v1-2/en"))):
            standard = sorted(folder.glob(f"qa*_{part}.txt"))
            mixed = folder / f"all_shuffled_{part}.txt"
            if standard:
                wanted = [file for file in standard if not tasks or _task_of(file) in tasks]
                chosen = [story for file in wanted for story in read_file(file, _task_of(file))]
            elif mixed.is_file():
                chosen = read_file(mixed)
            if standard or mixed.is_file():
                break
        else:
            raise BabiError(
                f"{root} holds no bAbI stories: expected qa1_single-supporting-fact_{part}.txt and so on, or "
                f"all_shuffled_{part}.txt; give the folder that holds them, such as tasks_1-20_v1-2/en"
            )
    stories = [story for story in chosen if not tasks or story.task in tasks]
    if not stories:
        raise BabiError(f"{root} holds no {part} stories of task {', '.join(map(str, tasks))}")
    return stories


def _task_of(path: Path) -> int | None:
    found = re.match(r"qa(\d+)_", path.name)
    return int(found[1]) if found and 1 <= int(found[1]) <= len(FAMILIES) else None
