"""Numbers as strict JSON: no NaN literals, and no more digits than the value has.

JSON has no NaN and no infinities, and Python's encoder would write them as bare words that browsers refuse. They
travel as the strings "NaN", "Infinity" and "-Infinity".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIGNIFICANT = 7
"""Digits that survive a float32."""


def number(value: float) -> float | str:
    """One number, or its name when JSON cannot hold it."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def numbers(values: NDArray[Any], digits: int = SIGNIFICANT) -> list[Any]:
    """An array of any shape as nested lists, with `digits` significant digits; digits before the point all stay."""
    exact = np.asarray(values)
    if exact.dtype.kind not in "iub":
        rounded = exact = _round(exact.astype(np.float64), digits)
        if not np.isfinite(rounded).all():
            exact = rounded.astype(object)
            for mask, name in ((np.isnan, "NaN"), (np.isposinf, "Infinity"), (np.isneginf, "-Infinity")):
                exact[mask(rounded)] = name
    listed: list[Any] = exact.tolist()
    return listed


def strict(value: Any) -> Any:
    """A JSON value with every float that JSON cannot hold replaced by its name, numpy scalars by plain ones."""
    if isinstance(value, (bool, int, str)) or value is None:
        return value
    if isinstance(value, Mapping):
        return {str(key): strict(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [strict(member) for member in value]
    if isinstance(value, np.ndarray):
        return numbers(value)
    if isinstance(value, np.generic):
        return strict(value.item())
    if isinstance(value, float):
        return number(value)
    return str(value)


def _round(values: NDArray[np.float64], digits: int) -> NDArray[np.float64]:
    """Round behind the point; short decimals make short JSON, which is most of what a frame costs to send."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        places = digits - 1 - np.floor(np.log10(np.abs(values)))
        # Powers of ten are exact up to 1e22; smaller and larger numbers stay as they are.
        short = (places >= 0) & (places <= 22)
        power = 10.0 ** np.where(short, places, 0)
        rounded = np.rint(values * power) / power
    return np.where(short, rounded, values)
