"""Gradients: what backward says about the values of a sampled forward, and about the parameters.

Tensor hooks are placed on the captured values when the forward has ended. They only look: they return nothing, so every
gradient stays what it is, bit for bit. They go with the graph that they hang on.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator, Sequence
from time import perf_counter_ns
from typing import Any

import torch
from torch import Tensor, nn

from memviz import fields
from memviz.errors import RecorderError
from memviz.recorders.capture import Capture, Channel, peek_interpreter_stack
from memviz.recorders.late import Late
from memviz.recorders.staging import SMALL, Selection, Snapshot, joined

ALWAYS = frozenset({"memory"})
"""Fields whose gradient `grads=True` records even where the field itself is derived: diagnostics of gradient flow ask
for it."""

_STATES = (fields.INITIAL_PREFIX, fields.FINAL_PREFIX)
_current_graph_task_id = torch._C._current_graph_task_id


class GradientChoice:
    """The argument `grads` of memviz.attach: False, True for the fields that are recorded, or names.

    Raises:
        RecorderError: it is none of these.
    """

    def __init__(self, value: bool | Collection[str]) -> None:
        if isinstance(value, str) or not (isinstance(value, bool) or all(isinstance(name, str) for name in value)):
            raise RecorderError(f'grads={value!r}: expected True, False or names of fields such as ["memory"]')
        self.recorded = value is True
        self.names = frozenset(() if isinstance(value, bool) else value)

    def __bool__(self) -> bool:
        return self.recorded or bool(self.names)

    def extra(self, memory: str, field: str) -> bool:
        """Whether the gradient of a field is wanted although the field may not be recorded."""
        named = field in self.names or f"{memory}/{field}" in self.names
        return named or (self.recorded and field in ALWAYS)

    def wants(self, channel: Channel, recorded: bool) -> bool:
        """Whether the gradient of a channel is wanted; boundary states have none of their own."""
        if channel.field.startswith(_STATES):
            return False
        return self.extra(channel.memory, channel.field) or (self.recorded and recorded)

    def __str__(self) -> str:
        if self.recorded:
            return "the gradient of the loss by each field that is recorded, and by the memory"
        return f"the gradient of the loss by {', '.join(sorted(self.names))}" if self.names else ""


class GradientTaps:
    """The gradients of the values of one forward, summed over its backward passes as torch sums them.

    Args:
        capture: a finished capture.
        indices: the channels to follow.
        selection: the batch items that will be recorded; None when they are not known yet.
        dtype: of the stored fields; None as computed.
        spent: told the nanoseconds that each gradient took.
    """

    def __init__(
        self,
        capture: Capture,
        indices: Sequence[int],
        selection: Selection | None,
        dtype: torch.dtype | None,
        spent: Callable[[int], None],
    ) -> None:
        self._selection = selection
        self._dtype = dtype
        self._spent = spent
        self._on_error = capture.on_error
        self._closed = False
        self._channels: dict[int, Channel] = {}
        self._times: dict[int, int] = {}
        self._arrived: dict[int, dict[int, Tensor]] = {}
        self._versions: dict[int, int] = {}
        self._picked: set[int] = set()
        if peek_interpreter_stack() is not None:
            return  # inside torch.func there is no graph to hang on
        for index in indices:
            values = capture.values[index]
            if not any(value.requires_grad for value in values):
                continue
            self._channels[index] = capture.channels[index]
            self._times[index] = len(values)
            self._arrived[index] = {}
            self._versions[index] = 0
            for time, value in enumerate(values):
                if value.requires_grad:
                    value.register_hook(functools.partial(self._got, index, time))

    def __len__(self) -> int:
        return len(self._channels)

    @property
    def arrived(self) -> bool:
        """Whether any gradient has come."""
        return any(self._arrived.values())

    def close(self) -> None:
        """Take no more gradients: a backward pass that comes later belongs to no record."""
        self._closed = True

    def snapshots(self, selection: Selection) -> Iterator[Snapshot]:
        """The gradients that have come, as fields `grad/<field>`; zero at times that the loss does not depend on.

        Args:
            selection: the batch items that are recorded.
        """
        for index, got in self._arrived.items():
            if not got:
                continue
            channel = self._channels[index]
            name = f"{fields.GRADIENT_PREFIX}{channel.field}"
            try:
                if sum(one._version for one in got.values()) != self._versions[index]:
                    raise RecorderError("it was written into after backward had given it, so it is left out")
                like = next(iter(got.values()))
                values = [got.get(time, torch.zeros_like(like)) for time in range(self._times[index])]
                tensor = joined(channel, values)
                if channel.finish is not None and not _reorders(channel.finish, tensor):
                    raise RecorderError("its field is computed from the captured value, so it cannot be told")
                target = Channel(channel.memory, name, channel.axes, channel.keep, channel.finish)
                later = None if channel.layout.batch < 0 or index in self._picked else selection
                yield Snapshot(target, tensor, later, self._dtype)
            except Exception as error:
                self._on_error(error, f"{channel.memory}/{name}")

    def _got(self, index: int, time: int, gradient: Tensor) -> None:
        """Called by backward. Whatever happens in here stays in here."""
        if self._closed:
            return
        start = perf_counter_ns()
        channel = self._channels[index]
        try:
            with torch.no_grad():
                gradient, axis = gradient.detach(), channel.layout.batch
                # A large one would keep the whole batch in memory for the sake of a few items.
                if self._selection is not None and axis >= 0 and gradient.nbytes > SMALL:
                    gradient = self._selection.of(gradient, axis, channel.full_name).clone()
                    self._picked.add(index)
                got = self._arrived[index]
                before = got.get(time)
                if before is not None:
                    self._versions[index] -= before._version
                    gradient = before + gradient
                got[time] = gradient
                self._versions[index] += gradient._version
        except Exception as error:
            self._on_error(error, f"{channel.memory}/{fields.GRADIENT_PREFIX}{channel.field}")
        self._spent(perf_counter_ns() - start)


def _reorders(finish: Callable[[Tensor], Tensor], like: Tensor) -> bool:
    """Whether `finish` only moves values about, so that it does the same to their gradients."""
    numbers = torch.arange(like.numel(), dtype=torch.float64).reshape(like.shape)
    moved = finish(numbers)
    return moved.numel() == numbers.numel() and torch.equal(moved.flatten().sort().values, numbers.flatten())


class GradientNorm:
    """The norms of the parameters' gradients after a backward pass, before anything clips them.

    A hook on the output of the model asks torch to call back when the backward pass that reached it is over.

    Args:
        model: whose parameters.
        on_error: told about what fails.
        spent: told the nanoseconds that measuring took.
    """

    def __init__(
        self, model: nn.Module, on_error: Callable[[Exception, str], None], spent: Callable[[int], None]
    ) -> None:
        self._model = model
        self._on_error = on_error
        self._spent = spent
        self._task = -1
        self._norms: list[Late] = []

    def arm(self, output: Any) -> None:
        """Listen to the backward pass of one forward."""
        try:
            for tensor in _tensors(output):
                if tensor.requires_grad and peek_interpreter_stack() is None:
                    tensor.register_hook(self._reached)
        except Exception as error:
            self._on_error(error, "the norm of the gradient")

    def take(self) -> list[Late]:
        """The norms that the last backward pass left, one tensor per device; forgets them."""
        norms, self._norms = self._norms, []
        return norms

    def _reached(self, gradient: Tensor) -> None:
        """Called by backward when it begins."""
        task = _current_graph_task_id()
        if task == self._task:
            return
        self._task = task
        try:
            engine: Any = torch.autograd.Variable._execution_engine
            engine.queue_callback(self._measure)
        except Exception as error:
            self._on_error(error, "the norm of the gradient")

    def _measure(self) -> None:
        start = perf_counter_ns()
        try:
            with torch.no_grad():
                by_kind: dict[tuple[torch.device, torch.dtype], list[Tensor]] = {}
                for parameter in self._model.parameters():
                    if parameter.grad is not None:
                        gradient = _plain(parameter.grad)
                        by_kind.setdefault((gradient.device, gradient.dtype), []).append(gradient)
                self._norms = [
                    Late(torch.stack(torch._foreach_norm(group)).float().square().sum().sqrt())
                    for group in by_kind.values()
                ]
        except Exception as error:
            self._on_error(error, "the norm of the gradient")
        self._spent(perf_counter_ns() - start)


def _plain(gradient: Tensor) -> Tensor:
    """The numbers of a gradient: those of a sparse one, and this process's share of a distributed one."""
    local = getattr(gradient, "_local_tensor", gradient)
    return local.coalesce().values() if local.is_sparse else local


def _tensors(output: Any, depth: int = 3) -> Iterator[Tensor]:
    """The tensors in what a forward returned."""
    if isinstance(output, Tensor):
        yield output
    elif depth and isinstance(output, dict):
        for value in output.values():
            yield from _tensors(value, depth - 1)
    elif depth and isinstance(output, tuple | list):
        for value in output:
            yield from _tensors(value, depth - 1)
