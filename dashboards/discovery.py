"""Find the traces under some paths and give each an id to put in a URL."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from memviz.trace.layout import holds_trace

DEPTH = 5
"""Levels below a given path at which a trace is still found, `rank-00000` folders included."""

MAX_DIRECTORIES = 20_000
"""Directories looked at in one search, so that a path such as the home folder is not walked for minutes."""


@dataclass(frozen=True, slots=True)
class Found:
    """A directory that is a trace, or was meant to be one; `id` is its path below the given one."""

    id: str
    path: Path


@dataclass(frozen=True, slots=True)
class Search:
    """What a search found, and whether it gave up at MAX_DIRECTORIES."""

    runs: dict[str, Found]
    truncated: bool


def search(paths: Sequence[Path], *, depth: int = DEPTH, limit: int = MAX_DIRECTORIES) -> Search:
    """All traces at or below `paths`.

    A trace is not searched for further ones. Links that lead out of the given path are not followed. When two given
    paths hold the same id, the later ones get the name of their path in front, then a number behind.

    Args:
        paths: traces or directories of traces; what does not exist is skipped, it may come later.
        depth: levels to descend.
        limit: directories to look at.

    Returns:
        Runs by id, in the order of their ids within each path.
    """
    runs: dict[str, Found] = {}
    budget = [limit]
    seen: set[Path] = set()
    for root in paths:
        for path in _traces(root, root.resolve(), depth, budget):
            real = path.resolve()
            if real in seen:
                continue
            seen.add(real)
            name = path.relative_to(root).as_posix() if path != root else real.name or "trace"
            run = _free_id(runs, name, root.resolve().name)
            runs[run] = Found(run, path)
    return Search(runs, budget[0] <= 0)


def _traces(path: Path, inside: Path, depth: int, budget: list[int]) -> Iterator[Path]:
    """Depth first, in the order of names; a directory that cannot be read holds no traces that could be shown."""
    if budget[0] <= 0:
        return
    budget[0] -= 1
    try:
        if holds_trace(path):
            yield path
            return
        if depth == 0:
            return
        with os.scandir(path) as entries:
            children = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda e: e.name)
        for child in children:
            if not child.is_dir():
                continue
            if child.is_symlink() and not Path(child.path).resolve().is_relative_to(inside):
                continue
            yield from _traces(Path(child.path), inside, depth - 1, budget)
    except OSError:
        return


def _free_id(taken: dict[str, Found], name: str, root: str) -> str:
    if name not in taken:
        return name
    base = candidate = f"{root}/{name}"
    number = 2
    while candidate in taken:
        candidate, number = f"{base}-{number}", number + 1
    return candidate
