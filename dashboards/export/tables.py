"""Exact values as CSV or npz: never pooled, one item of a record, named axes.

A CSV of one field has one column per axis and one for the value, so that it can be pivoted; several fields share the
columns field, time, head, axis and index. An npz holds each field under its full name, with the axes in the array
`about` (JSON).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memviz.analysis.episodes import effective_gates
from memviz.dashboards.fieldview import HEAD_AXES, Values, view
from memviz.errors import ExportError, PlaceError
from memviz.fields import bare_name, memory_of

MAX_ROWS = 2_000_000
"""Rows of a CSV; npz takes more."""

Table = tuple[tuple[str, ...], NDArray[Any]]
"""Axes and values of one field."""


def exact_fields(
    values: Values, names: Sequence[str], item: int, time: int | None = None, head: int | None = None
) -> dict[str, Table]:
    """The fields of one item, with their axes but `batch`; at one time, or of one head, without those axes.

    Args:
        values: the record.
        names: full names.
        item: index along the batch axis.
        time: the only time wanted.
        head: the only head wanted, counted over all head axes.

    Raises:
        FieldError: more values than may be held at once.
        PlaceError: no such time or head.
    """
    found: dict[str, Table] = {}
    for name in names:
        field = view(values.record, name)
        axes = [axis for axis in field.axes if axis != "batch"]
        if time is not None and "time" in axes:
            if not 0 <= time < field.length("time"):
                raise PlaceError(f"{name} has the times 0 to {field.length('time') - 1}, not {time}")
            exact = values.times(field, item, time, time + 1)
        else:
            exact = values.item(field, item)
        index: list[int | slice] = [slice(None)] * len(axes)
        if time is not None and "time" in axes:
            index[axes.index("time")] = 0
        if head is not None and field.head_axes:
            if not 0 <= head < len(field.heads):
                raise PlaceError(f"{name} has the heads 0 to {len(field.heads) - 1}, not {head}")
            for axis, at in zip(field.head_axes, field.heads[head], strict=True):
                index[axes.index(axis)] = at
        left = tuple(axis for axis, at in zip(axes, index, strict=True) if isinstance(at, slice))
        found[name] = (left, exact[tuple(index)])
    return found


def with_effective(values: Values, tables: Mapping[str, Table]) -> dict[str, Table]:
    """The same with the effective gates beside each raw episodic attention."""
    found = dict(tables)
    for name, (axes, gates) in tables.items():
        if bare_name(name) == "episodic_attention" and axes[-1:] == ("fact",):
            kind = str(values.record.memories[memory_of(name)].attributes.get("episode", "gated"))
            with np.errstate(invalid="ignore"):
                kept = effective_gates(np.asarray(gates, np.float64), kind)[0]
            found.setdefault(f"{memory_of(name)}/effective_attention", (axes, kept))
    return found


def as_npz(tables: Mapping[str, Table], about: Mapping[str, Any]) -> bytes:
    """Arrays by full name, and `about`: JSON with the axes of each and where they are from.

    arrays = numpy.load("copy.npz"); arrays["memory/read_weights"]; json.loads(str(arrays["about"]))
    """
    said = {**about, "axes": {name: list(axes) for name, (axes, _) in tables.items()}}
    file = io.BytesIO()
    np.savez_compressed(
        file,
        allow_pickle=False,
        **{"about": np.array(json.dumps(said)), **{name: array for name, (_, array) in tables.items()}},
    )
    return file.getvalue()


def as_csv(tables: Mapping[str, Table]) -> bytes:
    """One row per value, with the shortest digits that give the same float again.

    Raises:
        ExportError: more than MAX_ROWS rows.
    """
    rows = sum(array.size for _, array in tables.values())
    if rows > MAX_ROWS:
        raise ExportError(
            f"{rows:,} values are more rows than a CSV should have ({MAX_ROWS:,}); choose --format npz, one time, one "
            "head, or one field"
        )
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    if len(tables) == 1:
        (name, (axes, array)) = next(iter(tables.items()))
        writer.writerow([*axes, bare_name(name)])
        for index, value in zip(np.ndindex(array.shape), _texts(array), strict=True):
            writer.writerow([*index, value])
    else:
        writer.writerow(["field", "time", "head", "axis", "index", "value"])
        for name, (axes, array) in tables.items():
            writer.writerows(_long(name, axes, array))
    return file.getvalue().encode()


def _long(name: str, axes: tuple[str, ...], array: NDArray[Any]) -> list[list[Any]]:
    rest = [axis for axis in axes if axis not in HEAD_AXES and axis != "time"]
    heads = [axis for axis in axes if axis in HEAD_AXES]
    rows = []
    for index, value in zip(np.ndindex(array.shape), _texts(array), strict=True):
        place = dict(zip(axes, index, strict=True))
        rows.append(
            [
                name,
                place.get("time", ""),
                ".".join(str(place[axis]) for axis in heads),
                "×".join(rest),
                ".".join(str(place[axis]) for axis in rest),
                value,
            ]
        )
    return rows


def _texts(array: NDArray[Any]) -> list[str]:
    return [str(text) for text in np.asarray(array).astype("U32").ravel().tolist()]
