"""Replaying a run: which record is the newest, as if the run were recorded again now."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from memviz.dashboards.visdom.sink import Frontier
from memviz.trace.reader import Trace

LONGEST_PAUSE = 2.0
"""Seconds: a longer pause between two records, such as a night, is cut to this after the speed is applied."""


class Pace:
    """How far a replay has come; hand it to a Stream as its frontier.

    Time begins when it is first asked.

    Args:
        speed: times as fast as recorded.
        clock: seconds that only grow.
    """

    def __init__(self, speed: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.speed = speed
        self._clock = clock
        self._began: float | None = None

    def __call__(self, trace: Trace) -> Frontier:
        """Up to which record the replay has come."""
        now = self._clock()
        if self._began is None:
            self._began = now
        count = len(trace)
        newest = int(np.searchsorted(schedule(trace.walls, self.speed), now - self._began, side="right")) - 1
        done = newest >= count - 1
        return Frontier(newest, "" if done else f"replaying record {newest + 1} of {count}, {self.speed:g} ×")


def schedule(walls: np.ndarray, speed: float) -> np.ndarray:
    """When each record is shown, in seconds after the first.

    Args:
        walls: when each record was taken, [record], seconds.
        speed: times as fast.

    Returns:
        [record], ascending from 0; pauses are at most LONGEST_PAUSE, and a clock that was set back makes none.
    """
    pauses = np.clip(np.diff(walls) / speed, 0.0, LONGEST_PAUSE)
    return np.concatenate([np.zeros(min(1, len(walls))), np.cumsum(pauses)])
