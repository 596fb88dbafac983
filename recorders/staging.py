"""From the references of one forward to arrays in host memory: stack, select, cast and copy, once per field.

On a GPU everything stays asynchronous: the stacked fields are packed into one buffer on the computing stream, copied
by one transfer into pinned memory on a stream of its own, and the writer thread waits for the event that ends it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import ml_dtypes
import numpy as np
import torch
from torch import Tensor

from memviz import fields
from memviz.errors import SchemaError
from memviz.recorders.capture import Channel
from memviz.recorders.selection import storable

SMALL = 1 << 16
"""Values up to which it is faster to stack whole batches and select once than to select from every tensor."""

_ALIGNMENT = 16


def stored_axes(channel: Channel) -> tuple[str, ...]:
    """The axes under which a channel's field is stored: those of the catalogue, or time before its own."""
    known = fields.lookup(channel.field)
    if known is not None:
        return known.axes
    return ("time", *(axis for axis in channel.axes if axis != "time"))


def batch_size(channel: Channel, values: Sequence[Tensor]) -> int | None:
    """Number of batch items in the values of a channel; None when it has no batch axis or nothing arrived."""
    if not values or "batch" not in channel.axes or values[0].ndim != len(channel.axes):
        return None
    return int(values[0].shape[channel.axes.index("batch")])


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
                return value.narrow(axis, self.items[0], len(self.items))
            return value.index_select(axis, torch.tensor(self.items, device=value.device))
        if length != 1:
            raise SchemaError(
                f"{name}: {length} batch items where the other fields have {self.size}; if that axis is not the "
                f"batch, declare other axes"
            )
        return value.expand(*value.shape[:axis], len(self.items), *value.shape[axis + 1 :])


def stack(channel: Channel, values: Sequence[Tensor], selection: Selection, dtype: torch.dtype | None) -> Tensor:
    """All values of a channel as one contiguous tensor that shares memory with none of them.

    Args:
        channel: says which axes the values have.
        values: one tensor per time; for a field without time, or whose values bring their own, mostly one.
        selection: which batch items.
        dtype: see memviz.recorders.selection.storable.

    Returns:
        [*stored_axes(channel)], on the device of the values.

    Raises:
        SchemaError: the values do not have the axes that the channel declares.
    """
    axes, first = channel.axes, values[0]
    target = stored_axes(channel)
    if first.ndim != len(axes):
        raise SchemaError(
            f"{channel.full_name}: expected a tensor with axes [{', '.join(axes)}], got shape {tuple(first.shape)}; "
            f"declare the axes that it has"
        )
    for axis in axes:
        if axis not in target:
            raise SchemaError(f"{channel.full_name}: has no axis {axis!r}; its axes are [{', '.join(target)}]")
    batch = axes.index("batch") if "batch" in axes else -1
    selecting = batch >= 0 and not (selection.everything and first.shape[batch] == selection.size)
    if selecting and first.numel() * len(values) > SMALL:
        values = [selection.of(value, batch, channel.full_name) for value in values]
        selecting = False
    timed = "time" in target and "time" not in axes
    if timed:
        stacked, axes, batch = torch.stack(tuple(values)), ("time", *axes), batch + 1
    else:
        stacked = values[0].detach() if len(values) == 1 else torch.cat(tuple(values), axes.index("time"))
    if selecting:
        stacked = selection.of(stacked, batch, channel.full_name)
    if channel.finish is not None:
        stacked = channel.finish(stacked)
    if axes != target:
        for axis in target:
            if axis not in axes:
                stacked, axes = stacked.unsqueeze(-1), (*axes, axis)
        stacked = stacked.permute([axes.index(axis) for axis in target])
    stacked = storable(stacked, dtype).contiguous()
    if not timed and stacked.untyped_storage().data_ptr() == first.untyped_storage().data_ptr():
        stacked = stacked.clone()  # a field without time is one tensor, which lives on in the model
    return stacked


class Copy(Protocol):
    """Fields on their way into host memory."""

    def wait(self) -> dict[str, np.ndarray]:
        """The arrays, once they have arrived. Called by the writer thread."""
        ...


class Backend(Protocol):
    """Moves the fields of one record into host memory."""

    def start(self, tensors: Mapping[str, Tensor]) -> Copy:
        """Begin the move and return at once. Called by the training thread."""
        ...


class _Arrived:
    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = tensors

    def wait(self) -> dict[str, np.ndarray]:
        return {name: to_numpy(tensor) for name, tensor in self._tensors.items()}


class DirectCopy:
    """For tensors in host memory: there is nothing to move. On other devices it waits for the copy."""

    def start(self, tensors: Mapping[str, Tensor]) -> Copy:
        """See Backend.start."""
        return _Arrived({name: tensor.cpu() for name, tensor in tensors.items()})


class _Transfer:
    def __init__(self, host: Tensor, done: torch.cuda.Event, layout: Mapping[str, Slot]) -> None:
        self._host, self._done, self._layout = host, done, layout

    def wait(self) -> dict[str, np.ndarray]:
        self._done.synchronize()  # blocks this thread only: the interpreter lock is released
        return unpack(self._host, self._layout)


class PinnedCopy:
    """For one CUDA device: one asynchronous transfer per record, through pinned memory on a stream of its own.

    The computing stream never waits. The packed buffer stays reserved until the transfer is over (record_stream); the
    pinned memory is used again, by torch's caching allocator, after the arrays that view it are gone.
    """

    def __init__(self, device: torch.device) -> None:
        self._cuda: Any = torch.cuda  # without types in torch 2.13
        self._stream = self._cuda.Stream(device)
        self._device = device

    def start(self, tensors: Mapping[str, Tensor]) -> Copy:
        """See Backend.start."""
        packed, layout = pack(tensors)
        packing = self._cuda.Event()
        packing.record(self._cuda.current_stream(self._device))
        host = torch.empty(packed.shape, dtype=torch.uint8, pin_memory=True)
        done = self._cuda.Event()
        with self._cuda.stream(self._stream):
            self._stream.wait_event(packing)
            host.copy_(packed, non_blocking=True)
            packed.record_stream(self._stream)
            done.record(self._stream)
        return _Transfer(host, done, layout)


Slot = tuple[int, torch.dtype, torch.Size]
"""Where a field lies in a packed buffer: offset in bytes, type, shape."""


def pack(tensors: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Slot]]:
    """All tensors back to back in one buffer of bytes on their device, and where each of them lies."""
    layout: dict[str, Slot] = {}
    end = 0
    for name, tensor in tensors.items():
        layout[name] = (end, tensor.dtype, tensor.shape)
        end += -(-tensor.nbytes // _ALIGNMENT) * _ALIGNMENT
    device = next(iter(tensors.values())).device
    packed = torch.empty(end, dtype=torch.uint8, device=device)
    for name, tensor in tensors.items():
        offset = layout[name][0]
        packed[offset : offset + tensor.nbytes].view(tensor.dtype).view(tensor.shape).copy_(tensor)
    return packed, layout


def unpack(packed: Tensor, layout: Mapping[str, Slot]) -> dict[str, np.ndarray]:
    """The arrays of a packed buffer in host memory, without a copy."""
    arrays = {}
    for name, (offset, dtype, shape) in layout.items():
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
