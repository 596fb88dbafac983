"""Open recorders: closed at the end of the program, silenced in forked children, warned of what ends the training.

A recorder that holds the last steps writes them when an exception ends the program, and on SIGTERM, which then does
what it would have done without a recorder.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memviz.recorders.recorder import Recorder

SIGTERM_SECONDS = 10.0
"""How long SIGTERM waits for the held steps to be written: a job that is told to end is soon killed."""

_open: list[Recorder] = []
_before: Any = None
"""What SIGTERM did before a recorder listened to it."""


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
    if not any(other.holding for other in _open):
        _stop_listening()


def listen() -> None:
    """Write the held steps on SIGTERM from now on. Only the main thread may ask for that; elsewhere nothing happens."""
    global _before
    if threading.current_thread() is threading.main_thread():
        current = signal.getsignal(signal.SIGTERM)
        # None: something that is not Python listens. An ignored signal ends nothing.
        if current is not None and current is not _terminate and current is not signal.SIG_IGN:
            _before = current
            signal.signal(signal.SIGTERM, _terminate)


def _stop_listening() -> None:
    with contextlib.suppress(ValueError):  # not the main thread: the next recorder that is closed there does it
        if signal.getsignal(signal.SIGTERM) is _terminate:
            signal.signal(signal.SIGTERM, _before)


def _terminate(number: int, frame: FrameType | None) -> None:
    before = _before
    for recorder in tuple(_open):
        if recorder.holding:
            recorder.dump("the process was told to end", "SIGTERM")
    if callable(before):
        before(number, frame)
        return
    for recorder in tuple(_open):
        with contextlib.suppress(Exception):
            if recorder.flush(SIGTERM_SECONDS):
                recorder.close()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _close_all() -> None:
    # Set by the interpreter when it has printed the traceback that ends the program. In an interactive session it may
    # be of anything.
    error = getattr(sys, "last_value", None)
    for recorder in tuple(_open):
        if error is not None and not hasattr(sys, "ps1"):
            recorder.dump(in_words(error))
        # The program is ending: there is nobody left to tell.
        with contextlib.suppress(Exception):
            recorder.close()


def _after_fork() -> None:
    for recorder in tuple(_open):
        recorder.forked()
    _open.clear()
    _stop_listening()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_after_fork)
