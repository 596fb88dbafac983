"""Labels of a record as arrays over its items and times, whatever shape the user gave them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memviz.analysis.query.named import Named
from memviz.trace.schema import Json


def label_values(labels: Mapping[str, Json], path: str, batch: Sequence[int], times: int) -> Named | None:
    """A label by its path, `story.answer` for what lies in an object.

    One value is the same everywhere. A list as long as there are recorded items has one value per item; one as long as
    there are times has one per time (`tokens` always has); a longer one, of the whole training batch, is looked up by
    the items' positions in it; a list per item is looked up by time. `phase` is the name of the phase in `phases`.

    Args:
        labels: of the record.
        path: name of the label.
        batch: positions in the training batch of the recorded items.
        times: number of times.

    Returns:
        None where the record has no such label, or one of another shape.
    """
    value = _inner(labels, path)
    if value is None and path == "phase":
        return _phases(labels.get("phases"), times)
    if isinstance(value, str | bool | int | float):
        return Named((), _array([value]).reshape(()))
    if not isinstance(value, list) or not value:
        return None
    nested = isinstance(value[0], list)
    if not nested and len(value) == times and (path == "tokens" or len(value) != len(batch)):
        return Named(("time",), _array(value))
    chosen = (
        value if len(value) == len(batch) else [value[at] for at in batch] if len(value) > max(batch, default=0) else []
    )
    if not chosen:
        return None
    if not nested:
        return Named(("item",), _array(chosen))
    if not all(isinstance(row, list) and len(row) <= times for row in chosen):
        return None
    rows = [row + [None] * (times - len(row)) for row in chosen]
    return Named(("time", "item"), _array([row[time] for time in range(times) for row in rows]).reshape(times, -1))


def _inner(labels: Mapping[str, Json], path: str) -> Json:
    if path in labels:
        return labels[path]
    head, _, rest = path.partition(".")
    inner = labels.get(head)
    return _inner(inner, rest) if rest and isinstance(inner, dict) else None


def _phases(phases: Any, times: int) -> Named | None:
    if not isinstance(phases, list):
        return None
    named: list[Json] = [None] * times
    for phase in phases:
        if isinstance(phase, list) and len(phase) >= 3 and all(isinstance(end, int) for end in phase[1:3]):
            for time in range(max(0, phase[1]), min(times, phase[2])):
                named[time] = str(phase[0])
    return Named(("time",), _array(named))


def _array(values: Sequence[Json]) -> NDArray[Any]:
    """Numbers as float64, with NaN for None; anything else as objects."""
    if all(value is None or isinstance(value, bool | int | float) for value in values):
        return np.array([np.nan if value is None else float(value) for value in values])
    found = np.empty(len(values), dtype=object)
    found[:] = [value if isinstance(value, str | bool | int | float) else None for value in values]
    return found
