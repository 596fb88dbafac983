"""Arrays whose axes have names, so that what one term says per item and another per time and head can be compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

AXES = ("time", "item", "read_head", "write_head", "head")
"""The axes that a place can have, in the order of every array here."""

HEADS = ("read_head", "write_head", "head")

_NUMBER = (bool, int, float)


@dataclass(frozen=True, slots=True)
class Named:
    """Values over some of the axes AXES, in their order.

    Attributes:
        axes: names, one per axis of `values`.
        values: float64, bool, or objects where texts are among them. Missing is NaN, or None among objects.
    """

    axes: tuple[str, ...]
    values: NDArray[Any]

    def over(self, axes: tuple[str, ...]) -> NDArray[Any]:
        """The values with a length-1 axis for each of `axes` that they do not have."""
        sizes = dict(zip(self.axes, self.values.shape, strict=True))
        return self.values.reshape([sizes.get(axis, 1) for axis in axes])


def all_axes(parts: Iterable[Named]) -> tuple[str, ...]:
    """The axes that some of the parts have, in the order of AXES."""
    found = {axis for part in parts for axis in part.axes}
    return tuple(axis for axis in AXES if axis in found)


def missing(value: Named) -> NDArray[np.bool_]:
    """Where there is no value: NaN, or None among objects."""
    if value.values.dtype == object:
        return np.asarray(np.frompyfunc(lambda one: one is None or one != one, 1, 1)(value.values), dtype=bool)
    return np.isnan(value.values) if value.values.dtype.kind == "f" else np.zeros(value.values.shape, dtype=bool)


def truth(value: Named) -> Named:
    """Whether each value counts as true: not zero, not empty, not False. What is missing is not."""
    if value.values.dtype == object:
        found = np.frompyfunc(lambda one: bool(one) and one == one, 1, 1)(value.values)
        return Named(value.axes, np.asarray(found, dtype=bool))
    return Named(value.axes, np.asarray(value.values, dtype=bool) & ~missing(value))


_NUMERIC: Mapping[str, Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]] = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}


def _ordered(operator: str) -> Callable[[Any, Any], bool]:
    """The comparison of two single values: texts with texts, numbers with numbers; anything else is only different."""

    def compare(a: Any, b: Any) -> bool:
        if operator in ("==", "!="):
            return bool(a == b) == (operator == "==")
        texts, figures = isinstance(a, str) and isinstance(b, str), isinstance(a, _NUMBER) and isinstance(b, _NUMBER)
        if not texts and not figures:
            return False
        below, above = bool(a < b), bool(a > b)
        return {"<": below, "<=": not above, ">": above, ">=": not below}[operator]

    return compare


def compared(operator: str, left: Named, right: Named) -> Named:
    """Element by element; what is missing on either side compares to nothing, not even as different.

    Raises:
        ValueError: an axis has two lengths.
    """
    axes = all_axes((left, right))
    a, b = left.over(axes), right.over(axes)
    if a.dtype == object or b.dtype == object:
        found = np.asarray(np.frompyfunc(_ordered(operator), 2, 1)(a, b), dtype=bool)
    else:
        with np.errstate(invalid="ignore"):
            found = np.asarray(_NUMERIC[operator](a, b))
    found &= ~Named(left.axes, missing(left)).over(axes)
    found &= ~Named(right.axes, missing(right)).over(axes)
    return Named(axes, found)


def constant(value: float | str | bool) -> Named:
    """One value for every place."""
    if isinstance(value, str):
        return Named((), np.array(value, dtype=object))
    return Named((), np.array(float(value)))


NOTHING = Named((), np.array(np.nan))
"""What a term is where a record does not have it."""
