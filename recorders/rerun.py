"""Run the sequence of a record through its model once more: the same input, and proof that it is the same model.

`ablate` and `connectivity` ask questions that a record alone cannot answer. Both begin here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from memviz.errors import FieldError, RecorderError
from memviz.fields import MODEL

if TYPE_CHECKING:
    from memviz.trace.reader import Record

Array = NDArray[np.float64]

REPRODUCED = 1e-3
"""How far a rerun may be from the recorded output, in units of the largest value."""


def is_batch_first(model: nn.Module) -> bool:
    """Whether the model takes and gives [batch, time, channel]; true unless its `batch_first` says otherwise."""
    return bool(getattr(model, "batch_first", True))


def recorded_tensor(record: Record, field: str, model: nn.Module) -> Tensor:
    """`model/<field>` of the record, as the model takes it: its device, dtype and order of axes.

    Raises:
        FieldError: it was not recorded.
    """
    name = f"{MODEL}/{field}"
    if name not in record.fields:
        raise FieldError(f"the record has no {name}; give it yourself, as the model takes it")
    like = next(model.parameters(), torch.empty(0))
    values = torch.as_tensor(record.read(name).astype(np.float64), dtype=like.dtype, device=like.device)
    return values.transpose(0, 1) if is_batch_first(model) else values


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode; afterwards every module gets its own mode back."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def run(model: nn.Module, inputs: tuple[Any, ...]) -> Tensor:
    """The output of the model, with random numbers that follow the present state of torch's generators, left as it is.

    Raises:
        RecorderError: the output has not the axes of a sequence.
    """
    with torch.random.fork_rng():
        output = model(*inputs)
    while isinstance(output, tuple | list):
        output = output[0]
    if not isinstance(output, Tensor) or output.ndim != 3:
        raise RecorderError(
            "a rerun needs a model that returns [batch, time, channel], or a tuple that begins with it; this one "
            f"returns {f'a tensor of {output.ndim} axes' if isinstance(output, Tensor) else type(output).__name__}"
        )
    return output


def time_first(output: Tensor, model: nn.Module) -> Array:
    """What the model gave as a float64 array [time, batch, channel]."""
    values = output.transpose(0, 1) if is_batch_first(model) else output
    return np.asarray(values.detach().double().cpu().numpy())


def distance(output: Array, record: Record) -> float:
    """How far the rerun is from the recorded output, in units of its largest value; 0 where none was recorded.

    Raises:
        RecorderError: the shapes differ.
    """
    if f"{MODEL}/output" not in record.fields:
        return 0.0
    recorded = record.read(f"{MODEL}/output").astype(np.float64)
    if recorded.shape != output.shape:
        raise RecorderError(
            f"the model gives an output of shape {output.shape} [time, batch, channel], the record has {recorded.shape}"
        )
    same = np.isnan(output) & np.isnan(recorded)
    gap = float(np.abs(np.where(same, 0.0, output - recorded)).max(initial=0.0))
    gap /= max(1.0, float(np.abs(recorded[np.isfinite(recorded)]).max(initial=0.0)))
    return gap if np.isfinite(gap) else float("inf")


def require_same(gap: float, record: Record) -> None:
    """Refuse a model that does not give the recorded output again.

    Raises:
        RecorderError: `gap` is larger than rounding.
    """
    if gap > REPRODUCED:
        raise RecorderError(
            f"this model is not the one that was recorded: its output differs by {gap:.3g} of the largest. Load the "
            f"checkpoint of step {record.step}; where the model draws random numbers (dropout, a random initial "
            "state), set torch's seed as it was then; or pass strict=False to go on without this proof"
        )
