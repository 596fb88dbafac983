"""What the browser asks for while somebody scrubs: all panels of one record, or one matrix at several times."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from memviz.dashboards.downsample import Starts, edges, pool_at
from memviz.dashboards.fieldview import FieldView, Values, pictures, spans, views
from memviz.dashboards.tiles import (
    LOG_FLOOR,
    UNIT_KINDS,
    Array,
    Tile,
    encode,
    envelope,
    extent,
    on_log_scale,
    scale_of,
    statistics,
    tile,
)
from memviz.errors import FieldError, MemvizError
from memviz.fields import CATALOGUE, INITIAL_PREFIX, MODEL, bare_name, memory_of

MAX_MATRICES = 128
"""Times of one matrix in one answer."""

MAX_LINKS = 64 * 2**20
"""Numbers of link matrices that are computed for the sake of one panel."""

_FROM_LINKS = ("forward_weights", "backward_weights")
"""Fields that cost a link matrix at every time when they were not recorded."""

_ORDER = {name: place for place, name in enumerate(CATALOGUE)}


def order_of(field: FieldView) -> tuple[int, str]:
    """Where a field stands on the page: in the order of the catalogue, then the others by name."""
    name = bare_name(field.name)
    return _ORDER.get(name, len(_ORDER)), name


def frame(
    values: Values, memory: str, item: int, cols: int, rows: int, about: Mapping[str, Any], *, log: bool = False
) -> bytes:
    """All panels of one record: the fields of `memory` over time, and the model's input, target and output.

    Args:
        values: the record.
        memory: name of the memory.
        item: index along the batch axis.
        cols: largest number of columns of a tile.
        rows: largest number of rows of a tile.
        about: further members for the header.
        log: encode weights on a log scale.

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
                tiles += field_tiles(values, field, item, cols, rows, log=log)
            except (MemvizError, OSError, MemoryError) as error:
                missing.append({"field": field.name, "reason": str(error) or type(error).__name__})
    times = values.record.lengths.get(memory, 0)
    return envelope({**about, "item": item, "memory": memory, "times": times, "missing": missing}, tiles)


def field_tiles(values: Values, field: FieldView, item: int, cols: int, rows: int, *, log: bool = False) -> list[Tile]:
    """One tile per head of a field over time, all on one scale.

    Raises:
        FieldError: the field is empty in this record.
    """
    if not field.count:
        raise FieldError(f"{field.name} is empty in this record: its shape is {field.shape}")
    if field.derived and bare_name(field.name) in _FROM_LINKS:
        numbers = field.length("time") * field.length("slot") ** 2 * field.length("batch")
        if numbers > MAX_LINKS:
            raise FieldError(
                f"{field.name} was not recorded, and following {numbers:,} links to compute it takes too long; "
                "record it with fields='all'"
            )
    row_axis = field.picture_axes[0] if field.picture_axes else None
    row_starts = edges(field.length(row_axis) if row_axis else 1, rows)
    col_starts = edges(field.length("time"), cols)
    strips = {head: _Strip(field.kind) for head in field.heads}
    stretches = list(spans(field, col_starts.tolist()))
    for (start, stop), exact in zip(stretches, values.parts(field, item, stretches), strict=True):
        inside = col_starts[(col_starts >= start) & (col_starts < stop)] - start
        for head, picture in pictures(field, exact):
            strips[head].add(picture.T if row_axis else picture[None], row_starts, inside)
    # The extremes of a field survive pooling, so its scale can be taken from what is sent.
    pooled = {head: strip.pooled for head, strip in strips.items()}
    scale = scale_of(field.kind, np.stack(list(pooled.values())))
    # Pooling by the maximum and a rising scale commute.
    log = log and field.kind == "weight"
    tiles = []
    for head, strip in strips.items():
        meta = {
            **_identity(field, head),
            "row_axis": row_axis,
            "rows": len(row_starts),
            "cols": len(col_starts),
            "full_rows": field.length(row_axis) if row_axis else 1,
            "full_cols": field.length("time"),
            "vmin": scale[0],
            "vmax": scale[1],
            "low": strip.low if math.isfinite(strip.low) else None,
            "high": strip.high if math.isfinite(strip.high) else None,
            "stats": strip.stats,
        }
        if log:
            tiles.append(Tile({**meta, "scale": "log", "floor": LOG_FLOOR}, encode(on_log_scale(pooled[head]), *scale)))
        else:
            tiles.append(Tile(meta, encode(pooled[head], *scale)))
    return tiles


class _Strip:
    """One picture over time, put together from stretches of times."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._parts: list[Array] = []
        self.stats: dict[str, list[Any]] = {}
        self.low, self.high = math.inf, -math.inf

    def add(self, matrix: Array, rows: Starts, cols: Starts) -> None:
        """Take in the next stretch, [row, time], pooled into blocks that begin at `rows` and `cols`."""
        self._parts.append(pool_at(matrix, rows, cols, signed=self._kind == "signed"))
        for name, values in statistics(matrix, self._kind).items():
            self.stats.setdefault(name, []).extend(values)
        low, high = extent(matrix)
        self.low, self.high = min(self.low, low), max(self.high, high)

    @property
    def pooled(self) -> Array:
        """[block row, block column] over all stretches."""
        return np.concatenate(self._parts, axis=1)


def matrices(
    values: Values,
    field: FieldView,
    item: int,
    head: int,
    start: int,
    stop: int,
    pixels: int,
    about: Mapping[str, Any],
    *,
    change: bool = False,
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
        change: send the change since the time before instead, from exact values, on the scale of the field; at the
            first time the change since the initial state.

    Raises:
        FieldError: too many values.
    """
    scale = record_scale(values, field, item)
    if change:
        scale = scale_of("signed", np.array(scale))
        exact = _changes(values, field, item, start, stop)
    else:
        exact = values.times(field, item, start, stop)
    index, stack = list(pictures(field, exact))[head]
    row_axis, col_axis = field.picture_axes
    tiles = []
    for offset, picture in enumerate(stack):
        meta = {
            **_identity(field, index),
            "id": f"{field.tile_id(index)}@{start + offset}",
            **({"kind": "signed", "change": True} if change else {}),
            "time": start + offset,
            "row_axis": row_axis,
            "col_axis": col_axis,
        }
        tiles.append(tile(picture, meta, scale, pixels, pixels))
    return envelope({**about, "item": item, "field": field.name, "head": head}, tiles)


def _changes(values: Values, field: FieldView, item: int, start: int, stop: int) -> Array:
    """How a field differs from the time before, [time, ...] for the times [start, stop)."""
    if start:
        exact = values.times(field, item, start - 1, stop).astype(np.float64)
    else:
        later = values.times(field, item, 0, stop).astype(np.float64)
        name = f"{memory_of(field.name)}/{INITIAL_PREFIX}{bare_name(field.name)}"
        first = np.zeros_like(later[:1])
        if name in values.record.stored:
            known = values.record.read(name)
            first[0] = known[item if len(known) > 1 else 0]
        exact = np.concatenate([first, later])
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(np.diff(exact, axis=0))


def record_scale(values: Values, field: FieldView, item: int) -> tuple[float, float]:
    """The scale of a field over the whole record, so that it stands still while time moves; found once."""
    if field.kind in UNIT_KINDS:
        return scale_of(field.kind, np.empty(0))

    def ends() -> Array:
        found = values.select(field, item, lambda part: np.array([extent(part)], np.float64))
        lows, highs = (side[np.isfinite(side)] for side in found.reshape(-1, 2).T)
        return np.array([lows.min(), highs.max()]) if lows.size and highs.size else np.zeros(2)

    return scale_of(field.kind, values.array(f"{field.name} {item} ends", ends))


def _identity(field: FieldView, head: tuple[int, ...]) -> dict[str, Any]:
    return {
        "id": field.tile_id(head),
        "field": field.name,
        "kind": field.kind,
        "head": head[0] if head else None,
        "derived": field.derived,
    }
