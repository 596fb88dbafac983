"""One sampled forward while it runs: which channels exist and the references collected so far.

Values are kept as plain references, which costs a list append, and stacked once when the forward ends. A reference is
only as good as nobody writes into its tensor, so the version counter is kept with it and compared at the end.
"""

from __future__ import annotations

import dataclasses
import operator
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType, MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from memviz.recorders.layout import Layout, layout
from memviz.recorders.probes import Keep, Ragged
from memviz.recorders.steps import Moment

peek_interpreter_stack: Callable[[], Any] = torch._C._functorch.peek_interpreter_stack
"""None outside the transforms of torch.func (vmap, grad, ...)."""

_version = operator.attrgetter("_version")

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Channel:
    """Where the values of one field of one memory come together.

    `axes` are those of one value as the probe hands it over; see memviz.recorders.probes.Probe. `recorded` is False for
    values that are collected for the sake of their gradient alone. `plain` says that values are simply collected.
    """

    memory: str
    field: str
    axes: tuple[str, ...]
    keep: Keep = "all"
    finish: Callable[[Tensor], Tensor] | None = None
    mutable: bool = False
    recorded: bool = True
    ragged: Ragged = ""

    full_name: str = dataclasses.field(init=False)
    layout: Layout = dataclasses.field(init=False)
    plain: bool = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "plain", self.keep == "all" and not self.mutable)
        object.__setattr__(self, "full_name", f"{self.memory}/{self.field}")
        object.__setattr__(self, "layout", layout(self.field, self.axes))


@dataclass(frozen=True, slots=True)
class MemoryInfo:
    """What a trace says about a memory besides its fields."""

    law: str = ""
    attributes: Mapping[str, Any] = dataclasses.field(default_factory=lambda: _NOTHING)
    tapped: bool = False


class Capture:
    """The references collected during one sampled forward, in one thread.

    Attributes:
        channels: those of the probes first, then those that taps opened.
        values: per channel, the tensors in the order of their arrival.
        versions: per channel, the sum of their version counters then. Counters only grow, so an equal sum at the end
            means that nobody has written into any of them.
        plain: per channel, whether a value is simply appended.
        calls: per site, how often it was called.
        arguments: per site, arguments of calls from which values are still to be taken.
        nanoseconds: time spent collecting, from one in eight of the calls that take least of it.
        ticks: how many of those there were.
        tap_channels: the channels that taps opened, by memory and field.
        tap_tables: by enclosing module, the channels of the names tapped in its frames.
        tap_frame, tap_names: the frame that tapped last, and its table.
        ignored: memory and field of taps that are known to be recorded by nobody.
        choose: which items of a batch of a given size are recorded; None when that is not known yet.
        selected: by channel whose values have the recorded items alone, the number of items in the whole batch.
    """

    __slots__ = (
        "_cloned",
        "_copied",
        "arguments",
        "calls",
        "channels",
        "choose",
        "ignored",
        "labels",
        "memories",
        "moment",
        "nanoseconds",
        "on_error",
        "plain",
        "selected",
        "tap_channels",
        "tap_frame",
        "tap_names",
        "tap_paths",
        "tap_tables",
        "ticks",
        "values",
        "versions",
    )

    def __init__(
        self,
        moment: Moment,
        channels: Sequence[Channel],
        sites: int,
        cloned: Collection[str],
        memories: Mapping[str, MemoryInfo],
        labels: Mapping[str, Any],
        on_error: Callable[[Exception, str], None],
        ignored: Collection[tuple[str, str]] = frozenset(),
    ) -> None:
        self.moment = moment
        self.memories = dict(memories)
        self.labels = labels
        self.on_error = on_error
        self.channels = list(channels)
        self.values: list[list[Tensor]] = [[] for _ in channels]
        self.versions = [0] * len(self.channels)
        self.calls = [0] * sites
        self.arguments: list[list[tuple[tuple[Any, ...], Mapping[str, Any]]]] = [[] for _ in range(sites)]
        self.nanoseconds, self.ticks = 0, 0
        self.tap_channels: dict[tuple[str, str], int] = {}
        self.tap_paths: dict[int, tuple[str, nn.Module]] | None = None
        self.tap_frame: FrameType | None = None
        self.tap_names: dict[str, int] = {}
        self.tap_tables: dict[str, dict[str, int]] = {}
        self.ignored = ignored
        self.choose: Callable[[int], Sequence[int]] | None = None
        self.selected: dict[int, int] = {}
        self._cloned = cloned
        self._copied = [channel.mutable for channel in channels]
        self.plain = [channel.plain for channel in channels]
        if cloned:
            for index, channel in enumerate(channels):
                if channel.full_name in cloned:
                    self._copied[index], self.plain[index] = True, False

    def add_channel(self, channel: Channel) -> int:
        """Open a channel; returns its index."""
        copied = channel.mutable or channel.full_name in self._cloned
        self.channels.append(channel)
        self.values.append([])
        self.versions.append(0)
        self.plain.append(channel.keep == "all" and not copied)
        self._copied.append(copied)
        return len(self.channels) - 1

    def put(self, index: int, value: Tensor) -> None:
        """Keep one value of a channel."""
        if peek_interpreter_stack() is not None or value.is_inference() or self._copied[index]:
            self._put_carefully(index, value)
        elif self.plain[index]:
            self.versions[index] += value._version
            self.values[index].append(value)
        elif self.channels[index].keep == "last" or not self.values[index]:
            self.versions[index] = value._version
            self.values[index] = [value]

    def _put_carefully(self, index: int, value: Tensor) -> None:
        if peek_interpreter_stack() is not None:
            value = unwrap(value)
        values, keep = self.values[index], self.channels[index].keep
        if keep == "first" and values:
            return
        if keep == "last":
            values.clear()
            self.versions[index] = 0
        if self._copied[index] or value.is_inference():
            # Inference tensors have no version counter: a later write into them would go unnoticed.
            with torch.inference_mode(False), torch.no_grad():
                value = value.detach().clone()
        self.versions[index] += value._version
        values.append(value)

    def copies(self, index: int, cloned: Collection[str]) -> bool:
        """Whether the values of a channel are copied at once, or must be from now on."""
        return self._copied[index] or self.channels[index].full_name in cloned

    def batch_size(self, indices: Iterable[int]) -> int | None:
        """Number of batch items in these channels, None without any; a field with one item may stand for all."""
        size = None
        for index in indices:
            channel, values = self.channels[index], self.values[index]
            axis = channel.layout.batch
            if axis >= 0 and values and values[0].ndim == len(channel.axes):
                size = self.selected.get(index) or int(values[0].shape[axis])
                if size != 1:
                    return size
        return size

    def overwritten(self, index: int) -> bool:
        """Whether anybody wrote into a kept tensor since it was kept."""
        return bool(sum(map(_version, self.values[index])) != self.versions[index])


def unwrap(value: Tensor) -> Tensor:
    """The plain tensor behind the wrappers of torch.func; the axis that a vmap hides comes to the front.

    Inside `vmap` a value lacks the mapped axis, and a wrapper must not leave its level.
    """
    functorch: Any = torch._C._functorch
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
