"""Which training step a forward belongs to.

A step is an optimizer update. Recorders learn of updates from torch's hook on all optimizers; a model that no torch
optimizer updates counts training forwards instead, and `rec.log(step=...)` may put that count right.
"""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

MISSED_STEPS = 5
"""Updates without a single forward of the attached model after which something is wrong."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When a counted forward happens.

    Attributes:
        step: the training step; for a model that is only evaluated, the number of forwards before this one.
        forward: number of counted forwards before this one.
        training: False for a forward of a model that has only been evaluated so far.
    """

    step: int
    forward: int
    training: bool


class StepCounter:
    """Counts forwards and optimizer updates of one model.

    Forwards in evaluation mode or without gradients, in between training steps, are not counted. As long as the model
    has never been trained, each of its forwards counts as a step: then the script evaluates.
    """

    def __init__(self, model: nn.Module, start: int = 0) -> None:
        self._parameters = {id(parameter) for parameter in model.parameters()}
        self._known: weakref.WeakKeyDictionary[Any, bool] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()
        self._offset = start
        self._updates = 0
        self._forwards = 0
        self._pending = False  # a training forward has happened since the last update
        self._last: int | None = None
        self._optimized: bool | None = None  # None: not known yet
        self.trained = False
        self.missed = 0
        self._watcher: Callable[[], None] | None = None
        self._handle: Any = None

    @property
    def current(self) -> int:
        """The step of the most recent counted forward, or the one that comes first."""
        return self._offset + self._count() if self._last is None else self._last

    @property
    def optimized(self) -> bool:
        """Whether a torch optimizer is known to update the model."""
        return bool(self._optimized)

    @property
    def forwards(self) -> int:
        """Number of counted forwards so far."""
        return self._forwards

    def listen(self, watcher: Callable[[], None]) -> None:
        """Listen to optimizers from now on; `watcher` is called after each update of this model."""
        self._watcher = watcher
        self._handle = register_optimizer_step_post_hook(self._stepped)

    def stop(self) -> None:
        """Stop listening to optimizers."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def forward(self, model: nn.Module) -> Moment | None:
        """Count a forward that is about to run; None when it is one that does not count."""
        training = model.training and torch.is_grad_enabled()
        with self._lock:
            if not training and self.trained:
                return None
            if training and not self.trained:
                # What an evaluation before the training counted says nothing about training steps.
                self.trained, self._forwards, self._last = True, 0, None
            if training:
                self.missed = 0
                if self._forwards == 1 and self._optimized is None:
                    self._optimized = self._find_optimizer()
            step = self._offset + self._count()
            moment = Moment(step, self._forwards, training)
            self._forwards += 1
            self._pending = self._pending or training
            self._last = step
            return moment

    def correct(self, step: int) -> int:
        """The user says which step the last counted forward was; believed unless an optimizer tells better.

        Returns:
            How far the count was off.
        """
        with self._lock:
            if self._optimized or self._last is None:
                return 0
            difference = step - self._last
            self._offset += difference
            self._last = step
            return difference

    def set(self, step: int) -> None:
        """Make `step` the step of the next forward, as after loading a checkpoint."""
        with self._lock:
            if self._forwards and self._optimized is None:
                self._optimized = self._find_optimizer()
            self._offset = step - self._count()
            self._last = None

    def _count(self) -> int:
        """Steps before the one that is going on."""
        return self._updates if self._optimized else self._forwards

    def _stepped(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        if not self._updates_model(optimizer):
            return
        with self._lock:
            self.missed += 1
            if not self._optimized and self.trained:
                if self._optimized is False and self._last is not None:
                    # Forwards were counted until an optimizer came: go on from there.
                    self._offset = self._last - self._updates
                self._optimized = True
            # Several optimizers may share one backward: one forward, one step.
            if self._pending:
                self._updates += 1
                self._pending = False
        if self._watcher is not None:
            self._watcher()

    def _updates_model(self, optimizer: Any) -> bool:
        known = self._known.get(optimizer)
        if known is None:
            known = any(
                id(parameter) in self._parameters
                for group in getattr(optimizer, "param_groups", ())
                for parameter in group["params"]
            )
            self._known[optimizer] = known
        return known

    def _find_optimizer(self) -> bool:
        """Whether an optimizer of this model exists that has not stepped yet.

        Asked once, at the second training forward without an update in between: with gradient accumulation both
        belong to one step, with a hand-written update they do not.
        """
        return any(
            issubclass(type(thing), torch.optim.Optimizer) and self._updates_model(thing) for thing in gc.get_objects()
        )
