"""What goes wrong while recording: contained, counted, written to the trace, said once, and never passed on.

An exception that left a hook would end the training run. Nothing here raises.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable

LIMIT = 10
"""Errors after which a recorder switches itself off."""

_log = logging.getLogger("memviz.recorders")


class RecorderWarning(UserWarning):
    """Something was not recorded; the training goes on."""


class Faults:
    """Counts errors and says each one once.

    Args:
        event: writes an event of the kind given first, with the message given second.
        switch_off: called once with the reason after LIMIT errors.
    """

    def __init__(self, event: Callable[[str, str], None], switch_off: Callable[[str], None]) -> None:
        self._event = event
        self._switch_off = switch_off
        self._said: set[str] = set()
        self._lock = threading.Lock()
        self.count = 0
        self.messages: list[str] = []

    def error(self, error: Exception, where: str) -> None:
        """Contain an exception raised while `where` was recorded."""
        with self._lock:
            self.count += 1
            count = self.count
        text = f"{where}: {type(error).__name__}: {error}"
        _log.debug("memviz could not record %s", where, exc_info=error)
        self.say(text, "error")
        if count == LIMIT:
            self._switch_off(f"{LIMIT} errors while recording, the last one: {text}")

    def note(self, text: str) -> None:
        """Write a note that is no loss, and log it."""
        self._event("note", text)
        _log.warning("memviz: %s", text)

    def say(self, text: str, kind: str, key: str = "") -> None:
        """Write an event and warn, the first time that this is said.

        Args:
            text: a sentence.
            kind: of the event; see memviz.trace.schema.Event.
            key: what counts as the same, by default the text.
        """
        if self._first_time(key or text, text):
            self._event(kind, text)
            warn(text)

    def warn_once(self, text: str) -> None:
        """Warn, the first time that this is said, about what already is an event of the trace."""
        if self._first_time(text, text):
            warn(text)

    def _first_time(self, key: str, text: str) -> bool:
        with self._lock:
            if key in self._said:
                return False
            self._said.add(key)
            self.messages.append(text)
            return True


def warn(text: str) -> None:
    """Show a warning; where warnings are turned into errors, log it instead."""
    try:
        warnings.warn(f"memviz: {text}", RecorderWarning, stacklevel=2)
    except Warning:
        _log.warning("%s", text)
