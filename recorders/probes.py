"""Probes: the places in a model where a value is taken, declared by an adapter.

A probe names one field, says where its value appears (what a module returns, what it is given, what passes through a
plain method) and which axes the value has. The n-th value within one forward of the attached model is time n. Probes
do nothing by themselves: for a sampled forward, sites.py turns them into hooks and method wraps.
"""

from __future__ import annotations

import abc
import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from torch import Tensor, nn

from memviz import fields
from memviz.errors import RecorderError
from memviz.recorders.calls import Call

Keep = Literal["all", "first", "last"]
"""Which of the values of one forward are kept: one per time, or only the first, or only the last."""

Ragged = Literal["", "start", "end"]
"""Where values that are shorter than others of the same forward get zeros: nowhere, before or behind their own."""

ArgumentGetter = Callable[[tuple[Any, ...], Mapping[str, Any]], Any]
"""`getter(args, kwargs)` gives the tensor of a call that is about to run, or None when it has none."""

OutputGetter = Callable[[Any], Any]
"""`getter(output)` gives the tensor of a call that has returned, or None when it has none."""


class Place(NamedTuple):
    """Where a probe sits: the object, its method ("" for a hook on a module), and what takes the tensor there.

    `before` says which kind of getter it is, and whether the probe sits before or after the call. With `whole` the
    getter takes a `calls.Call`. For a function, `owners` are the modules inside which a call counts.
    """

    target: Any
    method: str
    before: bool
    getter: Callable[..., Any]
    whole: bool = False
    owners: tuple[nn.Module, ...] = ()


def same(value: Any) -> Any:
    """Pick the value itself."""
    return value


@dataclass(frozen=True, kw_only=True)
class Probe(abc.ABC):
    """What all probes have.

    Attributes:
        field: bare name, such as `read_weights`, `initial/memory`, or a name of your own (then give `axes`).
        pick: takes the tensor out of what the probe sees: the returned value, or the argument. It may return None
            for "not this time".
        axes: axes of the picked tensor, space-separated, in the order that it has them, such as "batch slot word".
            Default: those of the catalogue without `time`. An axis of the catalogue that is left out gets length 1;
            with `time` among them, one call brings all times at once.
        turn, turns: this probe takes calls `turn`, `turn + turns`, ... of its place within one forward, for a module
            or method that is called several times per time.
        finish: applied once to the stacked values [time, *axes], for example to reorder read modes.
        mutable: the model changes this tensor in place after it was picked, so that a copy is taken at once.
        ragged: "start" or "end" where values of one forward may differ in length, as the keys of an attention do while
            a cache grows: zeros go before or behind the shorter ones.
        optional: that no value ever arrives is nothing to report, for what a model has only in some settings.
    """

    field: str
    pick: Callable[[Any], Any] = same
    axes: str = ""
    turn: int = 0
    turns: int = 1
    keep: Keep = "all"
    finish: Callable[[Tensor], Tensor] | None = None
    mutable: bool = False
    ragged: Ragged = ""
    optional: bool = False

    def value_axes(self) -> tuple[str, ...]:
        """The axes of the picked tensor.

        Raises:
            RecorderError: the field is not in the catalogue and the probe declares no axes.
        """
        return value_axes(self.field, tuple(self.axes.split()) or None)

    @abc.abstractmethod
    def place(self, module: nn.Module) -> Place:
        """Where the probe sits in a model.

        Args:
            module: the module of the memory that the probe belongs to.

        Raises:
            RecorderError: the model has no such place.
        """


@dataclass(frozen=True, kw_only=True)
class OutputProbe(Probe):
    """Picks from what a module returns: the memory's own module, or the submodule at the relative `path`."""

    path: str = ""

    def place(self, module: nn.Module) -> Place:
        """See Probe.place."""
        return Place(_submodule(module, self.path, self.field), "", False, self.pick)


@dataclass(frozen=True, kw_only=True)
class InputProbe(Probe):
    """Picks from an argument of a module's forward, before it runs; `argument` is its name or its position."""

    argument: str | int = 0
    path: str = ""

    def place(self, module: nn.Module) -> Place:
        """See Probe.place."""
        target = _submodule(module, self.path, self.field)
        return Place(target, "", True, argument_getter(target.forward, self.argument, self.pick, self.field))


@dataclass(frozen=True, kw_only=True)
class MethodProbe(Probe):
    """Picks from a plain method: from what it returns, or, given `argument`, from that argument before it runs.

    The method is wrapped on the one instance during a sampled forward, and unwrapped after it. `of` finds the object
    that has the method when it is not the module at `path` itself, such as a memory that is no nn.Module.
    """

    method: str
    argument: str | int | None = None
    path: str = ""
    of: Callable[[nn.Module], Any] = same

    def place(self, module: nn.Module) -> Place:
        """See Probe.place."""
        target = self.of(_submodule(module, self.path, self.field))
        function = getattr(target, self.method, None)
        if not callable(function):
            raise RecorderError(_no_method(self.field, target, self.method))
        if self.argument is None:
            return Place(target, self.method, False, self.pick)
        return Place(target, self.method, True, argument_getter(function, self.argument, self.pick, self.field))


@dataclass(frozen=True, kw_only=True)
class CallProbe(Probe):
    """Computes a value from a whole call: its arguments and what it returned.

    Attributes:
        compute: takes a `calls.Call` and gives the value, or None for "not this time". What it computes stays beside
            the model: it runs without gradients, must draw no random numbers and write into nothing. Tensors that
            went through `Call.select` have the recorded batch items alone, and so must the value then.
        method: a plain method to look at; the forward of the module itself when it is "".
    """

    compute: Callable[[Call], Any]
    method: str = ""
    path: str = ""

    def place(self, module: nn.Module) -> Place:
        """See Probe.place."""
        target = _submodule(module, self.path, self.field)
        if self.method and not callable(getattr(target, self.method, None)):
            raise RecorderError(_no_method(self.field, target, self.method))
        return Place(target, self.method, False, self.compute, whole=True)


@dataclass(frozen=True, kw_only=True)
class FunctionProbe(Probe):
    """Computes a value from calls of a function that is no method, while a method of the memory's module runs.

    The function is wrapped where it is looked up, during sampled forwards only. It is passed its arguments and returns
    its result unchanged, so a fused kernel stays the kernel that it is.

    Attributes:
        function: "package.module:name", where callers look it up, such as
            "torch.nn.functional:scaled_dot_product_attention".
        compute: see CallProbe.
        inside: relative paths of the modules of whose methods a call counts as this memory's; the nearest module on
            the stack that any memory names is the one that a call belongs to.
    """

    function: str
    compute: Callable[[Call], Any]
    inside: tuple[str, ...] = ("",)

    def place(self, module: nn.Module) -> Place:
        """See Probe.place."""
        home, _, name = self.function.partition(":")
        try:
            target = importlib.import_module(home)
        except ImportError as error:
            raise RecorderError(f"the probe of {self.field!r} looks into {home!r}: {error}") from error
        if not callable(vars(target).get(name)):
            raise RecorderError(f"the probe of {self.field!r} wraps {name!r}, which {home} does not have")
        owners = tuple(_submodule(module, path, self.field) for path in self.inside)
        return Place(target, name, False, self.compute, whole=True, owners=owners)


def value_axes(field: str, axes: tuple[str, ...] | None) -> tuple[str, ...]:
    """The axes of one value of a field: those declared, or those of the catalogue without `time`.

    Raises:
        RecorderError: the field is not in the catalogue and no axes are declared.
    """
    if axes is not None:
        return axes
    known = fields.lookup(field)
    if known is None:
        raise RecorderError(
            f"{field!r} is not in the catalogue of fields, so its axes must be declared, "
            f'for example axes="batch slot"; axes are never guessed'
        )
    return tuple(axis for axis in known.axes if axis != "time")


def argument_getter(
    function: Callable[..., Any], argument: str | int, pick: Callable[[Any], Any], field: str
) -> ArgumentGetter:
    """A getter of one argument of `function`, whether it is passed by position or by name.

    Raises:
        RecorderError: `function` has no such parameter.
    """
    names = [
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    if isinstance(argument, str):
        if argument not in names:
            raise RecorderError(
                f"the probe of {field!r} reads the argument {argument!r}, but {function.__qualname__} has "
                f"{', '.join(names) or 'none'}; the adapter was written for another version of this model"
            )
        index, name = names.index(argument), argument
    else:
        index, name = argument, names[argument] if argument < len(names) else ""

    def get(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        return args[index] if index < len(args) else kwargs.get(name)

    def get_part(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        value = get(args, kwargs)
        return None if value is None else pick(value)

    return get if pick is same else get_part


def _no_method(field: str, target: Any, method: str) -> str:
    return (
        f"the probe of {field!r} wraps {type(target).__name__}.{method}(), which does not exist; "
        f"the adapter was written for another version of this model"
    )


def _submodule(module: nn.Module, path: str, field: str) -> nn.Module:
    try:
        return module.get_submodule(path)
    except AttributeError as error:
        raise RecorderError(
            f"the probe of {field!r} sits at {path!r}, which {type(module).__name__} does not have: {error}"
        ) from error
