"""Open recorders, closed at the end of the program and silenced in forked children."""

from __future__ import annotations

import atexit
import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memviz.recorders.recorder import Recorder

_open: list[Recorder] = []


def in_words(error: BaseException) -> str:
    """An exception as the reason for which something ended."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__


def add(recorder: Recorder) -> None:
    """Take care of a recorder until it is closed; it stays alive even if nobody holds it."""
    _open.append(recorder)


def discard(recorder: Recorder) -> None:
    """It was closed."""
    _open[:] = [other for other in _open if other is not recorder]


def _close_all() -> None:
    for recorder in tuple(_open):
        # The program is ending: there is nobody left to tell.
        with contextlib.suppress(Exception):
            recorder.close()


def _after_fork() -> None:
    for recorder in tuple(_open):
        recorder.forked()
    _open.clear()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_after_fork)
