"""The demos by name. What each shows and what to look for is in docs/demos.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from memviz.errors import UnknownNameError

if TYPE_CHECKING:
    from memviz.demos.tasks.task import Task


def _copy() -> Task:
    from memviz.demos.tasks.copy_task import CopyTask

    return CopyTask()


@dataclass(frozen=True, slots=True)
class Demo:
    """A task and the configuration that learns it, found by measurement on several seeds (docs/demos.md).

    Attributes:
        name: as in `memviz demo NAME`.
        summary: one line for the list of demos.
        task: makes the task; called late, so that listing the demos needs no torch.
        model: arguments of the model besides the sizes of input and output.
        steps: when to give up.
        every: a record every so many steps.
        batch_size: sequences per step.
        learning_rate: of Adam.
        clip: largest norm of the gradient.
        solved: mean wrong bits per sequence below which the task counts as solved.
    """

    name: str
    summary: str
    task: Callable[[], Task]
    model: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    steps: int = 2000
    every: int = 10
    batch_size: int = 32
    learning_rate: float = 5e-3
    clip: float = 1.0
    solved: float = 0.01


_SMALL_DNC = MappingProxyType({"hidden_size": 64, "nr_cells": 16, "cell_size": 16, "read_heads": 2})

DEMOS: Mapping[str, Demo] = MappingProxyType(
    {
        demo.name: demo
        for demo in (
            Demo("copy", "a DNC learns to repeat a sequence: writes in order, then reads in order", _copy, _SMALL_DNC),
        )
    }
)


def names() -> tuple[str, ...]:
    """Names of all demos, in the order of their making."""
    return tuple(DEMOS)


def get(name: str) -> Demo:
    """The demo of this name.

    Raises:
        UnknownNameError: there is none; the message offers the nearest name.
    """
    if name not in DEMOS:
        raise UnknownNameError("demo", name, DEMOS)
    return DEMOS[name]
