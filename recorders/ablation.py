"""Run a recorded sequence again with one thing changed, and set what happens beside the lineage.

Lineage holds the addressing at its recorded values; this does not. Where the two disagree, the addressing matters: a
missing write also turns later lookups, allocations and links elsewhere.

    found = memviz.ablate(model, record, RemoveWrite(time=2))
    print(found.text())     # with the write at t=2 removed, the output changes by up to 1, from t=13 on; ...
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from memviz.analysis.lineage.table import lineage_table
from memviz.errors import FieldError, RecorderError
from memviz.recorders.controls import Controls, controlled, find_controls
from memviz.recorders.interventions import Intervention, RemoveWrite
from memviz.recorders.rerun import (
    REPRODUCED,
    distance,
    evaluating,
    recorded_tensor,
    require_same,
    run,
    time_first,
)

if TYPE_CHECKING:
    from memviz.trace.reader import Record

Array = NDArray[np.float64]

Loss = Callable[[Tensor, Tensor], Tensor]
"""`loss(output, target)`, both as the model gives and the user has them."""


@dataclass(frozen=True)
class Ablation:
    """What one change did to a recorded sequence.

    Attributes:
        intervention: the change.
        baseline: [time, batch, channel], the output of the model without the change.
        output: [time, batch, channel], the output with it.
        loss_before, loss_after: the loss of both, or None where no loss was asked for.
        shares: [time, batch, read_head], for a removed write: its share in each read by lineage, addressing frozen; NaN
            where a read is zero, None for other changes and where the record has no lineage.
    """

    intervention: Intervention
    baseline: Array
    output: Array
    loss_before: float | None
    loss_after: float | None
    shares: Array | None

    @property
    def effect(self) -> Array:
        """The largest change of the output at each time, [time, batch]."""
        return np.asarray(np.abs(self.output - self.baseline).max(axis=2))

    @property
    def agreement(self) -> float | None:
        """Correlation over times between the lineage share and the effect, -1 to 1; None where either is constant.

        The share is the largest over read heads. Near 1, frozen addressing told the truth about this write.
        """
        if self.shares is None:
            return None
        known = np.nan_to_num(np.abs(self.shares)).max(axis=2).ravel()
        effect = self.effect.ravel()
        if known.std() == 0 or effect.std() == 0:
            return None
        return float(np.corrcoef(known, effect)[0, 1])

    def text(self) -> str:
        """The result in one sentence."""
        effect = self.effect
        if not effect.any():
            said = "the output does not change"
        else:
            # The first time at which the change is at least half as large as it ever gets.
            time, item = np.unravel_index(int(np.argmax(effect >= effect.max() / 2)), effect.shape)
            said = f"the output changes by up to {effect.max():.3g}, from t={time} on"
            if self.shares is not None and np.isfinite(self.shares[time, item]).any():
                share = float(np.nanmax(self.shares[time, item]))
                said += f", where lineage gives the write {100 * share:.0f} % of a read (addressing frozen)"
        if self.loss_before is not None and self.loss_after is not None:
            said += f"; loss {self.loss_before:.4g} -> {self.loss_after:.4g}"
        return f"with {self.intervention.text()}, {said}"


def ablate(
    model: nn.Module,
    record: Record,
    intervention: Intervention,
    *,
    memory: str | None = None,
    inputs: tuple[Any, ...] | None = None,
    loss: Loss | None = None,
    target: Tensor | None = None,
    strict: bool = True,
) -> Ablation:
    """Run the recorded sequence twice, without and with a change, and compare.

    Args:
        model: the live model, or one into which the checkpoint of the record's step was loaded. It is run in eval mode
            without gradients and left as it was.
        record: the record; its `model/input` is run, turned to [batch, time, channel] unless `model.batch_first` is
            False.
        intervention: what to change; see memviz.recorders.interventions.
        memory: which memory of the model; may be left out when there is one.
        inputs: what to call the model with instead, when it takes more than one tensor.
        loss: computed of both outputs where given, with `target`, or `model/target` of the record.
        target: as the loss wants it.
        strict: refuse when the model does not give the recorded output again. Both runs draw the same random numbers,
            those that follow the present state of torch's generators, which are left as they are.

    Raises:
        RecorderError: the model cannot be controlled there, or does not reproduce the record.
        FieldError: the record has no input, and none was given.
    """
    controls = choose_controls(find_controls(model), memory)
    if inputs is None:
        inputs = (recorded_tensor(record, "input", model),)
    with evaluating(model), torch.no_grad():
        before = run(model, inputs)
        with controlled(controls, needs_of(intervention, controls), intervention.edit):
            after = run(model, inputs)
    gap = distance(time_first(before, model), record)
    if strict:
        require_same(gap, record)
    losses: tuple[float | None, float | None] = (None, None)
    if loss is not None:
        wanted = recorded_tensor(record, "target", model) if target is None else target
        losses = float(loss(before, wanted)), float(loss(after, wanted))
    shares = None
    if isinstance(intervention, RemoveWrite) and gap <= REPRODUCED:
        shares = _shares(record, controls.memory, intervention)
    return Ablation(intervention, time_first(before, model), time_first(after, model), *losses, shares)


def needs_of(intervention: Intervention, controls: Controls) -> Sequence[str]:
    """What the intervention works on: what it names, or what it can do with instead where a memory lacks that."""
    instead: Sequence[str] = getattr(intervention, "instead", ())

    def reached(names: Sequence[str]) -> bool:
        return any(set(names) <= set(point.fields) for point in controls.points)

    return instead if instead and not reached(intervention.needs) and reached(instead) else intervention.needs


def choose_controls(found: dict[str, Controls], memory: str | None) -> Controls:
    """The memory that is meant: the one named, or the only one.

    Raises:
        RecorderError: there is none, or there are several and none was named.
    """
    if memory is None and len(found) == 1:
        return next(iter(found.values()))
    if memory in found:
        return found[memory]
    known = ", ".join(map(repr, found)) or "none; its adapter has no control points (docs/analysis.md)"
    raise RecorderError(f"choose memory= one of those that can be controlled: {known}")


def _shares(record: Record, memory: str, intervention: RemoveWrite) -> Array | None:
    try:
        items = record.shape(f"{memory}/read_weights")[1]
        tables = [lineage_table(record, memory, item).shares[:, :, intervention.time + 1] for item in range(items)]
    except (FieldError, IndexError):
        return None
    return np.stack(tables, axis=1)
