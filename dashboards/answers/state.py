"""The memory at one time in exact numbers: rows and their change, what resembles what, and why usage is as it is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from memviz.dashboards.answers.choice import item_of, memory_of, slot_of, time_of
from memviz.dashboards.fieldview import Values, view
from memviz.dashboards.numbers import number, numbers
from memviz.dashboards.params import Params
from memviz.fields import INITIAL_PREFIX

Array = NDArray[np.float64]

MAX_ALIKE = 1024
"""Slots among which the two most similar rows are looked for."""

FELT = 0.01
"""Change of usage, or weight, that is worth a word."""


def state(values: Values, params: Params, index: int) -> dict[str, Any]:
    """Norm and change of every row, cosine to the chosen one, and sentences about content and use."""
    memory, item = memory_of(values, params), item_of(values, params)
    time = time_of(values, params, memory)
    slot = slot_of(values, params, memory) if "slot" in params else None
    params.done()
    known = _Moment(values, memory, item, time)
    return {"time": time, "slot": slot, **_content(known, slot), "explained": explain(known)}


class _Moment:
    """Fields of one item at a time and at the time before, in float64; None where there is none."""

    def __init__(self, values: Values, memory: str, item: int, time: int) -> None:
        self.values, self.memory, self.item, self.time = values, memory, item, time

    def at(self, name: str, back: int = 0) -> Array | None:
        """A field, `back` times earlier; before the first time the initial state, zero unless it was recorded."""
        full = f"{self.memory}/{name}"
        if full not in self.values.record.fields:
            return None
        field = view(self.values.record, full)
        time = self.time - back
        if not 0 <= time < field.length("time"):
            first = f"{self.memory}/{INITIAL_PREFIX}{name}"
            if time < 0 and first in self.values.record.stored:
                start = self.values.record.read(first).astype(np.float64)
                return np.asarray(start[self.item if len(start) > 1 else 0])
            shape = self.at(name)
            return None if shape is None or time >= 0 else np.zeros_like(shape)
        return np.asarray(self.values.times(field, self.item, time, time + 1)[0], np.float64)


def _content(known: _Moment, slot: int | None) -> dict[str, Any]:
    """What the rows hold, from the exact values."""
    rows, before = known.at("memory"), known.at("memory", back=1)
    if rows is None or before is None or rows.ndim != 2:
        return {"norm": None, "change": None, "cosine": None, "alike": None}
    with np.errstate(all="ignore"):
        norm = np.linalg.norm(rows, axis=1)
        change = np.linalg.norm(rows - before, axis=1)
        unit = np.where(norm[:, None] > 0, rows / norm[:, None], 0.0)
    most = float(np.nanmax(change)) if np.isfinite(change).any() else float("nan")
    return {
        "norm": numbers(norm, 5),
        "change": numbers(change, 5),
        "largest_change": {"slot": int(np.nanargmax(change)), "by": number(most)} if np.isfinite(most) else None,
        "cosine": None if slot is None else numbers(np.clip(unit @ unit[slot], -1, 1), 4),
        "alike": _alike(norm, unit),
    }


def _alike(norm: Array, unit: Array) -> dict[str, Any] | None:
    """The two rows in use that point most in the same direction."""
    used = np.flatnonzero(norm > 0.05 * np.nanmax(norm, initial=0.0)) if np.isfinite(norm).any() else np.empty(0, int)
    if not 2 <= len(used) <= MAX_ALIKE:
        return None
    cosine = unit[used] @ unit[used].T
    np.fill_diagonal(cosine, -np.inf)
    if not np.isfinite(cosine).any():
        return None
    a, b = np.unravel_index(int(np.nanargmax(cosine)), cosine.shape)
    return {"slots": [int(used[a]), int(used[b])], "cosine": number(float(cosine[a, b])), "used": len(used)}


def explain(known: _Moment) -> str | None:
    """Usage, freeing and allocation at this time in words; None where usage is not known."""
    usage = known.at("usage")
    if usage is None:
        return None
    if not np.isfinite(usage).all():
        return f"Usage is not finite at t={known.time}, so nothing can be allocated."
    full = int((usage > 0.95).sum())
    parts = [f"{full} of {len(usage)} slots are full (mean usage {usage.mean():.2f})"]
    parts += _freed(known)
    parts += _allocated(known, usage)
    return "; ".join(parts) + "."


def _freed(known: _Moment) -> list[str]:
    """Which slot the free gates released most, of what the heads read the time before."""
    gates, reads = known.at("free_gates"), known.at("read_weights", back=1)
    usage, before = known.at("usage"), known.at("usage", back=1)
    if gates is None or reads is None or usage is None or before is None:
        return []
    freed = gates[:, None] * reads
    if not np.isfinite(freed).all() or freed.max(initial=0.0) < FELT:
        return ["no read frees anything" + (f" (free gates at most {gates.max():.2f})" if gates.size else "")]
    head, slot = np.unravel_index(int(freed.argmax()), freed.shape)
    fell = f" (usage {before[slot]:.2f} to {usage[slot]:.2f})"
    return [f"head {head} frees {100 * freed[head, slot]:.0f} % of slot {slot}, which it read before{fell}"]


def _allocated(known: _Moment, usage: Array) -> list[str]:
    """Where allocation points, and what the gates make of it."""
    allocation = known.at("allocation_weights")
    gate, choice = known.at("write_gate"), known.at("allocation_gate")
    free = int(usage.argmin())
    if allocation is None or not np.isfinite(allocation).all():
        return [f"the freest slot is {free} (usage {usage[free]:.2f})"]
    heads = allocation.reshape(-1, allocation.shape[-1])
    parts = []
    for head, weights in enumerate(heads):
        slot, name = int(weights.argmax()), "allocation" if len(heads) == 1 else f"allocation of write head {head}"
        if weights.sum() < 0.05:
            parts.append(f"{name} finds no free slot (its weights sum to {weights.sum():.2f})")
            continue
        text = f"{name} points to slot {slot} with {weights[slot]:.2f}"
        if gate is not None and choice is not None and head < gate.size and head < choice.size:
            opened, share = float(gate.reshape(-1)[head]), float(choice.reshape(-1)[head])
            if opened < 0.05:
                text += f", but the write gate is shut ({opened:.2f})"
            else:
                text += f"; the write gate is {opened:.2f}, and {100 * share:.0f} % of the write goes by allocation"
        parts.append(text)
    return parts
