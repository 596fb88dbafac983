"""One field at one time through the whole training: rows over records, pooled by the extreme value.

Records differ in length and in what they hold; a record without the time, the head or the field leaves its cells
MISSING. A time can be chosen by its number or by its name (a token, or a phase with a count), which may stand at
another time in each record.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memviz.dashboards.answers.film import PART, WAIT, block_of
from memviz.dashboards.answers.naming import names_of
from memviz.dashboards.downsample import edges, pool_at
from memviz.dashboards.fieldview import FieldView, as_floats, pictures, view
from memviz.dashboards.params import ApiError, Params
from memviz.dashboards.source import Source
from memviz.dashboards.tiles import Code, Tile, encode, envelope, extent, scale_of
from memviz.dashboards.workshop import Ticket, Workshop
from memviz.errors import MemvizError
from memviz.fields import bare_name, lookup, memory_of
from memviz.trace.reader import Record, Trace

Array = NDArray[np.float32]

KEPT = 12
"""Reels of stills that are kept, 8 MiB each at most."""

MOST = 2 * 2**20
"""Numbers of one reel: times at once × rows × columns."""

TIMES = 16
"""Times that are taken of a record at once, since the next one is asked for next."""


@dataclass(frozen=True, slots=True)
class Strip:
    """What is taken of each record.

    Attributes:
        field: full name.
        item: position among the recorded items.
        head: which picture, counted over all head axes.
        first, count: the times; `count` is 1 where a name is given.
        name: of a time, or "" to count times.
        columns: most columns.
        rows: most rows.
    """

    field: str
    item: int
    head: int
    first: int
    count: int
    name: str
    columns: int
    rows: int


class Picture:
    """Rows over columns of records at several times, filled in record by record.

    Attributes:
        pooled: [time, row, column], 0 where nothing is known yet.
        known: [time, column], whether anything was.
        block: records per column.
        taken: records that have been looked at.
        lock: held while it changes, and while it is looked at.
    """

    def __init__(self, count: int, columns: int) -> None:
        self.block = 1
        self.taken = 0
        self.full_rows = 0
        self.row_axis: str | None = None
        self.kind = "weight"
        self.derived = False
        self.pooled = np.zeros((count, 0, 0), np.float32)
        self.known = np.zeros((count, 0), bool)
        self.lock = threading.Lock()
        self._columns = columns

    def grow(self, records: int) -> None:
        """Make room for `records` records, joining columns in pairs as often as it takes."""
        while block_of(records, self._columns) > self.block:
            self._join()
        wanted = -(-records // self.block)
        more = wanted - self.known.shape[1]
        if more > 0:
            self.pooled = np.pad(self.pooled, ((0, 0), (0, 0), (0, more)))
            self.known = np.pad(self.known, ((0, 0), (0, more)))

    def _join(self) -> None:
        self.block *= 2
        odd = self.known.shape[1] % 2
        known = np.pad(self.known, ((0, 0), (0, odd)))
        # What is not known is 0 here, which no extreme value loses against.
        pooled = np.pad(self.pooled, ((0, 0), (0, 0), (0, odd)))
        count, rows, width = pooled.shape
        if pooled.size:
            flat = pooled.reshape(count * rows, width)
            pairs = pool_at(flat, np.arange(len(flat)), np.arange(0, width, 2), signed=self.kind == "signed")
            pooled = pairs.reshape(count, rows, width // 2)
        else:
            pooled = pooled[:, :, ::2]
        self.pooled, self.known = pooled, known[:, ::2] | known[:, 1::2]

    def put(self, position: int, times: Array, rows: int) -> None:
        """Take in one record: [time, row] of the first times that it has.

        Args:
            position: of the record in the trace.
            times: its rows at each time.
            rows: most rows that are kept.
        """
        if not self.full_rows:
            self.full_rows = times.shape[1]
            self.pooled = np.zeros((len(self.known), min(rows, self.full_rows), self.known.shape[1]), np.float32)
        if times.shape[1] != self.full_rows:
            return  # a memory of another size has no place in this picture
        signed, column = self.kind == "signed", position // self.block
        starts = edges(self.full_rows, rows)
        pooled = pool_at(times.T, starts, np.arange(len(times)), signed=signed).T
        for time, fresh in enumerate(pooled):
            if self.known[time, column]:
                both = np.stack([self.pooled[time, :, column], fresh], axis=1)
                fresh = pool_at(both, np.arange(len(both)), np.array([0]), signed=signed)[:, 0]
            self.pooled[time, :, column] = fresh
            self.known[time, column] = True


def stills(shop: Workshop, source: Source, run: str, params: Params) -> bytes:
    """The picture as far as it is: one tile for the time that is asked for, and those beside it once it is done."""
    trace, identity = source.trace(run), source.identity(run)
    strip, time = _strip(trace, params)
    stop = params.whole("stop", 0, high=1) == 1
    params.done()
    key, count = (run, identity, strip), len(trace)

    def work(ticket: Ticket) -> None:
        _develop(ticket, source.trace(run), strip)

    ticket = shop.stop(key) if stop else shop.ask(key, (count,), work, WAIT)
    head: dict[str, Any] = {"state": "stopped", "records": count, "field": strip.field, "head": strip.head}
    if ticket is None:
        return envelope(head, [])
    picture: Picture | None = ticket.result
    head |= {
        "title": _title(strip.field),
        "state": "following" if ticket.state == "done" and trace.state == "live" else ticket.state,
        "done": ticket.done,
        "total": ticket.total,
        "problem": ticket.problem or None if ticket.state == "failed" else None,
        "item": strip.item,
        "name": strip.name or None,
        "known": picture.taken if picture else 0,
        "block": picture.block if picture else 1,
    }
    if picture is None or not picture.full_rows:
        return envelope(head, [])
    ready = ticket.state == "done" and not strip.name
    times = range(strip.first, strip.first + strip.count) if ready else [time]
    with picture.lock:
        return envelope(head, [_tile(picture, strip, time) for time in times])


def _title(field: str) -> str:
    entry = lookup(bare_name(field))
    return entry.title if entry else bare_name(field).replace("_", " ")


def _strip(trace: Trace, params: Params) -> tuple[Strip, int]:
    """Read the parameters; the last record says what there is."""
    field, item, head = params.text("field"), params.whole("item", 0), params.whole("head", 0)
    columns, rows = params.whole("px", 900, low=1, high=2048), params.whole("py", 160, low=1, high=512)
    name = params.text("name", "")
    time = params.whole("time", 0 if name else None)
    shown = next((found for found in _views(trace, field)), None)
    if shown is None:
        raise ApiError(
            404, f"no record of this run has a field {field!r} over time", "a field with rows", "change field"
        )
    size = min(rows, max(1, shown.length(shown.picture_axes[0]) if shown.picture_axes else 1))
    count = 1 if name else max(1, min(TIMES, MOST // (size * columns)))
    first = 0 if name else time // count * count
    return Strip(field, item, head, first, count, name, columns, rows), time


def _views(trace: Trace, field: str) -> Iterator[FieldView]:
    """How the newest and the oldest record cut the field, as far as they have it."""
    for position in {len(trace) - 1, 0} if len(trace) else ():
        record = trace[position]
        if field in record.fields and (shown := view(record, field)).over_time:
            yield shown


def _develop(ticket: Ticket, trace: Trace, strip: Strip) -> None:
    """Look at the records that have not been looked at, in turn."""
    picture: Picture = ticket.result or Picture(strip.count, strip.columns)
    count = len(trace)
    start = picture.taken
    with picture.lock:
        picture.grow(count)
    for position in range(start, count):
        if (position - start) % PART == 0:
            ticket.result = picture
        ticket.step("reading records", position - start, count - start)
        record = trace[position]
        times = _times(record, strip, picture)
        with picture.lock:
            if times is not None and len(times):
                picture.put(position, times, strip.rows)
            picture.taken = position + 1
    ticket.result = picture
    ticket.done = ticket.total = count - start


def _times(record: Record, strip: Strip, picture: Picture) -> Array | None:
    """[time, row] of one record for the times of the strip; None where it has nothing there."""
    if strip.field not in record.fields:
        return None
    shown = view(record, strip.field)
    if not shown.over_time or strip.head >= len(shown.heads) or strip.item >= max(1, len(record.batch)):
        return None
    picture.kind, picture.derived = shown.kind, shown.derived
    picture.row_axis = shown.picture_axes[0] if shown.picture_axes else None
    length, first = record.lengths.get(memory_of(strip.field), 0), strip.first
    if strip.name:
        names = names_of(record.labels, strip.item, length)
        if strip.name not in names:
            return None
        first = names.index(strip.name)
    window = slice(first, min(length, first + strip.count))
    if window.start >= window.stop:
        return None
    try:
        values = as_floats(record.read(strip.field, time=window))
    except MemvizError:
        return None
    if "batch" in shown.axes:
        axis = shown.axes.index("batch")
        values = np.take(values, strip.item if values.shape[axis] > 1 else 0, axis=axis)
    _, stack = list(pictures(shown, values))[strip.head]
    return np.asarray(stack if stack.ndim == 2 else stack[:, None], np.float32)


def _tile(picture: Picture, strip: Strip, time: int) -> Tile:
    """The picture of one time."""
    at = time - strip.first if not strip.name else 0
    values, known = picture.pooled[at], picture.known[at]
    scale = scale_of(picture.kind, picture.pooled[:, :, picture.known.any(axis=0)])
    codes = encode(values, *scale)
    codes[:, ~known] = Code.MISSING
    low, high = extent(values[:, known])
    meta = {
        "id": f"{strip.field}:{strip.head}@{strip.name or time}",
        "field": strip.field,
        "kind": picture.kind,
        "head": strip.head,
        "derived": picture.derived,
        "time": None if strip.name else time,
        "row_axis": picture.row_axis,
        "rows": values.shape[0],
        "cols": values.shape[1],
        "full_rows": picture.full_rows,
        "full_cols": values.shape[1],
        "vmin": scale[0],
        "vmax": scale[1],
        "low": low if np.isfinite(low) else None,
        "high": high if np.isfinite(high) else None,
    }
    return Tile(meta, codes)
