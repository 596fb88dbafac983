"""Make the task and the model of a plan; whatever is wrong with its options is said in one line."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from torch import nn

from memviz.demos.models.options import at_least_one, one_of
from memviz.demos.parts import MODELS, TASKS, part
from memviz.demos.plan import Plan
from memviz.demos.tasks.task import Maker, Task
from memviz.errors import MemvizError, OptionError, UnknownNameError


def make_task(plan: Plan) -> Task:
    """The task of a plan.

    Raises:
        UnknownNameError: there is no such task, or it has no such option.
        OptionError: an option, or an entry of the plan, has a value that it cannot have.
    """
    plan.check()
    task: Task = _called(part("task", plan.task, TASKS), f"option of the task {plan.task}", plan.task_options)
    return task


def make_model(plan: Plan, task: Task) -> nn.Module:
    """The model of a plan, made for a task.

    Returns:
        A module that `task.answer` can run.

    Raises:
        UnknownNameError: memviz knows no such model or package, or the model has no such option.
        OptionError: an option has a value that it cannot have.
        MemvizError: the package is not installed.
    """
    defaults = MODELS[plan.model].defaults if plan.model in MODELS else {}
    return task.build(_maker(plan), {**defaults, **plan.model_options})


def _maker(plan: Plan) -> Maker:
    """What `Task.build` calls."""
    if plan.package is None:
        model = part("model", plan.model, MODELS)
    elif plan.package not in PACKAGES:
        raise UnknownNameError("package with a model for the demos", plan.package, PACKAGES)
    else:
        model = PACKAGES[plan.package]()

    def make(*sizes: Any, **options: Any) -> nn.Module:
        named = f"option of the model {plan.package or plan.model}"
        made: nn.Module = _called(model, named, options, sizes)
        return made

    return make


def _called(cls: Callable[..., Any], named: str, options: Mapping[str, Any], sizes: tuple[Any, ...] = ()) -> Any:
    """`cls(*sizes, **options)`, with the errors of bad options as one line of memviz's."""
    known = inspect.signature(cls).parameters
    for name in options:
        if name not in known:
            raise UnknownNameError(named, name, set(known) - {"input_size", "output_size"})
    try:
        return cls(*sizes, **options)
    except MemvizError:
        raise
    except (TypeError, ValueError, RuntimeError) as error:
        given = ", ".join(f"{name}={value!r}" for name, value in options.items())
        raise OptionError(f"{named}: {' '.join(str(error).split())} (given: {given})") from error


def _packaged_dnc() -> Maker:
    try:
        import dnc
    except ImportError as error:
        raise MemvizError(
            "--package dnc trains the class of the package dnc, which is not installed here; pip install dnc==1.1.0"
        ) from error

    def make(
        input_size: int,
        output_size: int,
        hidden_size: int = 64,
        nr_cells: int = 16,
        cell_size: int = 16,
        read_heads: int = 1,
        num_layers: int = 1,
        num_hidden_layers: int = 1,
        rnn_type: str = "lstm",
    ) -> nn.Module:
        # The package checks nothing itself.
        one_of("rnn_type", rnn_type, ("lstm", "gru", "rnn"))
        at_least_one(
            hidden_size=hidden_size,
            nr_cells=nr_cells,
            cell_size=cell_size,
            read_heads=read_heads,
            num_layers=num_layers,
            num_hidden_layers=num_hidden_layers,
        )
        # Its output is as wide as its input, of which the task takes the first channels.
        model: nn.Module = dnc.DNC(
            input_size,
            hidden_size,
            rnn_type=rnn_type,
            num_layers=num_layers,
            num_hidden_layers=num_hidden_layers,
            nr_cells=nr_cells,
            cell_size=cell_size,
            read_heads=read_heads,
        )
        return model

    return make


PACKAGES: Mapping[str, Callable[[], Maker]] = MappingProxyType({"dnc": _packaged_dnc})
"""Third-party classes that train in the same loop."""
