"""The two permanent hooks on the attached model, and what becomes of them in copies.

They cost about two microseconds per forward. A deep copy of the model (an average of weights, a teacher) and a pickled
model get inert hooks: a copy never records, and `torch.save(model)` keeps working.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import nn

if TYPE_CHECKING:
    from types import FrameType


class Listener(Protocol):
    """Told when the attached model runs."""

    def before(self, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], frame: FrameType) -> None:
        """A forward begins; `frame` lives as long as it runs."""
        ...

    def after(self, output: Any, failed: bool) -> None:
        """A forward has ended."""
        ...


def inert(*args: Any, **kwargs: Any) -> None:
    """A hook that does nothing: what a copy of a model has in the place of the hooks of the original."""


def _inert() -> Callable[..., None]:
    return inert


class _RootHook:
    def __init__(self, listener: Listener) -> None:
        self.listener = listener

    def __deepcopy__(self, memo: dict[int, Any]) -> Callable[..., None]:
        return inert

    def __reduce__(self) -> tuple[Callable[[], Callable[..., None]], tuple[()]]:
        return _inert, ()


class BeforeForward(_RootHook):
    """Pre-hook of the attached model."""

    def __call__(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Tell the listener, unless this is torch.compile tracing the model: a trace computes nothing."""
        if torch.compiler.is_compiling():
            return
        self.listener.before(module, args, kwargs, sys._getframe(1))


class AfterForward(_RootHook):
    """Post-hook of the attached model, called when its forward raised too."""

    def __call__(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        """Tell the listener."""
        if torch.compiler.is_compiling():
            return
        # torch gives None as the output of a forward that raised, and calls the hook while it handles the exception.
        self.listener.after(output, output is None and sys.exc_info()[0] is not None)


class CompiledCall:
    """Stands in for the compiled call of a module on which `module.compile()` was called.

    Such a module no longer runs its hooks outside the compiled graph; torch drops this attribute from copies.
    """

    def __init__(self, module: nn.Module, compiled: Callable[..., Any], listener: Listener) -> None:
        self.module = module
        self.compiled = compiled
        self.listener = listener

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the compiled call between the two notices."""
        self.listener.before(self.module, args, kwargs, sys._getframe(0))
        try:
            output = self.compiled(*args, **kwargs)
        except BaseException:
            self.listener.after(None, True)
            raise
        self.listener.after(output, False)
        return output


def is_running(frame: FrameType) -> bool:
    """Whether a frame is still on the stack of this thread; after a KeyboardInterrupt no post-hook said goodbye."""
    here: FrameType | None = sys._getframe(1)
    while here is not None:
        if here is frame:
            return True
        here = here.f_back
    return False
