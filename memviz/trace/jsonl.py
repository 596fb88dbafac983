"""Files of one JSON object per line: appended whole, read incrementally, torn ends ignored and told.

The JSON is strict. A number that JSON has no notation for is written as one of the strings "NaN", "Infinity" and
"-Infinity".
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from memviz.errors import SchemaError, TraceCorrupt
from memviz.trace.caps import MAX_LINE
from memviz.trace.files import open_regular, parse_json, write_all

_READ_SIZE = 2**20


def plain(value: Any) -> Any:
    """A value made of what strict JSON can hold.

    Numpy scalars and arrays become numbers and lists, tuples and sets become lists, numbers that are not finite become
    "NaN", "Infinity" or "-Infinity".

    Raises:
        SchemaError: the value holds something that JSON cannot say.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset | range):
        return [plain(item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise SchemaError(f"{value!r:.80} of type {type(value).__name__} cannot be written as JSON; use numbers or text")


def encode(value: Any) -> bytes:
    """Strict, compact JSON in ASCII.

    Raises:
        SchemaError: see plain.
    """
    try:
        # ASCII only: no reader splits such a line in two, whatever it takes for the end of a line.
        return json.dumps(plain(value), allow_nan=False, separators=(",", ":")).encode()
    except (RecursionError, ValueError) as error:
        if isinstance(error, SchemaError):
            raise
        raise SchemaError(f"cannot be written as JSON: {error}") from None


class LineWriter:
    """Appends lines to one file; one writer at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        self._fd = os.open(path, flags, 0o666)
        self.nbytes = trim(self._fd)[0]

    def append(self, value: Mapping[str, Any]) -> int:
        """Append one line; returns its bytes. After an error the file ends as it ended before.

        Raises:
            SchemaError: the value cannot be written as JSON, or is longer than a line may be.
            OSError: the disk refused.
        """
        line = encode(value) + b"\n"
        if len(line) > MAX_LINE:
            raise SchemaError(f"a line of {self.path.name} would take {len(line)} bytes; at most {MAX_LINE} fit")
        try:
            write_all(self._fd, [line])
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self.nbytes)
            raise
        self.nbytes += len(line)
        return len(line)

    def sync(self) -> None:
        """Ask the disk to keep what was written."""
        os.fsync(self._fd)

    def close(self) -> None:
        """Close the file; safe to call twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def trim(fd: int) -> tuple[int, int]:
    """Cut a torn last line off a file open for writing; returns (bytes kept, bytes cut)."""
    size = end = os.fstat(fd).st_size
    while end > 0:
        start = max(0, end - _READ_SIZE)
        newline = os.pread(fd, end - start, start).rfind(b"\n")
        if newline >= 0:
            end = start + newline + 1
            break
        end = start
    if end < size:
        os.ftruncate(fd, end)
    return end, size - end


class LineReader:
    """Reads a growing file of lines, from where the last call stopped.

    `notes` says in words which lines were left out. `torn` is the number of bytes after the last whole line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes: list[str] = []
        self.torn = 0
        self._offset = 0
        self._line = 0
        self._skipping = False

    def read(self) -> list[dict[str, Any]]:
        """The objects on the lines completed since the last call; a file that is not there has none."""
        try:
            fd = open_regular(self.path)
        except FileNotFoundError:
            return []
        except TraceCorrupt as error:
            self.note(str(error))
            return []
        try:
            return self._read(fd)
        finally:
            os.close(fd)

    def _read(self, fd: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            data = os.pread(fd, _READ_SIZE, self._offset)
            end = data.rfind(b"\n") + 1
            for line in data[:end].split(b"\n")[:-1]:
                self._line += 1
                if self._skipping:
                    self._skipping = False
                elif line.strip():
                    self._parse(line, found)
            if end:
                self._offset += end
            elif len(data) == _READ_SIZE:
                # No newline in a whole line's allowance: pass over it without keeping it.
                if not self._skipping:
                    self.note(f"{self.path.name} line {self._line + 1}: longer than {MAX_LINE} bytes, left out")
                self._skipping = True
                self._offset += len(data)
            else:
                self.torn = len(data)
                return found

    def _parse(self, line: bytes, found: list[dict[str, Any]]) -> None:
        try:
            found.append(parse_json(line, f"{self.path.name} line {self._line}"))
        except TraceCorrupt:
            self.note(f"{self.path.name} line {self._line}: not a JSON object, left out")

    def note(self, text: str) -> None:
        """Add a sentence to the notes, once, and no more than a hundred in all."""
        if len(self.notes) < 100 and text not in self.notes:
            self.notes.append(text)
