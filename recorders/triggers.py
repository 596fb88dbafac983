"""Triggers: what makes a recorder write down the steps that it holds, because something has just gone wrong.

A trigger is asked once per training step, when the step is over, and answers with a reason or None. Your own needs one
method:

    class Diverges:
        def check(self, step):
            return "the loss is above 100" if step.scalars.get("loss", 0) > 100 else None
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

import numpy as np

from memviz.errors import RecorderError
from memviz.recorders.origin import Origin
from memviz.recorders.schedule import is_number

FINITE = "finite"
GRADIENT_NORM = "gradient_norm"
NEEDS = (FINITE, GRADIENT_NORM)
"""What a trigger may ask for by its attribute `needs`, because measuring it at every step costs something."""

_NOTHING: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Observation:
    """One training step, as triggers see it.

    Attributes:
        step: the training step.
        scalars: what `rec.log` was given for it.
        origin: the first value that is not finite, None when all are; measured for triggers that need "finite".
        gradient_norm: Euclidean norm of the gradient of all parameters together, as the last backward pass left it,
            before any clipping; None without a backward pass. Measured for triggers that need "gradient_norm" or
            "finite".
        updated: whether an optimizer used that gradient. A gradient scaler skips the update when one overflows.
        read: `read("layer0/read_weights")` gives a field of the step as a numpy array, with the axes of a record.
    """

    step: int
    scalars: Mapping[str, float] = field(default_factory=lambda: _NOTHING)
    origin: Origin | None = None
    gradient_norm: float | None = None
    updated: bool = True
    read: Callable[[str], np.ndarray] = lambda name: np.zeros(0)


@runtime_checkable
class Trigger(Protocol):
    """Decides whether a step is worth keeping. `name` and `needs` are optional attributes; see Observation."""

    def check(self, step: Observation) -> str | None:
        """The reason to keep the last steps, as a phrase; None when there is none."""
        ...


class OnNaN:
    """Fires when a number becomes NaN or infinite: in the forward, in the gradient that an update used, or in a scalar.

    It fires once, and again only after a step in which everything was finite.

    Args:
        scalars: names of the scalars to look at; all of them by default.
    """

    name = "OnNaN"
    needs = frozenset({FINITE})

    def __init__(self, scalars: Collection[str] | None = None) -> None:
        self._scalars = scalars
        self._bad = False

    def check(self, step: Observation) -> str | None:
        """See Trigger.check."""
        reason = self._reason(step)
        before, self._bad = self._bad, reason is not None
        return None if before else reason

    def _reason(self, step: Observation) -> str | None:
        if step.origin is not None:
            return str(step.origin)
        for name, value in step.scalars.items():
            if not math.isfinite(value) and (self._scalars is None or name in self._scalars):
                return f"{name} is {value} at step {step.step}, and no recorded value of the forward is not finite"
        norm = step.gradient_norm
        if norm is not None and not math.isfinite(norm) and step.updated:
            return f"the gradient of step {step.step} is not finite; attach with grads=True to see where"
        return None


class _Spike:
    """Fires when a number is far above what it has been: `factor` times the median of the last `window` steps."""

    def __init__(self, factor: float, window: int, pause: int) -> None:
        if not is_number(factor) or not factor > 1:
            raise RecorderError(f"factor={factor!r}: expected a number above 1")
        if type(window) is not int or window < 2:
            raise RecorderError(f"window={window!r}: expected a number of steps, 2 or more")
        self._factor = factor
        self._window = window
        self._past: deque[float] = deque(maxlen=window)
        self._pause = pause
        self._quiet_until = -1

    def _spike(self, value: float, step: int) -> float | None:
        """The usual value when this one is a spike; remembers the value."""
        full = len(self._past) * 2 >= self._window
        usual = statistics.median(self._past) if full else math.inf
        if math.isfinite(value):
            self._past.append(value)
        # At a loss of zero, or below, a factor says nothing.
        if step < self._quiet_until or usual <= 0 or not value > self._factor * usual or not math.isfinite(value):
            return None
        self._quiet_until = step + self._pause
        return usual


class LossSpike(_Spike):
    """Fires when a scalar given to `rec.log` jumps above `factor` times its median over the last steps.

    Args:
        factor: how far above.
        window: steps that the median is taken over; nothing fires before half of them have been seen.
        scalar: its name.
        pause: steps after firing in which it does not fire again.

    Raises:
        RecorderError: `factor` is not above 1, or `window` is below 2.
    """

    name = "LossSpike"

    def __init__(self, factor: float = 3.0, window: int = 50, *, scalar: str = "loss", pause: int = 50) -> None:
        super().__init__(factor, window, pause)
        self._scalar = scalar

    def check(self, step: Observation) -> str | None:
        """See Trigger.check."""
        if self._scalar not in step.scalars:
            return None
        value = step.scalars[self._scalar]
        usual = self._spike(value, step.step)
        return None if usual is None else f"{self._scalar} {value:.4g} at step {step.step}, after about {usual:.4g}"


class GradientSpike(_Spike):
    """Fires when the norm of the gradient jumps above `factor` times its median over the last steps.

    The norm is that of all parameters together after a backward pass, before any clipping (Pascanu et al. 2013).

    Args:
        factor: how far above.
        window: steps that the median is taken over; nothing fires before half of them have been seen.
        pause: steps after firing in which it does not fire again.

    Raises:
        RecorderError: `factor` is not above 1, or `window` is below 2.
    """

    name = "GradientSpike"
    needs = frozenset({GRADIENT_NORM})

    def __init__(self, factor: float = 10.0, window: int = 50, *, pause: int = 50) -> None:
        super().__init__(factor, window, pause)

    def check(self, step: Observation) -> str | None:
        """See Trigger.check."""
        if step.gradient_norm is None:
            return None
        usual = self._spike(step.gradient_norm, step.step)
        if usual is None:
            return None
        return f"gradient norm {step.gradient_norm:.4g} at step {step.step}, after about {usual:.4g}"


def parse_triggers(on: Trigger | Iterable[Trigger]) -> Sequence[Trigger]:
    """The argument `on` of memviz.attach: triggers, or one.

    Raises:
        RecorderError: something in it is no trigger.
    """
    given: list[Any] = [on] if isinstance(on, Trigger) and not isinstance(on, type) else list(_listed(on))
    triggers = [made() if isinstance(made, type) else made for made in given]
    for trigger in triggers:
        if not isinstance(trigger, Trigger):
            raise RecorderError(
                f"on={trigger!r}: expected triggers such as memviz.recorders.OnNaN(), or objects with a method "
                f"check(step) that returns a reason or None"
            )
        unknown = set(getattr(trigger, "needs", ())) - set(NEEDS)
        if unknown:
            raise RecorderError(f"{name_of(trigger)} needs {', '.join(sorted(unknown))}; known are {', '.join(NEEDS)}")
    return triggers


def _listed(on: Any) -> Iterable[Any]:
    if isinstance(on, type):
        return [on]
    if isinstance(on, str) or not isinstance(on, Iterable):
        raise RecorderError(f"on={on!r}: expected triggers such as [memviz.recorders.OnNaN()]")
    return on


def needs_of(triggers: Iterable[Trigger]) -> frozenset[str]:
    """What the triggers need to be measured."""
    return frozenset(need for trigger in triggers for need in getattr(trigger, "needs", ()))


def name_of(trigger: Trigger) -> str:
    """What a trigger is called in events."""
    return str(getattr(trigger, "name", type(trigger).__name__))
