"""The attached model's own input, output and target, recorded under the memory name `model`.

Only what needs no guess is taken: a floating-point tensor of rank 3, time, batch and channel, the first argument and
the first result. `batch_first` of the model says which of the first two axes is the batch. A model that does not say
counts as batch first, unless its memories have as many batch items as the second axis has, and not as the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from memviz import fields
from memviz.recorders.adapters.base import MemoryPlan
from memviz.recorders.capture import Capture, Channel

NAMES = ("output", "target", "input")
"""Tensor labels, in the order in which they win when they disagree about the number of times."""


class ModelIO:
    """The channels of the model's own input, target and output.

    Attributes:
        channels: by field name.
        said: whether the model, or an adapter, says which axis is the batch.
    """

    def __init__(self, model: nn.Module, plans: Sequence[MemoryPlan]) -> None:
        batch_first = is_batch_first(model, plans)
        self.said = batch_first is not None
        self.channels = {name: _channel(name, batch_first is not False) for name in NAMES}
        for plan in plans:
            if "output_batch_first" in plan.attributes:
                self.channels["output"] = _channel("output", bool(plan.attributes["output_batch_first"]))

    def settle(self, capture: Capture) -> None:
        """Where nobody says which axis is the batch, take the one that has as many items as the memories."""
        if self.said:
            return
        ours = [i for i, channel in enumerate(capture.channels) if channel.memory == fields.MODEL and capture.values[i]]
        size = capture.batch_size([i for i in range(len(capture.channels)) if i not in ours])
        for index in ours:
            shape = capture.values[index][0].shape
            if size not in (None, shape[0]) and size == shape[1]:
                capture.channels[index] = _channel(capture.channels[index].field, False)


def _channel(name: str, batch_first: bool) -> Channel:
    order = ("batch", "time") if batch_first else ("time", "batch")
    return Channel(fields.MODEL, name, (*order, "input_channel" if name == "input" else "output_channel"), "last")


def is_batch_first(model: nn.Module, plans: Iterable[MemoryPlan]) -> bool | None:
    """Whether sequences are [batch, time, channel], as the model or an adapter says; None when nobody does."""
    inner: Any = model
    while not isinstance(getattr(inner, "batch_first", None), bool):
        wrapped = next((inner._modules[name] for name in ("module", "_orig_mod") if name in inner._modules), None)
        if wrapped is None:
            said = [plan.attributes["batch_first"] for plan in plans if "batch_first" in plan.attributes]
            return bool(said[0]) if said else None
        inner = wrapped
    return bool(inner.batch_first)


def model_input(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor | None:
    """The first argument of the forward, if it is a sequence."""
    return sequence(args[0] if args else next(iter(kwargs.values()), None))


def model_output(output: Any) -> Tensor | None:
    """The first result of the forward, if it is a sequence."""
    return sequence(output[0] if isinstance(output, tuple | list) and output else output)


def sequence(value: Any) -> Tensor | None:
    """The value as a tensor if it is a floating-point sequence of rank 3, else None."""
    if isinstance(value, np.ndarray):
        value = torch.from_numpy(value)
    if isinstance(value, Tensor) and value.ndim == 3 and value.is_floating_point():
        return value
    return None


def labelled_sequence(value: Any) -> Tensor | None:
    """The value as a floating-point tensor if it is a sequence of numbers of rank 3, one-hot integers included."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        value = torch.from_numpy(value)
    if isinstance(value, Tensor) and value.ndim == 3 and not value.is_complex():
        return value if value.is_floating_point() else value.float()
    return None
