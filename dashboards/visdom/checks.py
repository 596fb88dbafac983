"""What is plainly wrong with the values of a record: not numbers, outside their range, or more than a whole.

A weighting that sums to 2.6 looks like any other picture once its colours are scaled to fit; here it is a sentence.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from memviz.dashboards.visdom.pictures import Picture
from memviz.fields import bare_name, lookup

Array = NDArray[np.floating]

TOLERANCE = 1e-3
"""How far a weight may leave its range, or a weighting exceed 1, before it counts: more than float16 rounding."""


def findings(picture: Picture) -> list[str]:
    """Sentences about one picture, each with its number and where it is; empty for a sound one."""
    return [*_not_numbers(picture), *_out_of_range(picture), *_more_than_a_whole(picture)]


def count_words(values: Array) -> str:
    """`2 NaN, 1 +Inf`, or nothing when every value is a number."""
    counts = {
        "NaN": np.count_nonzero(np.isnan(values)),
        "+Inf": np.count_nonzero(np.isposinf(values)),
        "-Inf": np.count_nonzero(np.isneginf(values)),
    }
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count)


def _not_numbers(picture: Picture) -> Iterator[str]:
    words = count_words(picture.values)
    if words:
        first = int(np.flatnonzero(~np.isfinite(picture.values).all(axis=0))[0])
        where = f"from time {first} on" if picture.over_time else picture.when
        yield f"{picture.title}: {words} {where}".rstrip()


def _out_of_range(picture: Picture) -> Iterator[str]:
    known = lookup(bare_name(picture.name))
    if known is None or picture.values.size == 0:
        return
    finite = np.where(np.isfinite(picture.values), picture.values, np.nan)
    if np.isnan(finite).all():
        return
    low, high = float(np.nanmin(finite)), float(np.nanmax(finite))
    if known.high is not None and high > known.high + TOLERANCE:
        yield f"{picture.title}: {high:.4g} is above {known.high:g}{_where(picture, finite, high)}"
    if known.low is not None and low < known.low - TOLERANCE:
        yield f"{picture.title}: {low:.4g} is below {known.low:g}{_where(picture, finite, low)}"


def _more_than_a_whole(picture: Picture) -> Iterator[str]:
    known = lookup(bare_name(picture.name))
    if known is None or known.simplex is None or picture.values.size == 0:
        return
    if picture.over_time and picture.rows.name != "head":
        sums, axis = picture.values.sum(axis=0), "time"
    elif picture.columns.name.replace(", ", "_") == known.simplex:
        sums, axis = picture.values.sum(axis=1), picture.rows.name
    else:
        return
    sums = np.where(np.isfinite(sums), sums, -np.inf)
    worst = int(sums.argmax())
    if sums[worst] > 1 + TOLERANCE:
        when = f" {picture.when}" if picture.when else ""
        yield f"{picture.title}: sums to {sums[worst]:.4g} at {axis} {worst}{when}, more than the 1 of a weighting"


def _where(picture: Picture, values: Array, extreme: float) -> str:
    row, column = (int(part[0]) for part in np.nonzero(values == extreme))
    row_words = f", {picture.rows.name} {picture.rows.names[row] if picture.rows.names else row}"
    return f" at {picture.columns.name} {column}{row_words if picture.rows.name else ''}"
