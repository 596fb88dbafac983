"""What can be recorded in a model: memories that adapters know, and code that taps."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

from torch import nn

from memviz import fields as catalogue
from memviz.errors import MissingFieldError, NoAdapterError, UnknownNameError
from memviz.recorders import explain
from memviz.recorders.adapters.base import Adapter, MemoryPlan, find_plans, resolve
from memviz.recorders.selection import FieldChoice
from memviz.recorders.static import static_plans
from memviz.recorders.tap import tap

_FOREIGN = ("torch", "numpy", "builtins", "typing", "collections", "abc", "functools")
_MOST_FUNCTIONS = 5000


def discover(
    model: nn.Module, adapter: Adapter | type | str | None, choice: FieldChoice, strict: bool
) -> tuple[list[MemoryPlan], list[str]]:
    """The memories that adapters find, and what there is to say about what they do not.

    Raises:
        NoAdapterError: strict, and there is nothing to record; or an adapter matches what it cannot record.
        MissingFieldError: strict, and a field was asked for that no adapter reaches and nothing can tap.
        UnknownNameError: a field was asked for that nobody knows.
    """
    declined: list[tuple[str, Exception]] = []
    taps = calls_tap(model)
    adapters = resolve(adapter)
    if taps and adapter is None:
        # Whoever taps has said what is worth recording; the building blocks around it are not.
        adapters = [one for one in adapters if not getattr(one, "generic", False)]
    plans = static_plans(model)
    if plans and adapter is None:
        adapters = [one for one in adapters if not getattr(one, "generic", False)]
    plans += find_plans(model, adapters, lambda path, error: declined.append((path, error)))
    notes = [f"{path or type(model).__name__}: {error}" for path, error in declined]
    if not plans and not taps:
        if strict:
            raise NoAdapterError("; ".join(notes) or explain.no_source(model)) from (
                declined[0][1] if declined else None
            )
        notes = notes or [explain.no_source(model)]
    if not taps:
        _check_names(plans, choice, strict)
    return plans, notes


def _check_names(plans: list[MemoryPlan], choice: FieldChoice, strict: bool) -> None:
    """Whether every field asked for by name can come from an adapter."""
    reachable = {f"{catalogue.MODEL}/{name}" for name in ("input", "output", "target")}
    for plan in plans:
        for probe in plan.probes:
            reachable |= {f"{plan.name}/{probe.field}", f"{plan.name}/{catalogue.FINAL_PREFIX}{probe.field}"}
    bare = {catalogue.bare_name(name) for name in reachable}
    for name in sorted(choice.names - reachable - bare):
        reasons = [plan.unreachable[name] for plan in plans if name in plan.unreachable]
        known = catalogue.lookup(catalogue.bare_name(name)) is not None
        if not known:
            raise UnknownNameError("field", name, {*bare, *reachable} if "/" in name else bare)
        if strict:
            raise MissingFieldError(
                f"fields asks for {name!r}, which no adapter reaches in this model"
                f"{': ' + reasons[0] if reasons else ''}. Reachable: {', '.join(sorted(bare))}"
            )


def calls_tap(model: nn.Module) -> bool:
    """Whether the code of the model calls `memviz.tap`, in its methods or in functions that they call.

    Reads the compiled code of the methods of its modules and follows the global names in it. A tap that is reached in
    another way stays unseen here, but is recorded all the same (with strict=False).
    """
    waiting: list[Any] = list({kind for module in model.modules() for kind in type(module).__mro__})
    seen: set[int] = set()
    while waiting and len(seen) < _MOST_FUNCTIONS:
        thing = waiting.pop()
        if id(thing) in seen or str(getattr(thing, "__module__", "")).split(".")[0] in _FOREIGN:
            continue
        seen.add(id(thing))
        if isinstance(thing, type):
            waiting += [f for value in vars(thing).values() for f in _functions(value)]
        elif thing is tap:
            return True
        elif isinstance(thing, FunctionType):
            inner = inspect.unwrap(thing)  # a decorator may stand for anything
            waiting += _called(inner) if isinstance(inner, FunctionType) else []
    return False


def _functions(member: Any) -> Iterator[FunctionType]:
    """The functions behind a member of a class."""
    for function in (member, getattr(member, "__func__", None), getattr(member, "fget", None)):
        if isinstance(function, FunctionType):
            yield function


def _called(function: FunctionType) -> Iterator[Any]:
    """Functions and classes that the code of a function names: closed over, global, or a member of a module."""
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):  # an empty cell
            if isinstance(cell.cell_contents, FunctionType | type):
                yield cell.cell_contents
    names = set(_names(function.__code__))
    for name in names:
        value = function.__globals__.get(name)
        if isinstance(value, ModuleType):
            if value.__name__.split(".")[0] not in _FOREIGN:
                for member in names & vars(value).keys():
                    yield vars(value)[member]
                if value.__name__ == "memviz" and "tap" in names:
                    yield tap
        elif isinstance(value, FunctionType | type):
            yield value


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
