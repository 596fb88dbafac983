"""Any module whose own code calls torch.nn.functional.scaled_dot_product_attention.

The kernel (flash, memory-efficient, math) stays what it is; the weights that it does not give out are computed beside
it, with masks, causality, grouped queries and scale as in the call, before dropout.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator, Sequence
from types import CodeType, FunctionType
from typing import Any

from torch import nn

from memviz.recorders.adapters.base import MemoryPlan
from memviz.recorders.adapters.torch_attention import HOW
from memviz.recorders.shadow import function_probes, sdpa_scores

FUNCTION = "scaled_dot_product_attention"
_MOST_FUNCTIONS = 200


class ScaledDotProductAdapter:
    """Records the attention of modules that call the function; one memory each, one time per call."""

    name = "sdpa"
    generic = True
    claims = False  # modules inside may do the same

    def matches(self, module: nn.Module) -> bool:
        """Whether a method of its class, or a function that one calls, names the function."""
        kind: type = type(module)
        return calls_attention(kind)

    def plan(self, module: nn.Module, path: str) -> Sequence[MemoryPlan]:
        """One memory."""
        kind = f"{type(module).__module__}.{type(module).__qualname__}"
        probes = function_probes(f"torch.nn.functional:{FUNCTION}", sdpa_scores)
        return [MemoryPlan(path or "attention", module, probes, attributes={"class": kind, "how": HOW})]


@functools.lru_cache(maxsize=4096)
def calls_attention(kind: type) -> bool:
    """Whether the code of a class calls the function, itself or through functions of its own package."""
    waiting: list[Any] = [
        member
        for base in kind.__mro__
        if base.__module__.split(".")[0] not in ("torch", "builtins")
        for name, member in vars(base).items()
        if isinstance(member, FunctionType) and name != "__init__"
    ]
    seen: set[int] = set()
    while waiting and len(seen) < _MOST_FUNCTIONS:
        function = inspect.unwrap(waiting.pop())
        if id(function) in seen or not isinstance(function, FunctionType):
            continue
        seen.add(id(function))
        names = set(_names(function.__code__))
        if FUNCTION in names:
            return True
        waiting += [
            value
            for name in names
            if isinstance(value := function.__globals__.get(name), FunctionType)
            and value.__module__.split(".")[0] == function.__module__.split(".")[0]
        ]
    return False


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
