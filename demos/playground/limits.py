"""What one request may ask for, and how many may ask: everything that bounds the work of the Playground."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STORY = 20_000
"""Characters of a story; the longest in the published data has about 8 000."""

QUESTION = 500
"""Characters of a question."""

FACTS = 300
"""Sentences of a story; the longest in the published data has 228."""

WORDS = 100
"""Words of one sentence."""

BODY = 160 * 2**10
"""Bytes of a request: a story and a question in which every character is escaped."""

WAITING = 4
"""Requests that may wait for the networks at once; the server has eight threads, and the pages need some."""

RATE, BURST = 10.0, 40.0
"""Questions per second over time, and at once, whoever asks."""


class TooMany(Exception):
    """More is asked than is answered now; `after` says in how many seconds to try again."""

    def __init__(self, what: str, after: float) -> None:
        super().__init__(what)
        self.after = after


class Bounds:
    """Counts who waits and how often was asked.

    Args:
        waiting: how many may wait at once.
        rate: per second over time.
        burst: at once.
        clock: seconds that only grow; tests pass their own.
    """

    def __init__(
        self,
        waiting: int = WAITING,
        rate: float = RATE,
        burst: float = BURST,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._places = threading.BoundedSemaphore(waiting)
        self._rate, self._burst, self._clock = rate, burst, clock
        self._lock = threading.Lock()
        self._left, self._counted = burst, clock()

    def count(self) -> None:
        """Count one question.

        Raises:
            TooMany: there were too many lately.
        """
        with self._lock:
            now = self._clock()
            self._left = min(self._burst, self._left + (now - self._counted) * self._rate)
            self._counted = now
            if self._left < 1:
                raise TooMany("too many questions in a short time", (1 - self._left) / self._rate)
            self._left -= 1

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place among those who wait.

        Raises:
            TooMany: all are taken.
        """
        if not self._places.acquire(blocking=False):
            raise TooMany("the networks are busy with other questions", 1.0)
        try:
            yield
        finally:
            self._places.release()
