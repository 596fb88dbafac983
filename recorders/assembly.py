"""From a finished capture to a draft record: decide what is stored, check that it fits together, stack it.

A field that cannot be recorded truthfully is left out and said; the others go on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch

from memviz import fields
from memviz.recorders.capture import Capture, Channel, MemoryInfo, peek_interpreter_stack
from memviz.recorders.faults import Faults
from memviz.recorders.gradients import GradientChoice, GradientTaps
from memviz.recorders.pending import Pending
from memviz.recorders.selection import BatchChoice, FieldChoice
from memviz.recorders.sink import Draft
from memviz.recorders.staging import Backend, DirectCopy, Selection, Snapshot, backend_for, snapshot


class TappedMemory(NamedTuple):
    """What the last forward tapped of one memory, and what of it is recorded; bare names."""

    info: MemoryInfo
    reached: tuple[str, ...]
    chosen: frozenset[str]

    def unwanted(self) -> list[str]:
        """The fields that are not recorded, not even their last value."""
        return [
            field
            for field in self.reached
            if field not in self.chosen
            and (f"{fields.FINAL_PREFIX}{field}" not in self.chosen or f"{fields.FINAL_PREFIX}{field}" in self.reached)
        ]


_DIRECT = DirectCopy()


class Assembler:
    """Turns captures into drafts. `tapped` tells, by memory, what taps brought; `ignored` what of it nobody records.

    Args:
        batch: which batch items.
        dtype: number format of floating-point fields; None as computed.
        backend: how tensors reach host memory; by default what suits their device.
        grads: the fields whose gradients are recorded.
    """

    def __init__(
        self,
        batch: BatchChoice,
        dtype: torch.dtype | None,
        backend: Backend | None = None,
        grads: GradientChoice | None = None,
    ) -> None:
        self.batch = batch
        self.dtype = dtype
        self.grads = grads or GradientChoice(False)
        self._given = backend
        self._backends: dict[torch.device, Backend] = {}
        self.tapped: dict[str, TappedMemory] = {}
        self.ignored: frozenset[tuple[str, str]] = frozenset()
        self._opened: tuple[Any, ...] | None = None
        self._plan: tuple[list[int], list[tuple[int, str]]] = ([], [])

    def assemble(
        self,
        capture: Capture,
        choice: FieldChoice,
        cloned: set[str],
        faults: Faults,
        *,
        also: int | None = None,
        spent: Callable[[int], None] = lambda nanoseconds: None,
    ) -> Pending | None:
        """What is kept of one forward; None when there is nothing to record.

        Args:
            capture: a finished capture.
            choice: decides over what taps brought; probes were chosen when they were placed.
            cloned: full names of fields that must be copied at once; extended when a tensor was written into.
            faults: hears about what is left out.
            also: a batch item to record besides those that were asked for.
            spent: told the nanoseconds that backward spends on recording gradients.
        """
        with _plain_torch():
            wanted = self._wanted(capture, choice, cloned)
            size = _batch_size(capture, wanted)
            items: Sequence[int] | None = None
            if not self.batch.worst:
                items = self.batch.items(size)
                if also is not None and also < size and also not in items and not capture.selected:
                    items = (*items, also)
                if not items:
                    faults.say(
                        f"{self.batch} was asked for, but the batch has {size}; nothing is recorded of it", "error"
                    )
                    return None
            selection = Selection(range(size) if items is None else items, size)
            snapshots = self._snapshots(capture, wanted, selection, cloned, faults)
            if not snapshots:
                return None
            pending = Pending(capture, snapshots, items, size)
            if self.grads:
                kept = {one.channel.full_name for one in snapshots}
                followed = [
                    index
                    for index, channel in enumerate(capture.channels)
                    if self.grads.wants(channel, channel.full_name in kept)
                    and channel.full_name not in cloned
                    and not capture.overwritten(index)
                ]
                pending.gradients = GradientTaps(
                    capture, followed, None if items is None else selection, self.dtype, spent
                )
            return pending

    def draft(self, pending: Pending, faults: Faults) -> Draft:
        """Start the copies of a forward that waits for nothing any more."""
        snapshots = pending.snapshots
        if self._given is None and all(one.tensor.is_cpu for one in snapshots):
            copies = [_DIRECT.start(snapshots, faults.error)]  # nothing is computed here
        else:
            with _plain_torch():
                groups = _by_device(snapshots)
                copies = [self._backend(device).start(group, faults.error) for device, group in groups.items()]
        return Draft(
            step=pending.moment.step,
            forward=pending.moment.forward,
            wall=pending.wall,
            batch=pending.selection.items,
            labels=pending.labels,
            copies=copies,
            channels=tuple([one.channel for one in snapshots]),
            memories=pending.memories,
            nbytes=sum([one.tensor.nbytes for one in snapshots]),
        )

    def _snapshots(
        self, capture: Capture, wanted: Sequence[int], selection: Selection, cloned: set[str], faults: Faults
    ) -> list[Snapshot]:
        """The fields whose values are still what they were, and as many as the other fields of their memory have."""
        times = _times(capture, wanted)
        snapshots = []
        for index in wanted:
            channel, values = capture.channels[index], capture.values[index]
            if not values:
                continue
            if capture.overwritten(index):
                cloned.add(channel.full_name)
                _say_overwritten(channel, capture.moment.step, faults)
            elif times and channel.layout.timed and len(values) != times[channel.memory]:
                _say_irregular(channel, len(values), times[channel.memory], faults)
            else:
                try:
                    open_choice = None if index in capture.selected else selection
                    snapshots.append(snapshot(channel, values, open_choice, self.dtype))
                except Exception as error:
                    faults.error(error, channel.full_name)
        return snapshots

    def _wanted(self, capture: Capture, choice: FieldChoice, cloned: set[str]) -> Sequence[int]:
        """The channels to record. What taps brought is chosen now that it is known; states may leave a last value."""
        if not capture.tap_channels:
            if not self.grads:
                return range(len(capture.channels))
            return [index for index, channel in enumerate(capture.channels) if channel.recorded]
        # Nearly every forward opens the same channels in the same order as the one before it.
        opened = (choice, len(capture.channels), tuple(capture.tap_channels.items()))
        if opened != self._opened:
            self._opened, self._plan = opened, self._sort_out(capture, choice)
        wanted, lasts = list(self._plan[0]), self._plan[1]
        for index, last in lasts:
            if capture.values[index]:
                wanted.append(_last_value(capture, index, last, cloned))
        return sorted(wanted) if lasts else wanted

    def _sort_out(self, capture: Capture, choice: FieldChoice) -> tuple[list[int], list[tuple[int, str]]]:
        """The channels to record as they are, and those whose last value makes a field of its own, with its name."""
        tapped = set(capture.tap_channels.values())
        wanted = [i for i, channel in enumerate(capture.channels) if i not in tapped and channel.recorded]
        planned = {capture.channels[index].full_name for index in wanted}
        lasts: list[tuple[int, str]] = []
        by_memory: dict[str, dict[str, int]] = {}
        for (memory, field), index in capture.tap_channels.items():
            if capture.channels[index].full_name not in planned:
                by_memory.setdefault(memory, {})[field] = index
        for memory, reached in by_memory.items():
            chosen = self._chosen(memory, tuple(reached), capture, choice)
            for field, index in reached.items():
                last = f"{fields.FINAL_PREFIX}{field}"
                if field in chosen:
                    wanted.append(index)
                if last in chosen and last not in reached and "time" not in capture.channels[index].axes:
                    lasts.append((index, last))
        return sorted(wanted), lasts

    def _chosen(self, memory: str, reached: tuple[str, ...], capture: Capture, choice: FieldChoice) -> frozenset[str]:
        known = self.tapped.get(memory)
        if known is None or known.reached != reached:
            info = capture.memories.get(memory, MemoryInfo())
            known = self.tapped[memory] = TappedMemory(info, reached, choice.choose(memory, info, reached))
            self.ignored = frozenset(
                (name, field)
                for name, one in self.tapped.items()
                for field in one.unwanted()
                if not self.grads.extra(name, field)
            )
        return known.chosen

    def _backend(self, device: torch.device) -> Backend:
        if self._given is not None:
            return self._given
        if device not in self._backends:
            self._backends[device] = backend_for(device)
        return self._backends[device]


def _last_value(capture: Capture, index: int, field: str, cloned: set[str]) -> int:
    """A channel that has the last value of another one."""
    channel = capture.channels[index]
    last = capture.add_channel(Channel(channel.memory, field, channel.axes, "last"))
    value = capture.values[index][-1]
    capture.values[last] = [value]
    capture.versions[last] = value._version
    if capture.overwritten(index):
        cloned.add(channel.full_name)
        capture.versions[last] = -1
    return last


def _batch_size(capture: Capture, wanted: Sequence[int]) -> int:
    """Number of items in the batch. The memories say it: what the model's own input has for axes may be a guess."""
    size = capture.batch_size(index for index in wanted if capture.channels[index].memory != fields.MODEL)
    return size or capture.batch_size(wanted) or 1


def _times(capture: Capture, wanted: Sequence[int]) -> dict[str, int]:
    """For each memory the number of values that most of its fields have, the larger one when two are as frequent.

    Empty when all fields of each memory agree, as they nearly always do.
    """
    channels, values = capture.channels, capture.values
    if len({len(values[index]) for index in wanted if values[index] and channels[index].layout.timed}) <= 1:
        return {}
    counts: dict[str, dict[int, int]] = {}
    for index in wanted:
        channel, number = channels[index], len(values[index])
        if number and channel.layout.timed:
            found = counts.setdefault(channel.memory, {})
            found[number] = found.get(number, 0) + 1
    if all(len(found) == 1 for found in counts.values()):
        return {}
    return {memory: max(found, key=lambda n: (found[n], n)) for memory, found in counts.items()}


def _say_overwritten(channel: Channel, step: int, faults: Faults) -> None:
    faults.say(
        f"{channel.full_name} was written into after it was captured; it is left out of the record of step {step} and "
        f"copied at once from now on",
        "note",
        key=f"overwritten {channel.full_name}",
    )


def _say_irregular(channel: Channel, number: int, usual: int, faults: Faults) -> None:
    faults.say(
        f"{channel.full_name} came {number} times where the other fields of {channel.memory} came {usual} times; it is "
        f"left out. Give it a memory of its own by tapping 'other/{channel.field}'",
        "error",
        key=f"irregular {channel.full_name}",
    )


def _by_device(snapshots: list[Snapshot]) -> dict[torch.device, list[Snapshot]]:
    groups: dict[torch.device, list[Snapshot]] = {}
    for one in snapshots:
        groups.setdefault(one.tensor.device, []).append(one)
    return groups


@contextlib.contextmanager
def _plain_torch() -> Iterator[None]:
    """Compute without gradients, outside inference mode, and unseen by the modes that the model runs under."""
    with torch.no_grad(), torch._C.DisableTorchFunction():
        if not torch.is_inference_mode_enabled() and peek_interpreter_stack() is None:
            yield
            return
        with contextlib.ExitStack() as modes:
            modes.enter_context(torch.inference_mode(False))
            modes.enter_context(torch.no_grad())
            if peek_interpreter_stack() is not None:
                from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack

                modes.enter_context(temporarily_clear_interpreter_stack())
            yield
