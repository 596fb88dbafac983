"""From a wish to a file."""

from __future__ import annotations

import hashlib
import html
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from memviz.dashboards.export.tables import as_csv, as_npz, exact_fields, with_effective
from memviz.dashboards.export.wish import MIMETYPES, Download, Wish, file_name
from memviz.dashboards.fieldview import Values
from memviz.dashboards.figures.classic import dmn_figure, dnc_figure, ntm_figure
from memviz.dashboards.figures.print_sheet import print_sheet
from memviz.dashboards.figures.records import page_figure, panel_figure
from memviz.dashboards.figures.sheet import Sheet
from memviz.dashboards.offline.document import LIMIT, Place, record_document
from memviz.dashboards.source import ArrayCache
from memviz.errors import PlaceError, UnknownNameError
from memviz.fields import MODEL, bare_name, memory_of
from memviz.trace.reader import Record, Trace

NEEDS = {
    "ntm": ("write_weights", "read_weights", "write_vectors", "read_vectors"),
    "dnc": ("write_weights", "read_weights"),
    "dmn": ("episodic_attention",),
}
"""A memory is taken for a figure when it has one of these, unless one is named."""

_PLACED = {"ntm": ntm_figure, "dnc": dnc_figure, "dmn": dmn_figure, "page": page_figure}


def make(trace: Trace, values: Values, wish: Wish, say: Callable[[str], None] = lambda what: None) -> Download:
    """The file that a wish asks for.

    Args:
        trace: the run, whose name it bears.
        values: the record.
        wish: what to export.
        say: is told what is made next, where that takes a while.

    Raises:
        FieldError: nothing to draw, or no such field.
        PlaceError: no such item, time or head.
        UnknownNameError: no such memory.
        ExportError: too large, or matplotlib is missing.
    """
    record = values.record
    wish = settled(record, wish)
    name = file_name(trace.name, record.step, wish.figure, wish.form)
    left_out: tuple[str, ...] = ()
    if wish.figure == "page" and wish.form == "html":
        memory = choose_memory(record, wish)
        place = Place(memory, wish.time, wish.slot, wish.head)
        document = record_document(trace, values, wish.item, place, limit=wish.limit or LIMIT, say=say)
        data, left_out = document.text.encode(), document.left_out
    elif wish.form in ("csv", "npz"):
        data = _values(trace, values, wish)
    else:
        drawn = sheet(trace, values, wish)
        data = plotly_page(drawn) if wish.form == "html" else print_sheet(drawn, wish.form)
    return Download(data, MIMETYPES[wish.form], name, left_out)


def sheet(trace: Trace, values: Values, wish: Wish) -> Sheet:
    """The figure of a wish; see `make`."""
    record = values.record
    wish = settled(record, wish)
    where = f"run {trace.name}, step {record.step}, item {_item(record, wish.item)}"
    if wish.field is not None:
        full = record.full_name(wish.field)
        return panel_figure(values, full, wish.item, f"{where}, {memory_of(full)}", wish.time, wish.head)
    memory = choose_memory(record, wish)
    return _PLACED[wish.figure](values, memory, wish.item, f"{where}, memory {memory}", wish.time)


def figure(
    record: Record,
    name: str = "page",
    *,
    item: int = 0,
    memory: str | None = None,
    head: int | None = None,
    time: int | None = None,
) -> Any:
    """A figure of a record as a Plotly figure, to show in a notebook or to change.

    Args:
        record: the record.
        name: "ntm", "dnc", "dmn", "page" or "panel:FIELD".
        item: position among the recorded items.
        memory: name of the memory; by default the first that has what the figure needs.
        head: of a panel: only this head.
        time: the time to mark, or of a matrix; negative counts from the end.

    Returns:
        A `plotly.graph_objects.Figure`. Errors are those of `make`.
    """
    from memviz.dashboards.figures.plotly_sheet import plotly_figure

    values = Values(record, (record.id,), ArrayCache())
    return plotly_figure(sheet(record.trace, values, Wish(name, "html", item, memory, head, time)))


def choose_memory(record: Record, wish: Wish) -> str:
    """The memory of a figure: the named one, or the first that has what it needs.

    Raises:
        UnknownNameError: no such memory.
    """
    known = [name for name in record.memories if name != MODEL] or list(record.memories)
    if wish.memory is not None:
        if wish.memory not in record.memories:
            raise UnknownNameError("memory", wish.memory, known)
        return wish.memory
    needs = NEEDS.get(wish.figure, ())
    fields = set(record.fields)
    return next((name for name in known if any(f"{name}/{need}" in fields for need in needs)), known[0])


def plotly_page(drawn: Sheet) -> bytes:
    """A figure as one HTML file with plotly.js inside; it can be zoomed and hovered, and makes no request."""
    import plotly.io
    import plotly.offline

    from memviz.dashboards.figures.plotly_sheet import plotly_figure

    # A "<" inside a script is escaped, so that no text can end it.
    figure = plotly.io.to_json(plotly_figure(drawn), validate=False).replace("<", "\\u003c")
    script = (
        f"const figure = {figure};\n"
        "Plotly.newPlot('figure', figure.data, figure.layout, {displaylogo: false, toImageButtonOptions: {scale: 3}});"
    )
    library = plotly.offline.get_plotlyjs()
    hashes = " ".join(
        f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in (library, script)
    )
    # Plotly styles by the style attribute, and draws pictures as data and blobs.
    policy = (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; worker-src blob:"
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>{html.escape(f'{drawn.title}: {drawn.subtitle}')}</title>"
        f'<script>{library}</script></head>\n<body><div id="figure"></div><script>{script}</script></body></html>\n'
    ).encode()


def _values(trace: Trace, values: Values, wish: Wish) -> bytes:
    """The exact fields behind a figure."""
    record = values.record
    if wish.field is not None:
        names = [record.full_name(wish.field)]
    elif wish.figure == "page":
        memory = choose_memory(record, wish)
        names = [
            name for name in record.stored if memory_of(name) in (memory, MODEL) and "batch" in record.schema(name).axes
        ]
    else:
        panels = sheet(trace, values, wish).panels
        every = [name for panel in panels for name in (panel.field, *panel.row_fields) if name]
        names = list(dict.fromkeys(every))
    tables = exact_fields(values, names, wish.item, wish.time, wish.head)
    if wish.figure == "dmn":
        tables = with_effective(values, tables)
    if wish.form == "csv":
        return as_csv(tables)
    about = {
        "run": trace.name, "step": record.step, "record": record.id, "item": _item(record, wish.item),
        "time": wish.time, "head": wish.head, "titles": {name: bare_name(name) for name in tables},
    }  # fmt: skip
    return as_npz(tables, about)


def _item(record: Record, item: int) -> int:
    return int(record.batch[item]) if item < len(record.batch) else item


def settled(record: Record, wish: Wish) -> Wish:
    """The same wish with its time counted from the start, after a look at whether the record has the place.

    Raises:
        PlaceError: no such item or time.
        FieldError: no such field.
        UnknownNameError: no such memory.
    """
    items = max(1, len(record.batch))
    if not 0 <= wish.item < items:
        raise PlaceError(f"the record has the items 0 to {items - 1}, not {wish.item}")
    memory = choose_memory(record, wish) if wish.field is None else memory_of(record.full_name(wish.field))
    times = record.lengths.get(memory, 0)
    if wish.time is None:
        return wish
    if not -times <= wish.time < times:
        raise PlaceError(f"{memory} has the times 0 to {times - 1}, not {wish.time}")
    return replace(wish, time=wish.time % times)
