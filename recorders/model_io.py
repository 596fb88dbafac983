"""The attached model's own input, output and target, recorded under the memory name `model`.

Only what needs no guess is taken: a floating-point tensor of rank 3, time, batch and channel, the first argument and
the first result. `batch_first` of the model says which of the first two axes is the batch; a model that does not say
counts as batch first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from memviz import fields
from memviz.recorders.adapters.base import MemoryPlan
from memviz.recorders.capture import Channel

NAMES = ("output", "target", "input")
"""Tensor labels, in the order in which they win when they disagree about the number of times."""


def channels(model: nn.Module, plans: Iterable[MemoryPlan]) -> dict[str, Channel]:
    """The channels of input, target and output, by field name."""
    order = "batch time" if is_batch_first(model, plans) else "time batch"
    return {
        name: Channel(
            fields.MODEL, name, (*order.split(), "input_channel" if name == "input" else "output_channel"), "last"
        )
        for name in NAMES
    }


def is_batch_first(model: nn.Module, plans: Iterable[MemoryPlan]) -> bool:
    """Whether sequences are [batch, time, channel]: as the model, or else an adapter, says; True when nobody does."""
    inner: Any = model
    while not isinstance(getattr(inner, "batch_first", None), bool):
        wrapped = next((inner._modules[name] for name in ("module", "_orig_mod") if name in inner._modules), None)
        if wrapped is None:
            said = [plan.attributes["batch_first"] for plan in plans if "batch_first" in plan.attributes]
            return bool(said[0]) if said else True
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
