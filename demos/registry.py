"""The demos by name: a plan each that is known to learn. What each shows and what to look for is in docs/demos.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from memviz.demos.plan import Plan
from memviz.errors import UnknownNameError


@dataclass(frozen=True, slots=True)
class Demo:
    """A configuration that learns its task, found by measurement on several seeds (docs/demos.md).

    Attributes:
        name: as in `memviz demo NAME`.
        summary: one line for the list of demos.
        expected: how long it takes on one slow core, for the list of demos.
        plan: the configuration.
    """

    name: str
    summary: str
    expected: str
    plan: Plan


_SMALL_DNC = MappingProxyType({"hidden_size": 64, "nr_cells": 16, "cell_size": 16, "read_heads": 2})

DEMOS: Mapping[str, Demo] = MappingProxyType(
    {
        demo.name: demo
        for demo in (
            Demo(
                "copy",
                "a DNC learns to repeat a sequence: writes in order, then reads in order",
                "15 s",
                Plan("copy", model="dnc", model_options=_SMALL_DNC),
            ),
            Demo(
                "reverse",
                "a DNC learns to say a sequence backward: follows its links against the order of writing",
                "20 s",
                Plan("reverse", model="dnc", model_options=_SMALL_DNC),
            ),
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
