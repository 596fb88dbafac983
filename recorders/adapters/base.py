"""What an adapter is, and how the adapters that fit a model are found.

An adapter knows one class of model: where its memories are, which update law they follow, and which probes bring their
fields. Third parties add theirs through the entry point group `memviz.adapters`; docs/adapters.md shows one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

from torch import nn

from memviz import plugins
from memviz.errors import RecorderError, UnknownNameError
from memviz.recorders.probes import Probe

GROUP = "memviz.adapters"

_WRAPPERS = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""Names under which wrappers (DistributedDataParallel, torch.compile, FSDP) hold the module that they wrap."""


@dataclass(frozen=True)
class MemoryPlan:
    """One memory of a model: what it is called, how it evolves, and where its fields are found.

    Attributes:
        name: as it will be called in the trace, the path of its module ("memory" when that is the model itself).
        module: the module that the paths of the probes start from.
        probes: where the values are.
        law: the update law, "" when none is known; see memviz.analysis.rules.
        attributes: facts for the trace, such as {"layer": 0, "allocation_delta": 1e-6}.
        unreachable: fields of the catalogue that this kind of memory has and no probe reaches, with the reason.
        adapter: name of the adapter; filled in by `find_plans`.
    """

    name: str
    module: nn.Module
    probes: Sequence[Probe]
    law: str = ""
    attributes: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    unreachable: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    adapter: str = ""


@runtime_checkable
class Adapter(Protocol):
    """Knows one class of model.

    Match by structure or by `type(module).__mro__`, never by the name of the type alone: FSDP renames classes. With a
    class attribute `claims = False`, modules inside one that matches are looked at too. With `generic = True` it knows
    a building block of many models: it is tried after the others, not inside what they know, and on a model that taps
    only when asked for.
    """

    name: str

    def matches(self, module: nn.Module) -> bool:
        """Whether this adapter knows the module. Cheap, and never raises for a stranger."""
        ...

    def plan(self, module: nn.Module, path: str) -> Sequence[MemoryPlan]:
        """The memories inside a module that matches.

        Args:
            module: the module.
            path: its path in the attached model, "" for the model itself.

        Raises:
            NoAdapterError: the module is of the right family, but of a kind that this adapter cannot record.
        """
        ...


def clean_path(path: str) -> str:
    """A module path without the names that wrappers add: `module.encoder._orig_mod.cell` gives `encoder.cell`."""
    return ".".join(part for part in path.split(".") if part not in _WRAPPERS)


def resolve(adapter: Adapter | type | str | None) -> list[Adapter]:
    """The adapters to try: the one given (an object, a class or the name of an entry point), or all installed ones.

    Raises:
        UnknownNameError: no adapter has the name given.
        RecorderError: what was given is no adapter.
    """
    if adapter is None or isinstance(adapter, str):
        installed = {name: found() if isinstance(found, type) else found for name, found in plugins.load(GROUP)}
        if adapter is None:
            return sorted(installed.values(), key=lambda one: getattr(one, "generic", False))
        if adapter not in installed:
            raise UnknownNameError("adapter", adapter, installed)
        return [installed[adapter]]
    made = adapter() if isinstance(adapter, type) else adapter
    if not isinstance(made, Adapter):
        raise RecorderError(
            f"adapter={adapter!r} is no adapter: it needs a `name` and the methods matches(module) and "
            f"plan(module, path); see docs/adapters.md"
        )
    return [made]


def find_plans(
    model: nn.Module, adapters: Sequence[Adapter], declined: Callable[[str, Exception], None]
) -> Iterator[MemoryPlan]:
    """Yield the memories that the adapters find, from the outside in.

    Inside a module that an adapter has claimed nobody looks further. Names that two memories share get a number.

    Args:
        model: the attached model.
        adapters: tried in order on each module.
        declined: called with the module's path and the error when an adapter matches but cannot plan.
    """
    taken: set[str] = set()
    claimed: list[str] = []
    known: list[str] = []
    for path, module in model.named_modules():
        if _inside(path, claimed):
            continue
        for adapter in adapters:
            generic = getattr(adapter, "generic", False)
            if (generic and _inside(path, known)) or not _matches(adapter, module, declined, path):
                continue
            if getattr(adapter, "claims", True):
                claimed.append(path)
            if not generic:
                known.append(path)
            try:
                plans = adapter.plan(module, clean_path(path))
            except Exception as error:  # an adapter is foreign code: whatever it raises is told, not suffered
                declined(path, error)
                break
            for plan in plans:
                yield _named(plan, adapter, taken)
            break


def _inside(path: str, outer: Sequence[str]) -> bool:
    return any(not one or path.startswith(f"{one}.") for one in outer)


def _matches(adapter: Adapter, module: nn.Module, declined: Callable[[str, Exception], None], path: str) -> bool:
    try:
        return adapter.matches(module)
    except Exception as error:
        declined(path, error)
        return False


def _named(plan: MemoryPlan, adapter: Adapter, taken: set[str]) -> MemoryPlan:
    name, number = plan.name or "memory", 1
    while name in taken:
        number += 1
        name = f"{plan.name}-{number}"
    taken.add(name)
    return MemoryPlan(
        name, plan.module, plan.probes, plan.law, plan.attributes, plan.unreachable, plan.adapter or adapter.name
    )
