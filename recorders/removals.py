"""Run a record again without each of its strongest writes, and keep what that did for the Lineage page.

Lineage says what a read is made of; this says what the model does without it. A write with a large share may be
replaced by another one, and one without a share may have shown the way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from memviz.analysis.lineage.table import lineage_table
from memviz.analysis.removals import Removal, Removals
from memviz.errors import FieldError, PlaceError
from memviz.fields import MODEL
from memviz.recorders.ablation import choose_controls, needs_of
from memviz.recorders.controls import controlled, find_controls
from memviz.recorders.interventions import RemoveWrite
from memviz.recorders.rerun import distance, evaluating, recorded_tensor, require_same, run, time_first

if TYPE_CHECKING:
    from memviz.trace.reader import Record

Array = NDArray[np.float64]

MOST = 16
"""Writes that are removed unless others are asked for."""

LOSS = "squared error"


def removals(
    model: nn.Module,
    record: Record,
    *,
    memory: str | None = None,
    writes: Sequence[int] | None = None,
    most: int = MOST,
    source: str = "the live model",
    inputs: tuple[Any, ...] | None = None,
    strict: bool = True,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Removals:
    """Remove one write at a time.

    Args:
        model: the live model, or one into which the checkpoint of the record's step was loaded; run in eval mode
            without gradients and left as it was.
        record: the record; its `model/input` is run.
        memory: which memory of the model; may be left out when there is one.
        writes: times of the writes; by default those with the largest share in any read, by lineage.
        most: how many of these.
        source: where the model comes from, in words.
        inputs: what to call the model with instead, when it takes more than one tensor.
        strict: refuse when the model does not give the recorded output again.
        progress: called with the number of writes removed and to remove.

    Returns:
        The removals, the largest change of the output first. The loss is the mean squared error at the times and
        channels that the record has a target for.

    Raises:
        RecorderError: the model cannot be controlled there, or does not reproduce the record.
        FieldError: the record has no input and none was given, or no lineage to choose writes by.
        PlaceError: there is no such write.
    """
    controls = choose_controls(find_controls(model), memory)
    shares = _shares(record, controls.memory)
    times = record.lengths[controls.memory]
    chosen = _chosen(shares, writes, most, times, controls.memory)
    if inputs is None:
        inputs = (recorded_tensor(record, "input", model),)
    found: list[Removal] = []
    with evaluating(model), torch.no_grad():
        before = time_first(run(model, inputs), model)
        if strict:
            require_same(distance(before, record), record)
        error = _loss(record, before)
        for done, time in enumerate(chosen):
            change = RemoveWrite(time)
            with controlled(controls, needs_of(change, controls), change.edit):
                after = time_first(run(model, inputs), model)
            effect = np.abs(after - before).max(axis=2).T
            share = np.full(len(effect), np.nan) if shares is None else shares[:, time]
            found.append(Removal(time, effect, share, None if error is None else error(after)))
            progress(done + 1, len(chosen))
    found.sort(key=lambda one: -float(np.nanmax(one.effect, initial=0.0)))
    loss = None if error is None else error(before)
    return Removals(record.id, record.step, controls.memory, source, times, found, loss, LOSS)


def _shares(record: Record, memory: str) -> Array | None:
    """The largest share of each write in any read, [item, write]; None where the record has no lineage."""
    try:
        field = next(name for name in ("read_weights", "fast_queries") if f"{memory}/{name}" in record.fields)
        items = record.shape(f"{memory}/{field}")[1]
        tables = [np.abs(np.nan_to_num(lineage_table(record, memory, item).shares[:, :, 1:])) for item in range(items)]
    except (FieldError, StopIteration):
        return None
    return np.stack([table.max(axis=(0, 1)) for table in tables])


def _chosen(shares: Array | None, writes: Sequence[int] | None, most: int, times: int, memory: str) -> list[int]:
    if writes is not None:
        wrong = [time for time in writes if not -times <= time < times]
        if wrong:
            raise PlaceError(f"there is no write at {wrong[0]}: {memory!r} has the times 0 to {times - 1}")
        return list(dict.fromkeys(time % times for time in writes))
    if shares is None:
        raise FieldError(
            f"the record has no lineage of {memory!r} to choose writes by; name them with writes=, or record with "
            "fields='default'"
        )
    best = shares.max(axis=0)
    order = np.argsort(-best, kind="stable")
    return [int(time) for time in order[:most] if best[time] >= 0.005]


def _loss(record: Record, before: Array) -> Callable[[Array], float] | None:
    """Mean squared error over what the target has, on as many channels as it has; None without a target that fits."""
    name = f"{MODEL}/target"
    if name not in record.fields:
        return None
    target = record.read(name).astype(np.float64)
    if target.ndim != 3 or target.shape[:2] != before.shape[:2] or target.shape[2] > before.shape[2]:
        return None
    known = np.isfinite(target)
    if not known.any():
        return None
    return lambda output: float(((output[..., : target.shape[2]] - target)[known] ** 2).mean())


def load_state(model: nn.Module, state: dict[str, Tensor]) -> None:
    """Put weights into a model, from a state dict or what training scripts wrap it in."""
    for wrapper in ("model", "state_dict", "model_state_dict"):
        if isinstance(state.get(wrapper), dict):
            state = state[wrapper]  # type: ignore[assignment]
    model.load_state_dict(state)
