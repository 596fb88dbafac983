"""Static taps: values that compiled code writes into a fixed buffer, for graphs in which no Python runs.

    class Model(nn.Module):
        memviz_law = ""

        def __init__(self):
            self.usage = StaticTap("usage", times=20, shape=(16, 64))

        def forward(self, x):
            for time in range(20):
                ...
                self.usage(usage, time)          # usage is [batch, slot], 16 items and 64 slots

The copy is part of the graph: one small kernel per call, whether a forward is recorded or not. So the sampled forward
of a model that has no other taps or probes runs compiled too, and a CUDA graph can be replayed:

    with recorder.sequence():
        graph.replay()
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from memviz import fields
from memviz.errors import RecorderError
from memviz.recorders.adapters.base import MemoryPlan, clean_path
from memviz.recorders.capture import Capture, Channel
from memviz.recorders.probes import Place, Probe, value_axes
from memviz.recorders.tap import ROOT_MEMORY


class StaticTap(nn.Module):
    """A buffer for one field of the module that it is an attribute of, [time, *shape of a value].

    The buffer is in no checkpoint. In DistributedDataParallel pass `broadcast_buffers=False`, or it is sent around too.

    Args:
        field: a field of the catalogue (memviz.fields), or a name of your own, with `axes`.
        times: the most times that a forward has.
        shape: of one value, the batch among it. A value of another shape is passed through and not kept.
        axes: the axes of a value; default: those of the catalogue without `time`.
        dtype: of the buffer.
        device: where it begins; it follows the model.

    Attributes:
        written: number of times of the last forward; the times after them are left over from longer ones.

    Raises:
        RecorderError: `field` is unknown and `axes` are lacking, or they do not fit `shape`.
    """

    ring: Tensor

    def __init__(
        self,
        field: str,
        times: int,
        shape: Sequence[int],
        axes: Sequence[str] | None = None,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        self.field = field
        self.axes = value_axes(field, None if axes is None else tuple(axes.split() if isinstance(axes, str) else axes))
        if len(self.axes) != len(shape):
            raise RecorderError(
                f"StaticTap({field!r}): shape {tuple(shape)} has {len(shape)} axes, "
                f"a value has [{', '.join(self.axes)}]"
            )
        self.times = times
        self.written = 0
        self.register_buffer("ring", torch.zeros(times, *shape, dtype=dtype, device=device), persistent=False)

    def forward(self, value: Tensor, time: int) -> Tensor:
        """Keep the value of a time, an int below `times`; returns it unchanged."""
        if time < self.times and value.shape == self.ring.shape[1:]:
            with torch.no_grad():
                self.ring[time].copy_(value.detach())
            self.written = time + 1
        return value

    def extra_repr(self) -> str:
        """What print(model) says of it."""
        return f"{self.field!r}, times={self.times}, shape={tuple(self.ring.shape[1:])}"


@dataclass(frozen=True, kw_only=True)
class StaticProbe(Probe):
    """A field that a static tap keeps; it is read when the forward is over, and has no place in the model."""

    tap: StaticTap

    def place(self, module: nn.Module) -> Place:
        """See Probe.place; there is none."""
        raise RecorderError(f"{self.field!r} comes of a static tap, which is no place for a hook")


class StaticChannel(NamedTuple):
    """What is recorded of a static tap: all its times, or only the last."""

    tap: StaticTap
    channel: Channel
    last: bool

    def collect(self, capture: Capture) -> None:
        """Put what the forward has left into its capture."""
        written = min(self.tap.written, self.tap.times)
        if written:
            value = self.tap.ring[written - 1] if self.last else self.tap.ring[:written]
            capture.put(capture.add_channel(self.channel), value)


def static_plans(model: nn.Module) -> list[MemoryPlan]:
    """One memory for each module that has static taps, named by its path."""
    owners: dict[str, list[StaticTap]] = {}
    for path, module in model.named_modules():
        if isinstance(module, StaticTap):
            owners.setdefault(path.rpartition(".")[0], []).append(module)
    plans = []
    for path, taps in owners.items():
        owner = model.get_submodule(path)
        law = getattr(owner, "memviz_law", "")
        kind = f"{type(owner).__module__}.{type(owner).__qualname__}"
        attributes = {"class": kind, **dict(getattr(owner, "memviz_attributes", {}))}
        probes = [StaticProbe(field=tap.field, axes=" ".join(tap.axes), tap=tap) for tap in taps]
        name = clean_path(path) or ROOT_MEMORY
        plans.append(MemoryPlan(name, owner, probes, law if isinstance(law, str) else "", attributes, adapter="static"))
    return plans


def static_channels(plan: MemoryPlan, wanted: Collection[str]) -> Iterator[StaticChannel]:
    """What is recorded of the static taps of one memory.

    Args:
        plan: the memory.
        wanted: bare names of the fields to record.
    """
    for probe in plan.probes:
        if isinstance(probe, StaticProbe):
            axes, last = probe.value_axes(), f"{fields.FINAL_PREFIX}{probe.field}"
            if probe.field in wanted:
                yield StaticChannel(probe.tap, Channel(plan.name, probe.field, ("time", *axes), "last"), False)
            if last in wanted:
                yield StaticChannel(probe.tap, Channel(plan.name, last, axes, "last"), True)
