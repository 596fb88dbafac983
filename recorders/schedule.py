"""Which steps are recorded: every n-th, spaced like a logarithm, in cycles as a profiler, or by a function."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from memviz.errors import RecorderError


def is_number(value: object) -> bool:
    """Whether an argument is one number, whatever its annotation promised."""
    return isinstance(value, int | float)


class LogSpaced:
    """Records often at first and ever more rarely: one step in each interval [base^k, base^(k+1)), and step 0.

    With base 2 these are the steps 0, 1, 2, 4, 8, 16, ...; with 1.1 some 24 steps of every factor of ten.

    Args:
        base: factor between one recorded step and the next, above 1.

    Raises:
        RecorderError: `base` is no number above 1.
    """

    def __init__(self, base: float = 1.2) -> None:
        if not is_number(base) or not base > 1 or math.isinf(base):
            raise RecorderError(f"LogSpaced(base={base!r}): expected a number above 1, such as 1.2")
        self.base = float(base)

    def interval(self, step: int) -> int:
        """Number of the interval that a step lies in; -1 for step 0."""
        if step < 1:
            return -1
        guess = int(math.log(step) / math.log(self.base))
        # The quotient of logarithms may miss a power of the base by the last bit.
        while self.base ** (guess + 1) <= step:
            guess += 1
        while guess > 0 and self.base**guess > step:
            guess -= 1
        return guess

    def __call__(self, step: int) -> bool:
        """Whether this step is the first one of its interval."""
        return step == 0 or self.interval(step) != self.interval(step - 1)

    def __str__(self) -> str:
        return f"at steps spaced by a factor of {self.base:g}"


class Cycle:
    """Records some steps in a row, then pauses, in the words of `torch.profiler.schedule`.

    Args:
        wait: steps of a cycle that are not recorded.
        warmup: more of them. A recorder needs no warming up; the word is here so that the numbers of a profiler fit.
        active: steps of a cycle that are recorded, at its end.
        repeat: cycles, 0 for as many as there are steps.
        skip_first: steps before the first cycle.

    Raises:
        RecorderError: a number is negative, or `active` is 0.
    """

    def __init__(self, *, wait: int = 0, warmup: int = 0, active: int, repeat: int = 0, skip_first: int = 0) -> None:
        given = {"wait": wait, "warmup": warmup, "active": active, "repeat": repeat, "skip_first": skip_first}
        for name, value in given.items():
            if type(value) is not int or value < (name == "active"):
                least = int(name == "active")
                raise RecorderError(f"Cycle({name}={value!r}): expected a number of steps, {least} or more")
        self.active, self.repeat, self.skip_first = active, repeat, skip_first
        self.pause = wait + warmup

    def __call__(self, step: int) -> bool:
        """Whether this step lies in the active part of a cycle."""
        cycle, place = divmod(step - self.skip_first, self.pause + self.active)
        return cycle >= 0 and place >= self.pause and (not self.repeat or cycle < self.repeat)

    def __str__(self) -> str:
        times = f", {self.repeat} times" if self.repeat else ""
        return f"{self.active} of every {self.pause + self.active} steps{times}"


class Schedule:
    """Every n-th step, or whatever a function of the step says.

    Steps may jump, so a multiple of `every` counts as reached when it was passed.
    """

    def __init__(self, every: int = 100, rule: Callable[[int], Any] | None = None) -> None:
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
        self._share = 1  # of the steps that a rule asks for, one in so many is recorded
        self._asked, self._asked_step = -1, -1

    def due(self, step: int) -> bool:
        """Whether a forward of this step should be recorded."""
        if step == self._last:
            return False
        if self._rule is None:
            return self._last is None or step < self._last or step // self.every != self._last // self.every
        if isinstance(self._rule, LogSpaced):
            asked = self._last is None or self._rule.interval(step) != self._rule.interval(self._last)
        else:
            answer = self._rule(step)
            # Every ProfilerAction counts as true; those that record say so in their name.
            asked = answer.name.startswith("RECORD") if hasattr(answer, "name") else bool(answer)
        if asked and step != self._asked_step:
            self._asked, self._asked_step = self._asked + 1, step
        return asked and self._asked % self._share == 0

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

    def thin(self) -> str:
        """Record half as often from now on; returns how often that is, in words."""
        if self._rule is None:
            self.every *= 2
        else:
            self._share *= 2
        return str(self)

    def __str__(self) -> str:
        if self._rule is None:
            return "every step" if self.every == 1 else f"every {self.every} steps"
        rule = (
            str(self._rule)
            if isinstance(self._rule, LogSpaced | Cycle)
            else f"when {getattr(self._rule, '__qualname__', self._rule)}(step) is true"
        )
        return rule if self._share == 1 else f"{rule}, one in {self._share} of them"
