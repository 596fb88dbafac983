"""From the references of one forward to arrays in host memory: stack, select, cast and copy, once per field.

On a GPU everything stays asynchronous: the stacked fields are packed into one buffer on the computing stream, copied
by one transfer into pinned memory on a stream of its own, and the writer thread waits for the event that ends it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import ml_dtypes
import numpy as np
import torch
from torch import Tensor

from memviz.errors import SchemaError
from memviz.recorders.calls import positions
from memviz.recorders.capture import Channel
from memviz.recorders.selection import storable

SMALL = 64 * 1024
"""Bytes of a value up to which copying it whole and selecting batch items later is faster than selecting first."""

_ALIGNMENT = 16


class Selection:
    """The batch items to record of one forward.

    Attributes:
        items: their positions, at least one.
        size: number of items in the batch.
        everything: whether that is the whole batch in its own order.
    """

    __slots__ = ("_range", "everything", "items", "size")

    def __init__(self, items: Sequence[int], size: int) -> None:
        self.items = tuple(items)
        self.size = size
        start = self.items[0]
        self._range = self.items == tuple(range(start, start + len(self.items)))
        self.everything = self._range and len(self.items) == size

    def of(self, value: Tensor, axis: int, name: str) -> Tensor:
        """These items of a tensor with the batch along `axis`; a batch of one there stands for all items.

        Raises:
            SchemaError: the tensor has another number of batch items.
        """
        length = value.shape[axis]
        if length == self.size:
            if self._range:
                start = self.items[0]
                if axis == 0:
                    return value[start : start + len(self.items)]  # the same as narrow, in half of its time
                return value.narrow(axis, start, len(self.items))
            return value.index_select(axis, positions(self.items, value.device))
        if length != 1:
            raise SchemaError(
                f"{name}: {length} batch items where the other fields have {self.size}; if that axis is not the "
                f"batch, declare other axes"
            )
        return value.expand(*value.shape[:axis], len(self.items), *value.shape[axis + 1 :])


class Snapshot(NamedTuple):
    """All values of a channel in one tensor that shares memory with none of them, not yet in its stored form.

    Attributes:
        channel: says which axes the values had.
        tensor: [time, *axes of a value], or the axes of a value when it brings its own time or has none.
        selection: which batch items to select; None when that is done.
        dtype: see memviz.recorders.selection.storable.
    """

    channel: Channel
    tensor: Tensor
    selection: Selection | None
    dtype: torch.dtype | None

    def shaped(self) -> Tensor:
        """The stored form: items selected, axes in order, values in a storable format; [*channel.layout.stored].

        Raises:
            SchemaError: the values do not have the axes that the channel declares.
        """
        plan, shaped = self.channel.layout, self.tensor
        if self.selection is not None:
            shaped = self.selection.of(shaped, plan.batch + plan.timed, self.channel.full_name)
        if self.channel.finish is not None:
            shaped = self.channel.finish(shaped)
        for _ in range(plan.missing):
            shaped = shaped.unsqueeze(-1)
        if plan.order:
            shaped = shaped.permute(plan.order)
        return storable(shaped, self.dtype)


def snapshot(
    channel: Channel, values: list[Tensor], selection: Selection | None, dtype: torch.dtype | None
) -> Snapshot:
    """Copy the values of a channel into one tensor, which is all that the training thread must do itself.

    Args:
        channel: says which axes the values have.
        values: one tensor per time; for a field without time, or whose values bring their own, mostly one.
        selection: which batch items; None for values that have been selected already.
        dtype: of the stored field.

    Raises:
        SchemaError: the values do not have the axes that the channel declares.
    """
    plan, first = channel.layout, values[0]
    if first.ndim != len(channel.axes):
        raise SchemaError(
            f"{channel.full_name}: expected a tensor with axes [{', '.join(channel.axes)}], got shape "
            f"{tuple(first.shape)}; declare the axes that it has"
        )
    axis = plan.batch
    later: Selection | None = selection
    if selection is None or axis < 0 or (selection.everything and first.shape[axis] == selection.size):
        later = None
    elif first.nbytes > SMALL:
        values, later = [selection.of(value, axis, channel.full_name) for value in values], None
    return Snapshot(channel, joined(channel, values), later, dtype)


def joined(channel: Channel, values: list[Tensor]) -> Tensor:
    """The values of a channel in one tensor of their own, along time."""
    if channel.layout.timed:
        return torch.stack(_aligned(channel, values))
    if len(values) == 1:
        return values[0].clone(memory_format=torch.contiguous_format)
    return torch.cat(values, channel.axes.index("time"))


def _aligned(channel: Channel, values: list[Tensor]) -> list[Tensor]:
    """Values of one shape: those of a ragged channel get zeros up to the largest."""
    if not channel.ragged or len({value.shape for value in values}) == 1:
        return values
    largest = [max(lengths) for lengths in zip(*(value.shape for value in values), strict=True)]
    aligned = []
    for value in values:
        room = [most - length for most, length in zip(largest, value.shape, strict=True)]
        sides = [(0, more) if channel.ragged == "end" else (more, 0) for more in reversed(room)]
        aligned.append(torch.nn.functional.pad(value, [side for pair in sides for side in pair]))
    return aligned


Failed = Callable[[Exception, str], None]
"""Told about a field that could not be brought into its stored form."""


class Copy(Protocol):
    """Fields on their way into host memory."""

    def wait(self) -> dict[str, np.ndarray]:
        """The arrays by full name, once they have arrived. Called by the writer thread."""
        ...


class Backend(Protocol):
    """Moves the fields of one record into host memory."""

    def start(self, snapshots: Sequence[Snapshot], failed: Failed) -> Copy:
        """Begin the move and return at once. Called by the training thread."""
        ...


class DirectCopy:
    """For tensors in host memory: nothing has to move, and the writer thread can bring them into shape."""

    def start(self, snapshots: Sequence[Snapshot], failed: Failed) -> Copy:
        """See Backend.start."""
        return _Arrived(snapshots, failed)


class _Arrived:
    def __init__(self, snapshots: Sequence[Snapshot], failed: Failed) -> None:
        self._snapshots, self._failed = snapshots, failed

    def wait(self) -> dict[str, np.ndarray]:
        with torch.no_grad():
            shaped = shape_all(self._snapshots, self._failed)
            return {name: to_numpy(tensor.cpu()) for name, tensor in shaped.items()}


class PinnedCopy:
    """For one CUDA device: one asynchronous transfer per record, through pinned memory on a stream of its own.

    The computing stream never waits. The packed buffer stays reserved until the transfer is over (record_stream); the
    pinned memory is used again, by torch's caching allocator, after the arrays that view it are gone.
    """

    def __init__(self, device: torch.device) -> None:
        self._cuda: Any = torch.cuda  # without types in torch 2.13
        self._stream = self._cuda.Stream(device)
        self._device = device

    def start(self, snapshots: Sequence[Snapshot], failed: Failed) -> Copy:
        """See Backend.start."""
        packed, slots = pack(shape_all(snapshots, failed), self._device)
        packing = self._cuda.Event()
        packing.record(self._cuda.current_stream(self._device))
        host = torch.empty(packed.shape, dtype=torch.uint8, pin_memory=True)
        done = self._cuda.Event()
        with self._cuda.stream(self._stream):
            self._stream.wait_event(packing)
            host.copy_(packed, non_blocking=True)
            packed.record_stream(self._stream)
            done.record(self._stream)
        return _Transfer(host, done, slots)


class _Transfer:
    def __init__(self, host: Tensor, done: Any, slots: Mapping[str, Slot]) -> None:
        self._host, self._done, self._slots = host, done, slots

    def wait(self) -> dict[str, np.ndarray]:
        self._done.synchronize()  # blocks this thread only: the interpreter lock is released
        return unpack(self._host, self._slots)


def shape_all(snapshots: Sequence[Snapshot], failed: Failed) -> dict[str, Tensor]:
    """The stored forms by full name; what cannot be brought into its form is told and left out."""
    shaped = {}
    for one in snapshots:
        try:
            shaped[one.channel.full_name] = one.shaped()
        except Exception as error:
            failed(error, one.channel.full_name)
    return shaped


Slot = tuple[int, torch.dtype, torch.Size]
"""Where a field lies in a packed buffer: offset in bytes, type, shape."""


def pack(tensors: Mapping[str, Tensor], device: torch.device) -> tuple[Tensor, dict[str, Slot]]:
    """All tensors back to back in one buffer of bytes on a device, and where each of them lies."""
    slots: dict[str, Slot] = {}
    end = 0
    for name, tensor in tensors.items():
        slots[name] = (end, tensor.dtype, tensor.shape)
        end += -(-tensor.nbytes // _ALIGNMENT) * _ALIGNMENT
    packed = torch.empty(end, dtype=torch.uint8, device=device)
    for name, tensor in tensors.items():
        offset = slots[name][0]
        packed[offset : offset + tensor.nbytes].view(tensor.dtype).view(tensor.shape).copy_(tensor)
    return packed, slots


def unpack(packed: Tensor, slots: Mapping[str, Slot]) -> dict[str, np.ndarray]:
    """The arrays of a packed buffer in host memory, without a copy."""
    arrays = {}
    for name, (offset, dtype, shape) in slots.items():
        nbytes = shape.numel() * dtype.itemsize
        arrays[name] = to_numpy(packed[offset : offset + nbytes].view(dtype).view(shape))
    return arrays


def to_numpy(tensor: Tensor) -> np.ndarray:
    """A tensor in host memory as an array that shares its memory; bfloat16 has the dtype of ml_dtypes."""
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.uint16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


def backend_for(device: torch.device) -> Backend:
    """The way to move records from a device."""
    return PinnedCopy(device) if device.type == "cuda" else DirectCopy()
