"""One value of a field per record, over all records of a trace, read segment by segment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from memviz.errors import FieldError, SchemaError
from memviz.trace.contents import Snapshot
from memviz.trace.dtypes import numpy_dtype
from memviz.trace.recent import Recent
from memviz.trace.segments import Segment, fetch, open_array

if TYPE_CHECKING:
    from memviz.trace.reader import Trace

Index: TypeAlias = int | slice | tuple[int | slice, ...]
"""What to take of each record, by axis."""

_Piece: TypeAlias = tuple[np.ndarray, np.ndarray]
"""Positions of some records, int64 [n], and what was taken of each, [n, ...]."""


def read_series(
    trace: Trace, snapshot: Snapshot, handles: Recent[str, Any], full_name: str, index: Index
) -> np.ndarray:
    """What Trace.series promises, over one snapshot of its trace."""
    key = index if isinstance(index, tuple) else (index,)
    if any(not isinstance(part, int | np.integer | slice) for part in key):
        raise SchemaError(f"an index holds whole numbers and slices by axis, got {index!r:.80}")
    pieces: list[_Piece] = []
    rest = np.ones(len(snapshot.ids), bool)
    for owner, source in enumerate(snapshot.sources):
        if isinstance(source, Segment) and full_name in source.fields:
            positions = np.flatnonzero(snapshot.owners == owner)
            rest[positions] = False
            pieces += _from_segment(source, positions, snapshot.rows[positions], handles, full_name, key)
    present = not rest.all()
    for position in np.flatnonzero(rest).tolist():
        record = trace.record_at(snapshot, position)
        if full_name in record.fields:
            present = True
            taken = _take(record.read(full_name), key, full_name)
            if taken is not None:
                pieces.append((np.array([position]), taken[None]))
    if not present:
        known = sorted({name for source in trace for name in source.fields}) if len(trace) else []
        raise FieldError(f"no record of {trace.name} has the field {full_name!r}; it has {', '.join(known) or 'none'}")
    return _stack(pieces, len(snapshot.ids), full_name)


def _from_segment(
    segment: Segment,
    positions: np.ndarray,
    rows: np.ndarray,
    handles: Recent[str, Any],
    name: str,
    key: tuple[int | slice, ...],
) -> Iterator[_Piece]:
    field = segment.fields[name]
    if len(key) > len(field.shape):
        raise SchemaError(f"{name} has the axes [{', '.join(field.axes)}]; the index {key} names more")
    if 0 in field.shape:
        yield from _empty(segment, positions, rows, name, key)
        return
    array = handles.get(f"{segment.path.name}/{name}", lambda: open_array(segment, name))
    lengths = segment.lengths[segment.memories[name]][rows] if field.timed else None
    for selection in _selections(key, lengths, len(rows)):
        if not selection.chosen.any():
            continue
        chosen, times = rows[selection.chosen], selection.times
        basic = _resolved(selection.key, field.shape if times is None else field.shape[1:])
        if basic is None:
            continue
        if times is None:
            view = array[_rows(chosen)]
        elif (times == times[0]).all():
            view = array[_rows(chosen)][:, int(times[0])]
        else:
            view = array.vindex[chosen, times]
        window, after = basic
        values = fetch(segment, name, view[(slice(None), *window)])
        yield positions[selection.chosen], values[(slice(None), *after)]


@dataclass(frozen=True, slots=True)
class _Selection:
    """Records of a segment that are read alike.

    `chosen` is bool [row]. `times` int64 [chosen row] picks one time of each record, and `key` then starts at the axis
    after time; without `times` it starts at the first axis.
    """

    chosen: np.ndarray
    key: tuple[int | slice, ...]
    times: np.ndarray | None = None


def _selections(key: tuple[int | slice, ...], lengths: np.ndarray | None, count: int) -> Iterator[_Selection]:
    """How to read `count` records; `lengths` int64 [row] are their real times, None for a field without time."""
    first = key[0] if key else slice(None)
    if lengths is None:
        yield _Selection(np.ones(count, bool), key)
    elif isinstance(first, slice):
        for length in np.unique(lengths).tolist():
            span = range(length)[first]
            # A stop before the start of the axis, which a negative step has, is None in a slice.
            part = slice(span.start, span.stop if span.stop >= 0 else None, span.step) if span else slice(0, 0)
            yield _Selection(lengths == length, (part, *key[1:]))
    else:
        times = lengths + first if first < 0 else np.full(count, first, np.int64)
        chosen = (times >= 0) & (times < lengths)
        yield _Selection(chosen, key[1:], times[chosen])


def _rows(rows: np.ndarray) -> slice | np.ndarray:
    """Consecutive rows as a slice, which tensorstore reads without an index array."""
    first, last = int(rows[0]), int(rows[-1])
    return slice(first, last + 1) if last - first + 1 == len(rows) else rows


def _resolved(
    key: tuple[int | slice, ...], shape: tuple[int, ...]
) -> tuple[tuple[int | slice, ...], tuple[slice, ...]] | None:
    """What to read from the store, and the steps to take in what was read; None when the axes are too short.

    The store reads a contiguous window of every axis that is sliced.
    """
    window: list[int | slice] = []
    after: list[slice] = []
    for part, length in zip((*key, *[slice(None)] * (len(shape) - len(key))), shape, strict=True):
        if isinstance(part, slice):
            span = range(length)[part]
            low, high = (min(span), max(span) + 1) if span else (0, 0)
            window.append(slice(low, high))
            after.append(slice(None, None, span.step) if span else slice(None))
        elif -length <= part < length:
            window.append(int(part) % length)
        else:
            return None
    return tuple(window), tuple(after)


def _empty(
    segment: Segment, positions: np.ndarray, rows: np.ndarray, name: str, key: tuple[int | slice, ...]
) -> Iterator[_Piece]:
    for position, row in zip(positions, rows, strict=True):
        taken = _take(np.empty(segment.shape(name, int(row)), numpy_dtype(segment.fields[name].dtype)), key, name)
        if taken is not None:
            yield np.array([position]), taken[None]


def _take(values: np.ndarray, key: tuple[int | slice, ...], name: str) -> np.ndarray | None:
    """What a key takes of one record, None where the record is too short."""
    if len(key) > values.ndim:
        raise SchemaError(f"{name} has {values.ndim} axes; the index {key} names more")
    try:
        return np.asarray(values[key])
    except IndexError:
        return None


def _stack(pieces: list[_Piece], count: int, name: str) -> np.ndarray:
    """The pieces in the order of their records, missing records filled with NaN."""
    if not pieces:
        return np.full(count, np.nan)
    shapes = {values.shape[1:] for _, values in pieces}
    if len(shapes) > 1:
        some = ", ".join(str(list(shape)) for shape in sorted(shapes)[:3])
        raise SchemaError(
            f"{name} leaves arrays of different shapes ({some}); put a whole number where records differ, "
            "e.g. index=(-1,) for the last time"
        )
    dtype = np.result_type(*{values.dtype for _, values in pieces})
    if sum(len(positions) for positions, _ in pieces) == count:
        stacked = np.empty((count, *shapes.pop()), dtype)
    else:
        stacked = np.full((count, *shapes.pop()), np.nan, np.float64 if dtype.kind in "biu" else dtype)
    for positions, values in pieces:
        stacked[positions] = values
    return stacked
