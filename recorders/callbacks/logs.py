"""What of the values that a loop logs can be a scalar of the trace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch


def scalars(values: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers and tensors of one element among logged values; texts, images and the like are left out.

    "step" and "wall" are names that a trace uses itself; such values are left out, too.
    """
    kept: dict[str, Any] = {}
    for name, value in values.items():
        if name in ("step", "wall") or isinstance(value, bool):
            continue
        if isinstance(value, int | float | np.number):
            kept[name] = float(value)
        elif isinstance(value, torch.Tensor) and value.numel() == 1 and not value.is_complex():
            kept[name] = value.detach()
    return kept
