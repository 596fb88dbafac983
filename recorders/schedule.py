"""Which steps are recorded."""

from __future__ import annotations

from collections.abc import Callable

from memviz.errors import RecorderError


class Schedule:
    """Every n-th step, or whatever a function of the step says.

    Steps may jump, so a multiple of `every` counts as reached when it was passed.
    """

    def __init__(self, every: int = 100, rule: Callable[[int], bool] | None = None) -> None:
        """Take the arguments of `memviz.attach`.

        Raises:
            RecorderError: `every` is no positive number, or `rule` cannot be called.
        """
        if type(every) is not int or every < 1:
            raise RecorderError(f"every={every!r}: expected a number of steps, 1 or more")
        if rule is not None and not callable(rule):
            raise RecorderError(f"schedule={rule!r}: expected a function that takes a step and returns True or False")
        self.every = every
        self._rule = rule
        self._last: int | None = None
        self._before: int | None = None

    def due(self, step: int) -> bool:
        """Whether a forward of this step should be recorded."""
        if step == self._last:
            return False
        if self._rule is not None:
            return bool(self._rule(step))
        return self._last is None or step < self._last or step // self.every != self._last // self.every

    def done(self, step: int) -> None:
        """A forward of this step is being recorded, or was dropped: the step is no longer due."""
        self._before, self._last = self._last, step

    def undo(self) -> None:
        """The forward that `done` was about came to nothing."""
        self._last = self._before

    def shift(self, difference: int) -> None:
        """The count of steps was off by this much, also when the last record was made."""
        if self._last is not None:
            self._last += difference

    def thin(self) -> int:
        """Record half as often from now on; returns the new `every`."""
        self.every *= 2
        return self.every

    def __str__(self) -> str:
        if self._rule is not None:
            return f"when {getattr(self._rule, '__qualname__', self._rule)}(step) is true"
        return "every step" if self.every == 1 else f"every {self.every} steps"
