"""From a finished capture to a draft record: decide what is stored, check that it fits together, stack it.

A field that cannot be recorded truthfully is left out and said; the others go on.
"""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Collection, Iterator

import torch
from torch import Tensor

from memviz import fields
from memviz.recorders.capture import Capture, Channel, MemoryInfo
from memviz.recorders.faults import Faults
from memviz.recorders.selection import BatchChoice, FieldChoice
from memviz.recorders.sink import Draft
from memviz.recorders.staging import Backend, Selection, backend_for, batch_size, stack, stored_axes

_BOUNDARY = (fields.INITIAL_PREFIX, fields.FINAL_PREFIX)


class Assembler:
    """Turns captures into drafts.

    Args:
        batch: which batch items.
        dtype: number format of floating-point fields; None as computed.
        backend: how tensors reach host memory; by default what suits their device.
    """

    def __init__(self, batch: BatchChoice, dtype: torch.dtype | None, backend: Backend | None = None) -> None:
        self.batch = batch
        self.dtype = dtype
        self._given = backend
        self._backends: dict[torch.device, Backend] = {}

    def assemble(self, capture: Capture, choice: FieldChoice, cloned: set[str], faults: Faults) -> Draft | None:
        """The draft of one forward; None when there is nothing to record.

        Args:
            capture: a finished capture.
            choice: decides over what taps brought; probes were chosen when they were placed.
            cloned: full names of fields that must be copied at once; extended when a tensor was written into.
            faults: hears about what is left out.
        """
        with _plain_torch():
            channels = self._truthful(capture, _wanted(capture, choice), cloned, faults)
            size = max((batch_size(c, v) or 1 for c, v in channels), default=1)
            items = self.batch.items(size)
            if not channels:
                return None
            if not items:
                faults.say(f"{self.batch} was asked for, but the batch has {size}; nothing is recorded of it", "error")
                return None
            tensors = self._stacked(channels, Selection(items, size), faults)
            if not tensors:
                return None
            moment = capture.moment
            return Draft(
                step=moment.step,
                forward=moment.forward,
                wall=time.time(),
                batch=items,
                labels=capture.labels,
                copies=[self._backend(device).start(group) for device, group in _by_device(tensors).items()],
                axes={channel.full_name: stored_axes(channel) for channel, _ in channels},
                memories=capture.memories,
                nbytes=sum(tensor.nbytes for tensor in tensors.values()),
            )

    def _truthful(
        self, capture: Capture, wanted: Collection[int], cloned: set[str], faults: Faults
    ) -> list[tuple[Channel, list[Tensor]]]:
        """The channels whose values are still what they were when they were kept."""
        truthful = []
        for index in wanted:
            channel, values = capture.channels[index], capture.values[index]
            if not values:
                continue
            if capture.overwritten(index):
                cloned.add(channel.full_name)
                faults.say(
                    f"{channel.full_name} was written into after it was captured; it is left out of the record of step "
                    f"{capture.moment.step} and copied at once from now on",
                    "note",
                    key=f"cloned {channel.full_name}",
                )
                continue
            truthful.append((channel, values))
        return truthful

    def _stacked(
        self, channels: list[tuple[Channel, list[Tensor]]], selection: Selection, faults: Faults
    ) -> dict[str, Tensor]:
        """The stacked fields by full name, without those that disagree with the others about the length of an axis."""
        times = _usual_times(channels)
        tensors: dict[str, Tensor] = {}
        lengths: dict[tuple[str, str], int] = {}
        for channel, values in channels:
            name = channel.full_name
            expected = times.get(channel.memory)
            if _timed(channel) and expected is not None and len(values) != expected:
                faults.say(
                    f"{name} came {len(values)} times where the other fields of {channel.memory} came {expected} "
                    f"times; it is left out. Give it a memory of its own by tapping 'other/{channel.field}'",
                    "error",
                    key=f"times {name}",
                )
                continue
            try:
                tensor = stack(channel, values, selection, self.dtype)
            except Exception as error:
                faults.error(error, name)
                continue
            disagreement = _disagreement(channel, tensor, lengths)
            if disagreement:
                faults.say(f"{name} is left out: {disagreement}", "error", key=f"lengths {name}")
                continue
            tensors[name] = tensor
        return tensors

    def _backend(self, device: torch.device) -> Backend:
        if self._given is not None:
            return self._given
        if device not in self._backends:
            self._backends[device] = backend_for(device)
        return self._backends[device]


def _wanted(capture: Capture, choice: FieldChoice) -> list[int]:
    """The channels to record. What taps brought is chosen now that it is known; states may leave a last value."""
    tapped = set(capture.tap_channels.values())
    wanted = [index for index in range(len(capture.channels)) if index not in tapped]
    planned = {capture.channels[index].full_name for index in wanted}
    by_memory: dict[str, dict[str, int]] = defaultdict(dict)
    for index in tapped:
        channel = capture.channels[index]
        if channel.full_name not in planned:
            by_memory[channel.memory][channel.field] = index
    for memory, reached in by_memory.items():
        info = capture.memories.get(memory, MemoryInfo())
        chosen = choice.choose(memory, info, tuple(reached))
        for field, index in reached.items():
            last = f"{fields.FINAL_PREFIX}{field}"
            if field in chosen:
                wanted.append(index)
            if last in chosen and last not in reached and "time" not in capture.channels[index].axes:
                wanted.append(_last_value(capture, index, last))
    return sorted(wanted)


def _last_value(capture: Capture, index: int, field: str) -> int:
    """A channel that has the last value of another one."""
    channel = capture.channels[index]
    last = capture.add_channel(Channel(channel.memory, field, channel.axes, "last", None, channel.mutable))
    capture.values[last] = capture.values[index][-1:]
    capture.versions[last] = capture.versions[index][-1:]
    return last


def _timed(channel: Channel) -> bool:
    """Whether the number of values is the number of times."""
    return "time" in stored_axes(channel) and "time" not in channel.axes


def _usual_times(channels: list[tuple[Channel, list[Tensor]]]) -> dict[str, int]:
    """For each memory the number of values that most of its fields have, the larger one when two are as frequent."""
    counts: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for channel, values in channels:
        if _timed(channel):
            counts[channel.memory][len(values)] += 1
    return {memory: max(found, key=lambda n: (found[n], n)) for memory, found in counts.items()}


def _disagreement(channel: Channel, tensor: Tensor, lengths: dict[tuple[str, str], int]) -> str:
    """Why a field does not fit those before it; "" when it does, and its lengths are noted then."""
    if channel.field.startswith(_BOUNDARY):
        return ""
    found = list(zip(stored_axes(channel), tensor.shape, strict=True))
    for axis, length in found:
        known = lengths.get((channel.memory, axis), length)
        if known != length:
            return f"its axis {axis!r} has {length} entries where another field of {channel.memory} has {known}"
    lengths.update({(channel.memory, axis): length for axis, length in found})
    return ""


def _by_device(tensors: dict[str, Tensor]) -> dict[torch.device, dict[str, Tensor]]:
    groups: dict[torch.device, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        groups.setdefault(tensor.device, {})[name] = tensor
    return groups


@contextlib.contextmanager
def _plain_torch() -> Iterator[None]:
    """Compute without gradients, outside inference mode, and unseen by the modes that the model runs under."""
    with contextlib.ExitStack() as modes:
        modes.enter_context(torch.no_grad())
        if torch.is_inference_mode_enabled():
            modes.enter_context(torch.inference_mode(False))
        if torch._C._functorch.peek_interpreter_stack() is not None:
            from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack

            modes.enter_context(temporarily_clear_interpreter_stack())
        modes.enter_context(torch._C.DisableTorchFunction())
        yield
