"""Word vectors from a file of GloVe (Pennington et al. 2014): a word and its numbers in each line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from memviz.errors import MemvizError

SIZES = 4096
"""Largest width of a word vector that is believed."""


class GloveError(MemvizError):
    """A file of word vectors that cannot be read; the message names file and line."""


def read_glove(path: str | Path, words: Sequence[str], seed: int = 0) -> Tensor:
    """The vectors of some words, [word, word_size]; zero for word 0, which is padding.

    A word that the file does not have gets numbers drawn from [0, 1), as in YerevaNN's networks.

    Raises:
        GloveError: the file cannot be read, or a line is not a word and as many numbers as in the first line.
    """
    path = Path(path).expanduser()
    wanted = {word: number for number, word in enumerate(words)}
    found: dict[int, list[float]] = {}
    size = 0
    try:
        with path.open(encoding="utf-8") as file:
            for at, line in enumerate(file, start=1):
                word, *rest = line.rstrip().split(" ")
                size = size or len(rest)
                if len(rest) != size or not 0 < size <= SIZES:
                    raise GloveError(f"{path.name}, line {at}: expected a word and {size or 'some'} numbers")
                if word in wanted:
                    try:
                        found[wanted[word]] = [float(value) for value in rest]
                    except ValueError as error:
                        raise GloveError(f"{path.name}, line {at}: {error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise GloveError(f"{path} cannot be read: {error}") from error
    if not size:
        raise GloveError(f"{path} is empty; expected a word and its numbers in each line")
    vectors = torch.rand(len(words), size, generator=torch.Generator().manual_seed(seed))
    for number, values in found.items():
        vectors[number] = torch.tensor(values)
    vectors[0] = 0
    return vectors
