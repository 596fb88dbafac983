"""Weightings by their parts: replay has them given, so `memviz.analysis.rules` has no rules for them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memviz.analysis import ntm
from memviz.analysis.rules import Frame, Rule
from memviz.trace.schema import MemorySchema

Array = NDArray[Any]


def _write_weighting(_: Frame, now: Frame, __: Mapping[str, Any]) -> Array:
    choice = now["allocation_gate"][..., None]
    mixed = choice * now["allocation_weights"] + (1 - choice) * now["write_content_weights"]
    return np.asarray(now["write_gate"][..., None] * mixed)


def _read_weighting(_: Frame, now: Frame, __: Mapping[str, Any]) -> Array:
    backward, content, forward = np.moveaxis(now["read_modes"], -1, 0)[..., None]
    stepped = backward * now["backward_weights"][:, :, 0] + forward * now["forward_weights"][:, :, 0]
    return np.asarray(stepped + content * now["read_content_weights"])


_DNC: Mapping[str, Rule] = {
    "write_weights": Rule(
        _write_weighting, now=("write_gate", "allocation_gate", "allocation_weights", "write_content_weights")
    ),
    "read_weights": Rule(
        _read_weighting, now=("read_modes", "backward_weights", "read_content_weights", "forward_weights")
    ),
}

_MOVES = ("interpolation_gate", "shift_weights", "sharpening")

_NTM: Mapping[str, Rule] = {
    "write_weights": Rule(ntm.write_weights, now=("write_content_weights", *_MOVES), before=("write_weights",)),
    "read_weights": Rule(ntm.read_weights, now=("read_content_weights", *_MOVES), before=("read_weights",)),
}

COMPOSED: Mapping[str, Mapping[str, Rule]] = MappingProxyType({"dnc": _DNC, "ntm": _NTM})
"""By law: Graves et al. 2016, Methods, for the DNC; Graves et al. 2014, equations 7 to 9, for the NTM."""


def composed(memory: MemorySchema, write_heads: int) -> dict[str, Rule]:
    """The rules that can be tried on a memory.

    Args:
        memory: its law and attributes.
        write_heads: how many were recorded. The read modes of a DNC with several are recorded summed over them, which
            gives no equation for the read weights.
    """
    rules = dict(COMPOSED.get(memory.law, {}))
    if memory.law == "dnc" and write_heads > 1:
        del rules["read_weights"]
    if memory.law == "ntm" and "shifts" not in memory.attributes:
        # Which shifts are allowed is told by no recorded value.
        return {}
    return rules
