"""What a notebook shows for a trace or a record that ends a cell: a small table, and a small picture of a record.

Pure numpy, SVG and HTML, so that looking at a record needs no other library. Names and labels are escaped; colours of
text are those of the notebook, in the light and in the dark.
"""

from __future__ import annotations

import html
import struct
import zlib
from base64 import b64encode
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memviz.colours import CIVIDIS, DIVERGING, INFINITE, NAN, table
from memviz.errors import MemvizError
from memviz.fields import MODEL, bare_name, lookup, memory_of

if TYPE_CHECKING:
    from memviz.trace.reader import Trace
    from memviz.trace.record import Record

Array = NDArray[np.float64]

MOST_PICTURES = 4
MOST_COLUMNS, MOST_ROWS = 240, 64
MOST_VALUES = 2**20
"""Numbers of a field that a picture may be made from; a notebook does not wait."""

MOST_LABELS, LONGEST = 6, 60

PREFERRED = ("write_weights", "read_weights", "usage", "episodic_attention", "attention", "memory_influence")

UNIT = ("weight", "gate", "mode")
HEADS = ("read_head", "write_head", "head")

LEVELS = 248
"""Colours of the scale in the table of a picture; those of NaN and infinity follow."""


def record_html(record: Record) -> str:
    """A record: what it is, its memories, and its first weightings of item 0 over time."""
    facts = [("step", str(record.step)), ("record", str(record.id)), ("items", str(max(1, len(record.batch))))]
    facts += [(str(name), str(value)) for name, value in list(record.labels.items())[:MOST_LABELS]]
    rows = [
        (
            name,
            schema.law or "",
            str(record.lengths.get(name, 0)),
            str(sum(memory_of(full) == name for full in record.stored)),
            str(sum(memory_of(full) == name for full in record.fields) - _count(record, name)),
        )
        for name, schema in record.memories.items()
    ]
    head = ("memory", "law", "times", "fields stored", "derived")
    return _frame("memviz Record", facts, head, rows, _pictures(record))


def trace_html(trace: Trace) -> str:
    """A trace: its state, its memories, its loss, and its last record as a picture."""
    steps = trace.steps
    span = f"{steps[0]} to {steps[-1]}" if len(steps) else "none yet"
    facts = [("run", trace.name), ("state", trace.state), ("records", str(len(trace))), ("steps", span)]
    facts += [(str(name), str(value)) for name, value in list(trace.header.attributes.items())[:MOST_LABELS]]
    rows = [(name, schema.law or "", str(len(schema.fields))) for name, schema in trace.memories.items()]
    parts = [_curve(name, trace.scalars[name].values) for name in _losses(trace.scalars)]
    if len(trace):
        parts.append(_pictures(trace[-1]))
    return _frame("memviz Trace", facts, ("memory", "law", "fields"), rows, "".join(parts))


def _count(record: Record, memory: str) -> int:
    return sum(memory_of(full) == memory for full in record.stored)


def _losses(names: Iterable[str]) -> list[str]:
    known = list(names)
    return next(([name] for name in known if "loss" in name.lower()), known[:1])


def _frame(
    title: str, facts: Sequence[tuple[str, str]], head: Sequence[str], rows: Sequence[Sequence[str]], pictures: str
) -> str:
    said = " · ".join(f"{html.escape(name)} <b>{html.escape(_cut(value))}</b>" for name, value in facts)
    line = 'style="text-align:left;padding:1px 12px 1px 0;font-weight:normal"'
    top = "".join(f"<th {line}>{html.escape(name)}</th>" for name in head)
    body = "".join(
        "<tr>" + "".join(f"<td {line}>{html.escape(_cut(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        '<div style="font:12px/1.5 system-ui,sans-serif">'
        f"<div><b>{title}</b> &nbsp;{said}</div>"
        f'<table style="border-collapse:collapse;margin:4px 0;font-size:12px"><thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table>{pictures}</div>"
    )


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _pictures(record: Record) -> str:
    """Heatmaps of item 0 side by side."""
    drawn: list[str] = []
    for name in _chosen(record):
        if len(drawn) >= MOST_PICTURES:
            break
        try:
            drawn += _field(record, name)[: MOST_PICTURES - len(drawn)]
        except (MemvizError, OSError):
            continue  # a damaged field is no reason to show nothing of the others
    return f'<div style="display:flex;flex-wrap:wrap;gap:8px">{"".join(drawn)}</div>' if drawn else ""


def _chosen(record: Record) -> list[str]:
    """Fields worth a picture: the usual ones first, then other weights over time, then signed ones."""

    def rank(name: str) -> tuple[int, int, str]:
        bare = bare_name(name)
        kind = record.schema(name).kind
        usual = PREFERRED.index(bare) if bare in PREFERRED else len(PREFERRED)
        return usual, UNIT.index(kind) if kind in UNIT else len(UNIT), name

    names = []
    for name in record.fields:
        schema, shape = record.schema(name), record.shape(name)
        rows = [axis for axis in schema.axes if axis not in (*HEADS, "time", "batch")]
        fits = "time" in schema.axes and len(rows) == 1 and 0 < np.prod(shape) <= MOST_VALUES
        if fits and schema.kind in (*UNIT, "signed") and memory_of(name) != MODEL and not record.is_derived(name):
            names.append(name)
    return sorted(names, key=rank)


def _field(record: Record, name: str) -> list[str]:
    schema = record.schema(name)
    values: Array = record.read(name).astype(np.float64)
    axes = list(schema.axes)
    if "batch" in axes:
        values = np.take(values, 0, axis=axes.index("batch"))
        axes.remove("batch")
    heads = [axis for axis in axes if axis in HEADS]
    rows = next(axis for axis in axes if axis not in (*HEADS, "time"))
    order = [axes.index(axis) for axis in (*heads, rows, "time")]
    stack = values.transpose(order).reshape(-1, values.shape[axes.index(rows)], values.shape[axes.index("time")])
    known = lookup(bare_name(name))
    title = known.title if known else bare_name(name)
    signed = schema.kind == "signed"
    finite = stack[np.isfinite(stack)]
    reach = float(np.abs(finite).max()) if signed and finite.size and np.abs(finite).max() > 0 else 1.0
    return [
        _heatmap(
            picture,
            f"{title}{f', {heads[0]} {number}' if len(stack) > 1 else ''}".replace("_", " "),
            rows,
            reach,
            signed,
        )
        for number, picture in enumerate(stack)
    ]


def _heatmap(picture: Array, title: str, rows: str, reach: float, signed: bool) -> str:
    """One field over time as SVG: cells, axes, and the scale in words."""
    full = picture.shape
    cells = _pooled(picture, signed)
    high, wide = cells.shape
    width = max(1, min(8, 280 // wide)) * wide
    height = max(1, min(8, 88 // high)) * high if high > 1 else 12
    scale = f"±{reach:.3g}" if signed else "0 to 1"
    pooled = f", max-pooled from {full[0]} × {full[1]}" if cells.shape != full else ""
    broken = int((~np.isfinite(picture)).sum())
    marked = f", {broken} not finite" if broken else ""
    said = html.escape(
        f"{title}: {full[0]} {rows.replace('_', ' ')}s over {full[1]} times, scale {scale}{pooled}{marked}"
    )
    image = b64encode(_png(_codes(cells, reach, signed), DIVERGING if signed else CIVIDIS)).decode()
    small = 'font-size="9" fill="currentColor"'
    axes = html.escape(f"time × {rows.replace('_', ' ')}, {scale}{marked}")
    return (
        f'<svg role="img" aria-label="{said}" width="{width + 34}" height="{height + 44}" '
        'style="font-family:system-ui,sans-serif;overflow:visible">'
        f'<title>{said}</title><text x="30" y="11" font-size="11" font-weight="600" fill="currentColor">'
        f"{html.escape(title)}</text>"
        f'<image x="30" y="16" width="{width}" height="{height}" preserveAspectRatio="none" '
        f'style="image-rendering:pixelated" href="data:image/png;base64,{image}"/>'
        f'<text x="26" y="24" text-anchor="end" {small}>0</text>'
        + (f'<text x="26" y="{height + 16}" text-anchor="end" {small}>{full[0] - 1}</text>' if full[0] > 1 else "")
        + f'<text x="30" y="{height + 27}" {small}>0</text>'
        f'<text x="{30 + width}" y="{height + 27}" text-anchor="end" {small}>{full[1] - 1}</text>'
        f'<text x="30" y="{height + 39}" {small}>{axes}</text></svg>'
    )


def _pooled(picture: Array, signed: bool) -> Array:
    """At most MOST_ROWS × MOST_COLUMNS cells, each the largest of its block (by magnitude where signed); NaN wins."""
    for axis, most in ((0, MOST_ROWS), (1, MOST_COLUMNS)):
        length = picture.shape[axis]
        if length > most:
            starts = np.arange(most) * length // most
            high = np.maximum.reduceat(picture, starts, axis=axis)
            if signed:
                low = np.minimum.reduceat(picture, starts, axis=axis)
                with np.errstate(invalid="ignore"):
                    high = np.where(-low > high, low, high)
            picture = high
    return picture


def _codes(cells: Array, reach: float, signed: bool) -> NDArray[np.uint8]:
    with np.errstate(invalid="ignore"):
        share = (cells / reach + 1) / 2 if signed else cells
        codes = np.clip(np.rint(share * (LEVELS - 1)), 0, LEVELS - 1)
    codes = np.where(np.isnan(cells), LEVELS, np.where(np.isinf(cells), LEVELS + 1, codes))
    return codes.astype(np.uint8)


def _png(codes: NDArray[np.uint8], stops: tuple[str, ...]) -> bytes:
    """A palette image, one byte per cell (PNG specification, ISO/IEC 15948)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows, columns = codes.shape
    lines = np.zeros((rows, columns + 1), np.uint8)  # each line begins with its filter, none
    lines[:, 1:] = codes
    palette = table(stops, LEVELS) + bytes.fromhex(NAN) + bytes.fromhex(INFINITE)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)),
            chunk(b"PLTE", palette),
            chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)),
            chunk(b"IEND", b""),
        )
    )


def _curve(name: str, values: Array) -> str:
    """A scalar over the run as a line: the largest of each column, on a log axis where all values are positive."""
    finite = values[np.isfinite(values)]
    if finite.size < 2:
        return ""
    heights = _pooled(values[None].astype(np.float64), signed=False)[0]
    log = bool((finite > 0).all())
    with np.errstate(invalid="ignore"):
        drawn = np.log10(heights) if log else heights
    inside = np.isfinite(drawn)
    low, high = drawn[inside].min(), drawn[inside].max()
    span = high - low or 1.0
    points = " ".join(
        f"{30 + 280 * i / max(1, len(drawn) - 1):.1f},{40 - 34 * (value - low) / span:.1f}"
        for i, value in enumerate(drawn.tolist())
        if np.isfinite(value)
    )
    said = html.escape(f"{name}: {values[0]:.3g} at first, {values[-1]:.3g} at last{', log axis' if log else ''}")
    return (
        f'<svg role="img" aria-label="{said}" width="320" height="60" '
        'style="font-family:system-ui,sans-serif;display:block">'
        f'<title>{said}</title><polyline points="{points}" fill="none" stroke="currentColor" stroke-width="1.2"/>'
        f'<text x="30" y="56" font-size="10" fill="currentColor">{said}</text></svg>'
    )
