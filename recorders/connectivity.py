"""Connectivity: how strongly each output depends on each input before it, ‖∂y_t / ∂x_s‖, through everything.

Lineage follows what was stored, with the addressing frozen. This follows every path: through the memory, its
addressing, and the controller's own state (Madsen 2019, "Visualizing memorization in RNNs"). An input that reaches the
output here and not by lineage is remembered by the controller, or steers where to look.

    found = memviz.connectivity(model, record, times=[14])
    print(found.text())     # the output at t=14 depends on the input at t=3 (71 %), t=14 (12 %), t=2 (6 %)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from memviz.errors import PlaceError, RecorderError
from memviz.fields import MODEL
from memviz.recorders.rerun import (
    distance,
    evaluating,
    is_batch_first,
    recorded_tensor,
    require_same,
    run,
    time_first,
)

if TYPE_CHECKING:
    from memviz.trace.reader import Record

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Connectivity:
    """What the outputs of a recorded sequence depend on.

    Attributes:
        times: [output], the times of the outputs that were asked for.
        norms: [output, batch, time], the Frobenius norm of ∂y_t / ∂x_s over channels; 0 for inputs after the output.
    """

    times: NDArray[np.int64]
    norms: Array

    @property
    def shares(self) -> Array:
        """[output, batch, time], the norms as shares of their sum; NaN where the output depends on nothing."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.norms / self.norms.sum(axis=2, keepdims=True))

    @property
    def reach(self) -> Array:
        """[output, batch], how many times back an output looks in the mean, weighted by share."""
        ages = self.times[:, None] - np.arange(self.norms.shape[2])
        return np.asarray((self.shares * ages[:, None]).sum(axis=2))

    def text(self, output: int = 0, batch: int = 0) -> str:
        """One output in a sentence; `output` is a position in `times`."""
        time, shares = int(self.times[output]), self.shares[output, batch]
        if not np.isfinite(shares).all():
            return f"the output at t={time} depends on no input"
        first = [int(source) for source in np.argsort(-shares, kind="stable")[:3] if shares[source] >= 0.01]
        said = ", ".join(f"t={source} ({100 * shares[source]:.0f} %)" for source in first)
        return f"the output at t={time} depends on the input at {said}"


def connectivity(
    model: nn.Module, record: Record, *, times: Sequence[int] | None = None, strict: bool = True
) -> Connectivity:
    """Run the recorded sequence again and differentiate its outputs by its inputs.

    It costs one backward pass per output channel and time asked for.

    Args:
        model: the live model, or one into which the checkpoint of the record's step was loaded. It is run in eval mode
            and left as it was, gradients of its parameters included.
        record: the record; its `model/input` is run.
        times: outputs to explain, negative counts from the end; by default those where the record has a target, or all.
        strict: refuse when the model does not give the recorded output again.

    Raises:
        RecorderError: the model does not reproduce the record, or is not differentiable.
        FieldError: the record has no input.
        PlaceError: there is no such time.
    """
    x = recorded_tensor(record, "input", model).requires_grad_()
    # The RNNs of cuDNN have no backward pass in eval mode; the plain kernels have.
    with evaluating(model), torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        output = run(model, (x,))
        result = time_first(output, model)
        if strict:
            require_same(distance(result, record), record)
        if not output.requires_grad:
            raise RecorderError("the output does not depend on the input by any differentiable path; is it detached?")
        chosen = _times(times, len(result), record)
        batch_first = is_batch_first(model)
        rows = output if batch_first else output.transpose(0, 1)
        norms = np.stack([_norms(rows[:, time], x, batch_first) for time in chosen])
    return Connectivity(chosen, norms)


def _norms(output: Tensor, x: Tensor, batch_first: bool) -> Array:
    """[batch, time] from one output [batch, channel]; items do not see each other, so one pass serves all of them."""
    squares = torch.zeros(x.shape[:2], dtype=torch.float64)
    for channel in output.sum(dim=0):
        (gradient,) = torch.autograd.grad(channel, x, retain_graph=True)
        squares += gradient.double().square().sum(dim=2).cpu()
    return np.asarray((squares if batch_first else squares.T).sqrt().numpy())


def _times(times: Sequence[int] | None, length: int, record: Record) -> NDArray[np.int64]:
    if times is None:
        target = f"{MODEL}/target"
        if target not in record.fields:
            return np.arange(length)
        asked = ~np.isnan(record.read(target).astype(np.float64)).any(axis=(1, 2))
        return np.flatnonzero(asked) if asked.any() else np.arange(length)
    found = np.array([time + length if time < 0 else time for time in times], dtype=np.int64)
    if len(found) == 0 or found.min() < 0 or found.max() >= length:
        raise PlaceError(f"times are one or more of 0 to {length - 1}, or negative from the end, not {list(times)}")
    return found
