"""The demos by name: a plan each that is known to learn. What each shows and what to look for is in docs/demos.md."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

from memviz.demos.parts import MODELS, TASKS, part
from memviz.demos.plan import Plan
from memviz.errors import UnknownNameError


@dataclass(frozen=True, slots=True)
class Demo:
    """A configuration that learns its task, found by measurement on several seeds (docs/demos.md).

    Attributes:
        name: as in `memviz demo NAME`.
        summary: one line for the list of demos.
        expected: how long it takes on one slow core, for the list of demos; of a trained one, to play it.
        plan: the configuration.
        configs: other configurations by name: changes of the plan.
        trained: whether a trained model comes with memviz, because training takes longer than anyone waits.
    """

    name: str
    summary: str
    expected: str
    plan: Plan
    configs: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: MappingProxyType({}))
    trained: bool = False


_SMALL_DNC = MappingProxyType({"hidden_size": 64, "nr_cells": 16, "cell_size": 16, "read_heads": 2})
_SMALL_NTM = MappingProxyType({"hidden_size": 64, "nr_cells": 16, "cell_size": 16})

_REVERSE_CONFIGS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        f"m{m}d{d}": {
            "model_options": {"nr_cells": slots, "cell_size": words},
            "task_options": {"width": width, "longest": longest},
        }
        for m, (slots, words) in enumerate(((8, 8), (16, 16), (32, 20)), start=1)
        for d, (width, longest) in enumerate(((4, 4), (6, 8), (8, 12)), start=1)
    }
)
"""How much memory (m) against how much data (d). The repository with such names gives no definition: these are ours."""

_BABI_CONFIGS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "two": {
            "task_options": {"tasks": "2", "supervision": 1.0, "solved": 0.02},
            "batch_size": 64,
            "every": 10,
            "steps": 6000,
            "learning_rate": 2e-3,
        },
        "joint": {
            "task_options": {"tasks": "joint", "supervision": 1.0},
            "model_options": {"episode": "soft", "dim": 64, "word_size": 64},
            "batch_size": 64,
            "every": 100,
            "steps": 20000,
            "learning_rate": 1e-3,
        },
    }
)
"""The second task with supervised gates, and one network for all twenty."""

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
                configs=_REVERSE_CONFIGS,
            ),
            Demo(
                "recall",
                "a DNC learns which item came after another: writes each beside the one before it, then looks it up",
                "1 min",
                Plan("recall", model_options=_SMALL_DNC, learning_rate=3e-3, batch_size=64, steps=6000),
            ),
            Demo(
                "repeat",
                "an NTM learns to say a sequence several times over and then to stop: its head goes round and round",
                "1 min",
                Plan(
                    "repeat",
                    {"longest": 3, "most": 3, "solved": 0.1},
                    model="ntm",
                    model_options=_SMALL_NTM,
                    decay=4000,
                    steps=4000,
                ),
            ),
            Demo(
                "sort",
                "a DNC learns to say items in the order of their priority: keeps them on a scale, looks up the next",
                "3 s",
                Plan(
                    "sort",
                    {"shortest": 2, "longest": 6, "solved": 0.5},
                    model_options={**_SMALL_DNC, "read_heads": 4},
                    learning_rate=4e-3,
                    decay=4000,
                    steps=4000,
                    check_every=250,
                ),
                trained=True,
            ),
            Demo(
                "ngrams",
                "an NTM learns to count what follows on what, and predicts nearly as well as Bayes' rule",
                "6 s",
                Plan(
                    "ngrams",
                    {"order": 3, "length": 50, "solved": 1.0},
                    model="ntm",
                    model_options=_SMALL_NTM,
                    decay=1500,
                    check_every=100,
                    check_batches=20,
                ),
                trained=True,
            ),
            Demo(
                "argmax",
                "a DNC learns to find the item with the largest value",
                "3 s",
                Plan("argmax", model_options=_SMALL_DNC, learning_rate=4e-3, decay=3000, steps=4000, check_every=250),
                trained=True,
            ),
            Demo(
                "adding",
                "a DNC learns to add the two numbers that are marked among many",
                "3 s",
                Plan(
                    "adding",
                    {"longest": 10, "solved": 0.02},
                    model_options=_SMALL_DNC,
                    decay=2500,
                    steps=4000,
                    check_every=250,
                ),
                trained=True,
            ),
            Demo(
                "babi",
                "a dynamic memory network learns to answer questions about a story: finds the fact that matters",
                "10 s",
                Plan(
                    "babi",
                    {"solved": 0.002},
                    model="dmn",
                    model_options={"variant": "plus", "hops": 3, "dim": 40, "word_size": 40},
                    every=2,
                    learning_rate=3e-3,
                    clip=5.0,
                ),
                configs=_BABI_CONFIGS,
            ),
            Demo(
                "choices",
                "a dynamic memory network answers the same questions by one of four choices, with a memory for each",
                "20 s",
                Plan(
                    "choices",
                    model="dmn-choice",
                    model_options={
                        "encoder": "positional",
                        "normalise": "scores",
                        "answer": "match",
                        "hops": 3,
                        "dim": 40,
                        "word_size": 40,
                    },
                    every=10,
                    learning_rate=3e-3,
                    clip=5.0,
                ),
            ),
        )
    }
)


def names() -> tuple[str, ...]:
    """Names of all demos, in the order of their making."""
    return tuple(DEMOS)


def trainable() -> tuple[str, ...]:
    """Names that `planned` takes: the demos, and the tasks that have no demo of their name."""
    return tuple(dict.fromkeys((*DEMOS, *TASKS)))


def get(name: str) -> Demo:
    """The demo of this name.

    Raises:
        UnknownNameError: there is none; the message offers the nearest name.
    """
    if name not in DEMOS:
        raise UnknownNameError("demo", name, DEMOS)
    return DEMOS[name]


def planned(name: str, config: str | None = None, **changes: Any) -> Plan:
    """The plan of a demo, or of a task that has no demo, with changes.

    Args:
        name: of a demo or a task.
        config: one of the demo's configurations.
        **changes: entries of the plan; None changes nothing. With another model, those options of the demo's model
            are kept that it has too.

    Raises:
        UnknownNameError: no demo or task has this name, or the demo no such configuration.
    """
    demo = DEMOS.get(name)
    if demo is None and name not in TASKS:
        raise UnknownNameError("demo or task", name, {**DEMOS, **TASKS})
    plan = demo.plan if demo else Plan(name)
    configs = demo.configs if demo else {}
    if config is not None:
        if config not in configs:
            raise UnknownNameError(f"configuration of {name}", config, configs)
        plan = plan.but(**configs[config])
    model = changes.get("model")
    if model is not None and model != plan.model:
        known = inspect.signature(part("model", model, MODELS)).parameters
        kept = {option: value for option, value in plan.model_options.items() if option in known}
        plan = replace(plan, model=model, model_options=kept)
    return plan.but(**changes)


def trained_file(name: str) -> Path:
    """Where the trained model of a demo is."""
    return Path(str(resources.files("memviz.demos"))) / "checkpoints" / f"{name}.safetensors"


def shipped() -> tuple[str, ...]:
    """Names of the trained models that come with memviz."""
    folder = Path(str(resources.files("memviz.demos"))) / "checkpoints"
    return tuple(sorted(file.stem for file in folder.glob("*.safetensors")))
