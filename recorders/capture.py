"""One sampled forward while it runs: which channels exist and the references collected so far.

Values are kept as plain references, which costs a list append, and stacked once when the forward ends. A reference is
only as good as nobody writes into its tensor, so the version counter is kept with it and compared at the end.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import FrameType, MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from memviz.recorders.probes import Keep
from memviz.recorders.steps import Moment

if TYPE_CHECKING:
    from collections.abc import Callable

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Channel:
    """Where the values of one field of one memory come together.

    `axes` are those of one value as the probe hands it over; see memviz.recorders.probes.Probe.
    """

    memory: str
    field: str
    axes: tuple[str, ...]
    keep: Keep = "all"
    finish: Callable[[Tensor], Tensor] | None = None
    mutable: bool = False

    @property
    def full_name(self) -> str:
        """`<memory>/<field>`."""
        return f"{self.memory}/{self.field}"


@dataclass(frozen=True, slots=True)
class MemoryInfo:
    """What a trace says about a memory besides its fields."""

    law: str = ""
    attributes: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    tapped: bool = False


class Capture:
    """The references collected during one sampled forward, in one thread.

    Attributes:
        channels: those of the probes first, then those that taps opened.
        values, versions: per channel, the tensors in the order of their arrival and their version counters then.
        calls: per site, how often it was called.
        nanoseconds: time spent collecting.
        frame: the Python frame of the forward, which tells a nested forward from one that was interrupted.
    """

    __slots__ = (
        "_cloned_names",
        "calls",
        "channels",
        "cloned",
        "frame",
        "labels",
        "memories",
        "moment",
        "nanoseconds",
        "on_error",
        "tap_cache",
        "tap_channels",
        "tap_paths",
        "values",
        "versions",
    )

    def __init__(
        self,
        moment: Moment,
        channels: list[Channel],
        sites: int,
        cloned: set[str],
        memories: Mapping[str, MemoryInfo],
        labels: Mapping[str, Any],
        on_error: Callable[[Exception, str], None],
    ) -> None:
        self.moment = moment
        self.channels = channels
        self._cloned_names = cloned
        self.cloned = [channel.mutable or channel.full_name in cloned for channel in channels]
        self.memories = dict(memories)
        self.labels = labels
        self.on_error = on_error
        self.values: list[list[Tensor]] = [[] for _ in channels]
        self.versions: list[list[int]] = [[] for _ in channels]
        self.calls = [0] * sites
        self.nanoseconds = 0
        self.frame: FrameType | None = None
        self.tap_channels: dict[str, int] = {}
        self.tap_paths: dict[int, tuple[str, nn.Module]] | None = None
        self.tap_cache: tuple[FrameType, tuple[str, nn.Module]] | None = None

    def put(self, index: int, value: Tensor) -> None:
        """Keep one value of a channel."""
        if torch._C._functorch.peek_interpreter_stack() is not None:
            value = unwrap(value)
        values, keep = self.values[index], self.channels[index].keep
        if keep == "first" and values:
            return
        if self.cloned[index] or value.is_inference():
            # Inference tensors have no version counter, so a later write into them could not be noticed.
            with torch.no_grad():
                value = value.detach().clone()
        if keep == "last":
            values.clear()
            self.versions[index].clear()
        values.append(value)
        self.versions[index].append(0 if value.is_inference() else value._version)

    def overwritten(self, index: int) -> bool:
        """Whether anybody wrote into a kept tensor since it was kept."""
        for value, version in zip(self.values[index], self.versions[index], strict=True):
            if not value.is_inference() and value._version != version:
                return True
        return False

    def add_channel(self, channel: Channel) -> int:
        """Open a channel that no probe declared, for a tap or for the model's own input and output."""
        self.channels.append(channel)
        self.cloned.append(channel.mutable or channel.full_name in self._cloned_names)
        self.values.append([])
        self.versions.append([])
        return len(self.channels) - 1


def unwrap(value: Tensor) -> Tensor:
    """The plain tensor behind the wrappers of torch.func; the axis that a vmap hides comes to the front.

    Inside `vmap` a value lacks the mapped axis, and a wrapper must not leave its level.
    """
    functorch = torch._C._functorch
    while functorch.is_functorch_wrapped_tensor(value):
        hidden = functorch.maybe_get_bdim(value) if functorch.is_batchedtensor(value) else -1
        value = functorch.get_unwrapped(value)
        if hidden > 0:
            from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack

            with temporarily_clear_interpreter_stack(), torch.no_grad():
                value = value.movedim(hidden, 0)
    return value


class _OpenCaptures(threading.local):
    def __init__(self) -> None:
        self.captures: list[Any] = []


_open = _OpenCaptures()


def open_captures() -> list[Any]:
    """The (recorder, capture) pairs open in this thread, outermost first; `tap` hands its values to all of them."""
    captures: list[Any] = _open.captures
    return captures
