"""One call of a module, method or function, with its arguments and its result: what probes compute a quantity from.

Attention kernels do not say which weights they used, and nn.LSTM not what its cells held. Such a quantity is computed a
second time beside the model, for the recorded batch items alone, in a context from which nothing reaches the model.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any

import torch
from torch import Tensor

Choose = Callable[[int], Sequence[int]]
"""`choose(size)` gives the positions to record of a batch of `size` items."""


def positions(items: Sequence[int], device: torch.device) -> Tensor:
    """Positions as an index on a device; with `torch.tensor(items, device=...)` we would wait for the whole GPU."""
    return torch.tensor(items).to(device, non_blocking=True)


class Call:
    """A call that has returned.

    Attributes:
        module: the module that was called, or inside which the function was called.
        args: positional arguments.
        kwargs: keyword arguments.
        output: what it returned.
        size: number of items in the batch, once `select` has been used; None before.
    """

    __slots__ = ("_choose", "_shared", "args", "kwargs", "module", "output", "size")

    def __init__(
        self,
        module: Any,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        output: Any,
        choose: Choose | None = None,
        shared: dict[Any, Any] | None = None,
    ) -> None:
        self.module = module
        self.args = args
        self.kwargs = kwargs
        self.output = output
        self.size: int | None = None
        self._choose = choose
        self._shared = {} if shared is None else shared

    def argument(self, position: int, name: str, default: Any = None) -> Any:
        """An argument by position or name, whichever way it was passed; `default` where it was not."""
        return self.args[position] if position < len(self.args) else self.kwargs.get(name, default)

    def once(self, compute: Callable[[Call], Any]) -> Any:
        """What `compute(call)` gives, worked out once for all probes that look at this call."""
        if compute not in self._shared:
            self._shared[compute] = (compute(self), self.size)
        value, self.size = self._shared[compute]
        return value

    def select(self, value: Tensor, axis: int = 0) -> Tensor:
        """The batch items to record of a tensor with the batch along `axis`; a batch of one there stands for all.

        A value computed from selected tensors has the recorded items alone, which the recorder knows by this call.
        """
        size = int(value.shape[axis])
        if self._choose is None or (size == 1 and self.size is not None):
            return value
        items = tuple(self._choose(size))
        if not items:
            return value  # the recorder says so itself when the forward ends
        self.size = size
        if items == tuple(range(size)):
            return value
        if items == tuple(range(items[0], items[0] + len(items))):
            return value.narrow(axis, items[0], len(items))
        return value.index_select(axis, positions(items, value.device))


@contextlib.contextmanager
def beside(device: torch.device) -> Iterator[None]:
    """Compute without gradients, in the numbers' own precision, and unseen by the modes that the model runs under."""
    with torch.no_grad(), torch._C.DisableTorchFunction(), torch.autocast(device.type, enabled=False):
        yield


def owner_on_stack(owners: Mapping[int, Any], frame: FrameType | None) -> int | None:
    """The key of the nearest object whose method is on the stack, None when none of them is.

    Args:
        owners: objects by their id.
        frame: where to begin.
    """
    while frame is not None:
        # Only a method's own first argument names its object: asking for all locals of every frame is slow.
        code = frame.f_code
        if code.co_argcount and code.co_varnames[0] == "self":
            key = id(frame.f_locals.get("self"))
            if key in owners:
                return key
        frame = frame.f_back
    return None


def aliases(function: Any, owners: Sequence[Any]) -> list[tuple[Any, str]]:
    """The modules of Python code in which the classes of `owners` know a function by a name of their own."""
    names = {kind.__module__ for owner in owners for kind in type(owner).__mro__}
    homes = [sys.modules[name] for name in sorted(names) if name in sys.modules and name.split(".")[0] != "torch"]
    return [(home, name) for home in homes for name, value in list(vars(home).items()) if value is function]
