"""Where the stories of `--babi PATH` are: in a folder, one file, or an archive, as it was downloaded.

Known are the standard files `qa<number>_<name>_<part>.txt` and a mixed file `all_shuffled_<part>.txt`. An archive is
read as it lies there: nothing is unpacked, and no name in it becomes a path.
"""

from __future__ import annotations

import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath

from memviz.demos.tasks.babi.families import FAMILIES
from memviz.demos.tasks.babi.stories import BabiError, Story, parse

LARGEST = 256 * 2**20
"""Bytes of one file that are believed; the largest published one (task 3, 10 000 questions) has some 12 million."""

FOLDERS = ("", "en", "data/en", "tasks_1-20_v1-2/en")
"""Where the files are looked for below the given place: the English stories with 1000 questions come first."""

Folder = Mapping[str, Callable[[], str]]
"""The files of a folder by name, each read when it is called."""


def read_files(path: str | Path, part: str, tasks: Sequence[int] = ()) -> list[Story]:
    """The stories of a folder, a file or an archive (tar, compressed or not, or zip).

    Files are looked for in the folder itself and in `FOLDERS` of it. Other sets are named by their own folder, in an
    archive too: `tasks_1-20_v1-2/en-10k`, `tasks_1-20_v1-2.tar.gz/tasks_1-20_v1-2/en-10k`.

    Args:
        path: of the folder, file or archive, or of a folder in an archive.
        part: "train" or "test". A single file is read for either.
        tasks: only these families; all by default.

    Raises:
        BabiError: there are no such files there, or they cannot be read.
    """
    root = Path(path).expanduser()
    try:
        chosen = _read(root, part, tasks)
    except (OSError, EOFError, UnicodeDecodeError, tarfile.TarError, zipfile.BadZipFile, zlib.error) as error:
        raise BabiError(f"{root} cannot be read: {error}") from error
    stories = [story for story in chosen if not tasks or story.task in tasks]
    if not stories:
        raise BabiError(f"{root} holds no {part} stories of task {', '.join(map(str, tasks))}")
    return stories


def _read(root: Path, part: str, tasks: Sequence[int]) -> list[Story]:
    archive = next((place for place in (root, *root.parents) if place.is_file()), None)
    if archive is None:
        return _chosen(root, lambda below: _folder(root / below), part, tasks)
    with _opened(archive) as names:
        if names is None:
            if archive != root:
                raise BabiError(f"{archive} is no folder, and no archive either, so there is no {root}")
            return list(parse(_text(archive).split("\n"), root.name, task_of(root.name)))
        inside = root.relative_to(archive).as_posix()
        return _chosen(root, lambda below: _within(names, inside, below), part, tasks)


def _chosen(root: Path, folder: Callable[[str], Folder], part: str, tasks: Sequence[int]) -> list[Story]:
    """The stories of the first folder that has any files of bAbI."""
    for below in FOLDERS:
        files = folder(below)
        standard = sorted(name for name in files if re.fullmatch(rf"qa.*_{part}\.txt", name))
        mixed = f"all_shuffled_{part}.txt"
        if standard:
            wanted = [name for name in standard if not tasks or task_of(name) in tasks]
            return [story for name in wanted for story in parse(files[name]().split("\n"), name, task_of(name))]
        if mixed in files:
            return list(parse(files[mixed]().split("\n"), mixed))
    raise BabiError(
        f"{root} holds no bAbI stories: expected qa1_single-supporting-fact_{part}.txt and so on, or "
        f"all_shuffled_{part}.txt; give the folder that holds them, such as tasks_1-20_v1-2/en, or their archive"
    )


def task_of(name: str) -> int | None:
    """The family that a standard file is named after; None for any other."""
    found = re.match(r"qa(\d+)_", name)
    return int(found[1]) if found and 1 <= int(found[1]) <= len(FAMILIES) else None


def _folder(path: Path) -> Folder:
    return {file.name: partial(_text, file) for file in path.glob("*.txt")} if path.is_dir() else {}


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return _decoded(file.read(LARGEST + 1), path.name)


def _decoded(data: bytes, name: str) -> str:
    if len(data) > LARGEST:
        raise BabiError(f"{name} is larger than {LARGEST >> 20} MiB, which no file of bAbI is")
    return data.decode()


def _within(names: Folder, inside: str, below: str) -> Folder:
    """The files of one folder of an archive."""
    wanted = PurePosixPath(inside) / below
    folders: dict[PurePosixPath, dict[str, Callable[[], str]]] = {}
    for name, read in names.items():
        at = PurePosixPath(name)
        folders.setdefault(at.parent, {})[at.name] = read
    return folders.get(wanted, {})


@contextmanager
def _opened(path: Path) -> Iterator[Folder | None]:
    """The text files of an archive by their path in it; None where the file is no archive."""
    if tarfile.is_tarfile(path):
        with tarfile.open(path) as tar:
            members = [member for member in tar.getmembers() if member.isfile() and member.name.endswith(".txt")]
            yield {PurePosixPath(member.name).as_posix(): partial(_of_tar, tar, member) for member in members}
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(".txt")]
            yield {name: partial(_of_zip, archive, name) for name in names}
    else:
        yield None


def _of_tar(tar: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    file = tar.extractfile(member)
    assert file is not None  # it is so only of what is no file
    with file:
        return _decoded(file.read(LARGEST + 1), member.name)


def _of_zip(archive: zipfile.ZipFile, name: str) -> str:
    with archive.open(name) as file:
        return _decoded(file.read(LARGEST + 1), name)
