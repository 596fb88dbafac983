"""`memviz.Adapter`: an adapter in one expression, without a class.

memviz.Adapter(
    "my-ntm",
    match="my_package.NTM",
    law="ntm",
    fields={
        "read_weights": "read_head -> [1] : batch slot",     # item 1 of what the submodule read_head returns
        "write_weights": "write_head : batch slot",
        "erase_vectors": "write(erase) : batch word",        # the argument `erase` of the method write
        "read_vectors": "read() : batch word",               # what the method read returns
        "initial/memory": "forward(state) -> .memory",       # an argument of forward
    },
)
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from memviz import fields as catalogue
from memviz.errors import RecorderError
from memviz.recorders.adapters.base import MemoryPlan
from memviz.recorders.probes import InputProbe, MethodProbe, OutputProbe, Probe, same

Match = str | type | Callable[[nn.Module], bool]

_PLACE = re.compile(r"^(?P<path>[\w.]*?)(?:(?:^|(?<=\.)|\b)(?P<method>\w+)\((?P<argument>\w*)\))?$")
_PICK = re.compile(r"\s*(?:\[\s*(-?\d+|'[^']*'|\"[^\"]*\")\s*\]|\.(\w+))")


class Adapter:
    """Knows one class of model, by a table of where its fields are.

    A place is a string "WHERE -> PICK : AXES", of which every part may be left out:

    - WHERE is the path of a submodule (what it returns; "" is the module itself), `path.method()` (what a plain method
      returns) or `path.method(argument)` (one of its arguments, by name or position); `forward` is a module's own.
    - PICK takes the value out of that: `[1]`, `['usage']`, `.memory`, one after another.
    - AXES are the axes of the value, such as `batch slot word`; by default those of the catalogue without time.

    A probe (see memviz.recorders.probes) says what a string cannot.

    Args:
        name: of the adapter.
        fields: where each field is: a field of the catalogue, `initial/<field>`, or a name of your own.
        match: a class, the name of one ("my_package.module.NTM", "my_package.NTM" or "NTM", also a base class), or a
            function that is asked about each module. Without it every module matches that has all places.
        law: the update law, "dnc", "ntm" or "" when there is none that memviz knows.
        attributes: facts for the trace.
        unreachable: fields that the model has and no probe reaches, with the reason.

    Raises:
        RecorderError: a place cannot be read, or nothing says which modules match.
    """

    def __init__(
        self,
        name: str,
        fields: Mapping[str, str | Probe],
        *,
        match: Match | None = None,
        law: str = "",
        attributes: Mapping[str, Any] | None = None,
        unreachable: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.probes: Sequence[Probe] = tuple(
            replace(place, field=field) if isinstance(place, Probe) else read_place(field, place)
            for field, place in fields.items()
        )
        self._match = match
        self._law = law
        self._attributes = dict(attributes or {})
        self._unreachable = dict(unreachable or {})
        if match is None and not any(_names_a_part(probe) for probe in self.probes):
            raise RecorderError(
                f"Adapter({name!r}): nothing says which modules it is for. Give match= a class, its name or a "
                f"function, or a field at a submodule or a method"
            )

    def matches(self, module: nn.Module) -> bool:
        """See memviz.recorders.adapters.base.Adapter."""
        if isinstance(self._match, str):
            return any(self._match in _names_of(kind) for kind in type(module).__mro__)
        if isinstance(self._match, type):
            return isinstance(module, self._match)
        if self._match is not None:
            return bool(self._match(module))
        return all(_has(module, probe) for probe in self.probes)

    def plan(self, module: nn.Module, path: str) -> Sequence[MemoryPlan]:
        """See memviz.recorders.adapters.base.Adapter."""
        kind = f"{type(module).__module__}.{type(module).__qualname__}"
        attributes = {"class": kind, **self._attributes}
        return [MemoryPlan(path or "memory", module, self.probes, self._law, attributes, self._unreachable)]

    def __repr__(self) -> str:
        return f"memviz.Adapter({self.name!r}, {len(self.probes)} fields)"


def read_place(field: str, text: str) -> Probe:
    """The probe that a place describes.

    Raises:
        RecorderError: the text is no place.
    """
    rest, _, axes = text.partition(":")
    where, _, taken = rest.partition("->")
    found = _PLACE.match(where.strip())
    if found is None:
        raise _unreadable(field, text, f"{where.strip()!r} is no path, method() or method(argument)")
    path, method, argument = found["path"].rstrip("."), found["method"], found["argument"]
    keep: Any = "first" if field.startswith(catalogue.INITIAL_PREFIX) else "all"
    common: dict[str, Any] = {"field": field, "path": path, "pick": _read_pick(field, text, taken), "keep": keep}
    common["axes"] = " ".join(axes.split())
    given: str | int | None = int(argument) if (argument or "").isdigit() else argument or None
    if method is None or (method == "forward" and given is None):
        return OutputProbe(**common)
    if method == "forward" and given is not None:
        return InputProbe(argument=given, **common)
    return MethodProbe(method=method, argument=given, **common)


def _read_pick(field: str, text: str, taken: str) -> Callable[[Any], Any]:
    """`[1].memory` as a function."""
    steps: list[tuple[bool, Any]] = []
    place = 0
    taken = taken.strip()
    while place < len(taken):
        found = _PICK.match(taken, place)
        if found is None:
            raise _unreadable(field, text, f"{taken[place:]!r} picks nothing; write [1], ['name'] or .name")
        steps.append((True, ast.literal_eval(found[1])) if found[1] is not None else (False, found[2]))
        place = found.end()
    if not steps:
        return same

    def pick(value: Any) -> Any:
        for item, key in steps:
            value = value[key] if item else getattr(value, key)
        return value

    return pick


def _unreadable(field: str, text: str, why: str) -> RecorderError:
    return RecorderError(
        f"the place {text!r} of {field!r} cannot be read: {why}. Expected 'WHERE -> PICK : AXES', such as "
        f"'head.write(erase) -> [0] : batch word'"
    )


def _names_of(kind: type) -> set[str]:
    """What a class may be called: by its name, in its package, and where it really is."""
    package = kind.__module__.split(".")[0]
    return {kind.__qualname__, f"{package}.{kind.__qualname__}", f"{kind.__module__}.{kind.__qualname__}"}


def _names_a_part(probe: Probe) -> bool:
    return bool(getattr(probe, "path", "") or getattr(probe, "method", ""))


def _has(module: nn.Module, probe: Probe) -> bool:
    try:
        probe.place(module)
    except RecorderError:
        return False
    return True
