"""Control points: where a value can be replaced in a model before the model uses it, so that a sequence can be rerun.

A recorder never alters a value; an intervention does nothing else. Both know a model through its adapter: an adapter
(or a module of your own, by the plain attribute `memviz_controls`) lists the methods of a memory whose arguments or
results are its fields. The n-th call of such a method within the context is time n.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from memviz.errors import RecorderError
from memviz.recorders.adapters.base import Adapter, MemoryPlan, clean_path, find_plans, resolve
from memviz.recorders.probes import same
from memviz.recorders.tap import ROOT_MEMORY

BEFORE = "before/"
"""Prefix of a state field as it was before this time: `before/memory` is what the write will change."""

Edit = Callable[[int, dict[str, Tensor]], Mapping[str, Tensor]]
"""`edit(time, values)` returns the fields to replace, and what by; `values` holds all fields of one control point."""


@dataclass(frozen=True)
class Access:
    """Where one field sits in the arguments of a method, or in its result.

    Attributes:
        path: the name of the argument, then keys into it (of a dict, a tuple, a named tuple); for a result, keys only.
        to: makes the tensor canonical (axes and order of the catalogue, without time).
        back: the inverse of `to`.
    """

    path: tuple[str | int, ...]
    to: Callable[[Tensor], Tensor] = same
    back: Callable[[Tensor], Tensor] = same


@dataclass(frozen=True)
class ControlPoint:
    """A method of a memory's module whose arguments (or result) can be replaced.

    Attributes:
        method: its name.
        fields: canonical names of the fields and where they sit; see `BEFORE`.
        result: the fields are in what the method returns, not in its arguments.
        turn, turns: of the calls, those numbered turn, turn + turns, ... belong to this memory.
    """

    method: str
    fields: Mapping[str, Access]
    result: bool = False
    turn: int = 0
    turns: int = 1


@runtime_checkable
class Controlling(Protocol):
    """An adapter that also knows control points."""

    def controls(self, plan: MemoryPlan) -> Sequence[ControlPoint]:
        """The control points of one memory that it planned."""
        ...


@dataclass(frozen=True)
class Controls:
    """The control points of one memory of a model."""

    memory: str
    module: nn.Module
    points: Sequence[ControlPoint]


def find_controls(model: nn.Module, adapter: Adapter | type | str | None = None) -> dict[str, Controls]:
    """The memories of a model that can be controlled, by name."""
    adapters = resolve(adapter)
    by_name = {found.name: found for found in adapters}
    found: dict[str, Controls] = {}
    for plan in find_plans(model, adapters, lambda _path, _error: None):
        owner = by_name.get(plan.adapter)
        if isinstance(owner, Controlling):
            found[plan.name] = Controls(plan.name, plan.module, owner.controls(plan))
    for path, module in model.named_modules():
        points = getattr(module, "memviz_controls", None)
        if points:
            name = clean_path(path) or ROOT_MEMORY
            found[name] = Controls(name, module, points)
    return found


@contextlib.contextmanager
def controlled(controls: Controls, needs: Sequence[str], edit: Edit) -> Iterator[None]:
    """Run `edit` at every time of a memory, for one forward of the model inside the context.

    Args:
        controls: the memory.
        needs: the fields that the edit reads or replaces; the control points that have them all are used.
        edit: what to replace.

    Raises:
        RecorderError: no control point has these fields.
    """
    points = [point for point in controls.points if set(needs) <= set(point.fields)]
    if not points:
        known = sorted({name for point in controls.points for name in point.fields})
        raise RecorderError(
            f"memory {controls.memory!r} gives no control over {', '.join(needs)} at one place; "
            f"its control points have {', '.join(known)}"
        )
    # One place is enough: a value that passes twice would be edited twice.
    point, module = points[0], controls.module
    original = getattr(module, point.method)
    previous = vars(module).get(point.method)
    vars(module)[point.method] = _wrapped(original, point, edit)
    try:
        yield
    finally:
        if previous is None:
            del vars(module)[point.method]
        else:
            vars(module)[point.method] = previous


def _wrapped(original: Callable[..., Any], point: ControlPoint, edit: Edit) -> Callable[..., Any]:
    calls = 0
    signature = inspect.signature(original)

    def change(holder: Any) -> Any:
        values = {name: access.to(_get(holder, access.path)) for name, access in point.fields.items()}
        for name, value in edit(calls // point.turns, values).items():
            access = point.fields[name]
            holder = _set(holder, access.path, access.back(value))
        return holder

    @functools.wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        mine = calls % point.turns == point.turn
        if mine and not point.result:
            bound = signature.bind(*args, **kwargs)
            # Keys of the first level are argument names, so the arguments are edited like any other dict.
            bound.arguments = change(dict(bound.arguments))
            args, kwargs = bound.args, bound.kwargs
        output = original(*args, **kwargs)
        if mine and point.result:
            output = change(output)
        calls += 1
        return output

    return wrapper


def _get(holder: Any, path: Sequence[str | int]) -> Any:
    for key in path:
        holder = getattr(holder, key) if _is_named(holder) and isinstance(key, str) else holder[key]
    return holder


def _set(holder: Any, path: Sequence[str | int], value: Any) -> Any:
    """A copy of a nest of dicts and tuples with one leaf replaced."""
    if not path:
        return value
    key, rest = path[0], path[1:]
    inner = _set(_get(holder, (key,)), rest, value)
    if isinstance(holder, dict):
        return {**holder, key: inner}
    if _is_named(holder) and isinstance(key, str):
        return holder._replace(**{key: inner})
    items = [inner if index == key else item for index, item in enumerate(holder)]
    return type(holder)(items)


def _is_named(holder: Any) -> bool:
    return isinstance(holder, tuple) and hasattr(holder, "_replace")
