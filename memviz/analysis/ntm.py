"""How the heads of a Neural Turing Machine find their place: Graves et al. 2014, section 3.3, in numpy.

`rules` and `laws.composed` make laws of these equations. Shapes are those of `dynamics`, without time; the axis `head`
of gates, shifts and sharpening holds the read heads first, then the write heads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memviz.analysis import dynamics

Array = NDArray[Any]
Frame = Mapping[str, Array]


def locate(
    content: Array,
    previous: Array,
    gate: Array,
    shift_weights: Array,
    sharpening: Array,
    shifts: Sequence[int],
    delta: float = 0.0,
) -> Array:
    """Interpolation, shift and sharpening (equations 7, 8 and 9).

    Args:
        content: [batch, head, slot].
        previous: [batch, head, slot], the weighting of the time before.
        gate: [batch, head].
        shift_weights: [batch, head, shift].
        sharpening: [batch, head].
        shifts: how far each allowed shift moves a weighting, in slots.
        delta: added to the sum that the weighting is divided by; the paper has none.

    Returns:
        [batch, head, slot].
    """
    gated = gate[..., None] * content + (1 - gate[..., None]) * previous
    moved = np.stack([np.roll(gated, by, axis=-1) for by in shifts], axis=2)
    shifted = np.matmul(shift_weights[:, :, None], moved)[:, :, 0]
    if delta:
        powers = shifted ** sharpening[..., None]
        return np.asarray(powers / (powers.sum(axis=-1, keepdims=True) + delta))
    # The same quotient, whose powers cannot all underflow.
    top = shifted.max(axis=-1, keepdims=True)
    powers = np.divide(shifted, top, out=np.zeros_like(shifted), where=top != 0) ** sharpening[..., None]
    total = powers.sum(axis=-1, keepdims=True)
    return np.asarray(np.divide(powers, total, out=np.zeros_like(powers), where=total != 0))


def read_weights(before: Frame, now: Frame, attributes: Mapping[str, Any]) -> Array:
    """The weightings of the read heads, from their lookups."""
    heads = now["read_content_weights"].shape[1]
    return _weights("read", slice(heads), before, now, attributes)


def write_weights(before: Frame, now: Frame, attributes: Mapping[str, Any]) -> Array:
    """The weightings of the write heads, from their lookups."""
    heads = now["write_content_weights"].shape[1]
    return _weights("write", slice(-heads, None), before, now, attributes)


def _weights(kind: str, heads: slice, before: Frame, now: Frame, attributes: Mapping[str, Any]) -> Array:
    return locate(
        now[f"{kind}_content_weights"],
        before[f"{kind}_weights"],
        now["interpolation_gate"][:, heads],
        now["shift_weights"][:, heads],
        now["sharpening"][:, heads],
        attributes["shifts"],
        float(attributes.get("normalizing_delta", 0.0)),
    )


def lookups(kind: str, seen: Sequence[Array], now: Frame, attributes: Mapping[str, Any]) -> Array:
    """Lookups of heads that do not see the same memory.

    Args:
        kind: "read" or "write".
        seen: for each head the memory that it sees, [batch, slot, word].
        now: keys and strengths.
        attributes: of the memory.

    Returns:
        [batch, head, slot].
    """
    keys, strengths = now[f"{kind}_keys"], now[f"{kind}_strengths"]
    delta = float(attributes.get("cosine_delta", 0.0))
    found = [
        dynamics.content_weights(memory, keys[:, head : head + 1], strengths[:, head : head + 1], delta)
        for head, memory in enumerate(seen)
    ]
    return np.concatenate(found, axis=1)
