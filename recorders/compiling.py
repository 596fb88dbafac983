"""torch.compile: sampled forwards run eagerly, because compiled code runs no hooks that came after it was compiled.

`torch.compiler.set_stance("force_eager")` neither compiles nor recompiles anything, and the next forward runs the
compiled code as before.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import nn


class Stances:
    """Decides whether a sampled forward of a model needs the eager stance, and takes it.

    Args:
        model: the attached model.
        looks: whether anything looks into a forward; False where compiled code itself leaves what is recorded.
    """

    def __init__(self, model: nn.Module, looks: bool = True) -> None:
        self._model = model
        self._looks = looks
        self._needed = False

    def enter(self) -> Any:
        """Take the eager stance; returns what `leave` wants back, None when nothing is compiled in this process."""
        if not self._looks:
            return None
        # Asked at every sampled forward, since anybody may compile at any time. Not asking costs 50 us instead.
        self._needed = self._needed or _anything_compiled() or is_compiled(self._model)
        return torch.compiler.set_stance("force_eager") if self._needed else None

    def leave(self, stance: Any) -> None:
        """Take back the stance that was."""
        if stance is not None:
            stance.__exit__(None, None, None)


def is_compiled(module: nn.Module) -> bool:
    """Whether the module is the result of torch.compile, or its own `compile()` was called."""
    return "_orig_mod" in module._modules or module._compiled_call_impl is not None


def _anything_compiled() -> bool:
    """Whether anybody has called torch.compile in this process. Unsure counts as yes."""
    dynamo = sys.modules.get("torch._dynamo.eval_frame")
    if dynamo is None:
        return False
    backends = getattr(dynamo, "cached_backends", None)
    return backends is None or any(backend is not None for backend in backends.values())
