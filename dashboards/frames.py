"""What the browser asks for while somebody scrubs: all panels of one record, or one matrix at several times."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from memviz.dashboards.downsample import edges, pool
from memviz.dashboards.fieldview import CACHED_BYTES, FieldView, Values, pictures, view, views
from memviz.dashboards.tiles import UNIT_KINDS, Array, Tile, encode, envelope, scale_of, statistics, tile
from memviz.errors import FieldError, MemvizError
from memviz.fields import CATALOGUE, MODEL, bare_name

MAX_MATRICES = 128
"""Times of one matrix in one answer."""


def order_of(field: FieldView) -> tuple[int, str]:
    """Where a field stands on the page: the order of the catalogue, then the others by name."""
    names = list(CATALOGUE)
    name = bare_name(field.name)
    return (names.index(name) if name in names else len(names), name)


def frame(values: Values, memory: str, item: int, cols: int, rows: int, head: Mapping[str, Any]) -> bytes:
    """All panels of one record: the fields of `memory` over time, and the model's input, target and output.

    Args:
        values: the record.
        memory: name of the memory.
        item: index along the batch axis.
        cols: largest number of columns of a tile.
        rows: largest number of rows of a tile.
        head: further members for the header.

    Returns:
        An envelope (tiles.envelope) whose header has `times`, the length of the memory's sequence, and `missing`, the
        fields that could not be sent, each with a reason in words.
    """
    tiles: list[Tile] = []
    missing: list[dict[str, str]] = []
    names = [MODEL, memory] if memory != MODEL and MODEL in values.record.memories else [memory]
    for name in names:
        for field in sorted(views(values.record, name), key=order_of):
            if not field.over_time:
                continue
            try:
                tiles += field_tiles(values, field, item, cols, rows)
            except (MemvizError, OSError, MemoryError) as error:
                missing.append({"field": field.name, "reason": str(error) or type(error).__name__})
    times = values.record.lengths.get(memory, 0)
    return envelope({**head, "item": item, "memory": memory, "times": times, "missing": missing}, tiles)


def field_tiles(values: Values, field: FieldView, item: int, cols: int, rows: int) -> list[Tile]:
    """One tile per head of a field over time, all on one scale."""
    exact = values.item(field, item)
    scale = scale_of(field.kind, exact)
    tiles = []
    for head, picture in pictures(field, exact):
        matrix = picture.T if picture.ndim == 2 else picture[None]
        stats = statistics(matrix, field.kind)
        meta = {**_identity(field, head), "row_axis": field.picture_axes[0] if field.picture_axes else None}
        sent = tile(matrix, {**meta, "stats": stats}, scale, rows, cols)
        tiles.append(sent)
    return tiles


def matrices(
    values: Values, field: FieldView, item: int, head: int, start: int, stop: int, pixels: int, about: Mapping[str, Any]
) -> bytes:
    """One matrix field at the times `[start, stop)`, a tile per time on the scale of the whole record.

    Args:
        values: the record.
        field: a field that is a matrix at each time.
        item: index along the batch axis.
        head: which picture, counted over all head axes.
        start: first time.
        stop: time after the last.
        pixels: largest number of rows and of columns of a tile.
        about: further members for the header.

    Raises:
        FieldError: too many values.
    """
    scale = record_scale(values, field, item)
    exact = values.times(field, item, start, stop)
    index, stack = list(pictures(field, exact))[head]
    row_axis, col_axis = field.picture_axes
    tiles = []
    for offset, picture in enumerate(stack):
        meta = {
            **_identity(field, index),
            "id": f"{field.tile_id(index)}@{start + offset}",
            "time": start + offset,
            "row_axis": row_axis,
            "col_axis": col_axis,
        }
        tiles.append(tile(picture, meta, scale, pixels, pixels))
    return envelope({**about, "item": item, "field": field.name, "head": head}, tiles)


def record_scale(values: Values, field: FieldView, item: int) -> tuple[float, float]:
    """The scale of a field over the whole record, so that it stands still while time moves.

    A field too large to hold is read in parts; the ends of its scale come from the ends of the parts.
    """
    if field.kind in UNIT_KINDS:
        return scale_of(field.kind, np.empty(0))
    length = field.length("time")
    bytes_per_time = max(1, int(np.prod(field.shape, dtype=np.int64)) * 4 // max(1, length))
    step = max(1, CACHED_BYTES // bytes_per_time)
    ends: list[float] = []
    for start in range(0, length, step):
        part = values.times(field, item, start, min(length, start + step))
        finite = part[np.isfinite(part)]
        if finite.size:
            ends += [float(finite.min()), float(finite.max())]
    return scale_of(field.kind, np.array(ends))


def _identity(field: FieldView, head: tuple[int, ...]) -> dict[str, Any]:
    return {
        "id": field.tile_id(head),
        "field": field.name,
        "kind": field.kind,
        "head": head[0] if head else None,
        "derived": field.derived,
    }
