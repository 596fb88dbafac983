"""`memviz.show`: a record in a notebook, with everything inside the cell, or a live run in a frame.

By default the cell holds the file of the record (memviz.dashboards.offline) in a sandboxed frame: it scrubs and shows
lineage without a server, also in a notebook that somebody else opens later. `live=True` shows a server's page instead.
"""

from __future__ import annotations

import html
import os
from pathlib import Path

from memviz.dashboards.export.making import settled
from memviz.dashboards.export.wish import Wish
from memviz.dashboards.fieldview import Values
from memviz.dashboards.offline.document import Place, record_document
from memviz.dashboards.server import ServerHandle, start_server
from memviz.dashboards.source import ArrayCache
from memviz.errors import ExportError, OptionError
from memviz.trace.reader import Record, Trace, open_trace

HEIGHT = 760
"""Pixels of the frame."""

LIMIT = 8 * 2**20
"""Bytes of the file in a cell; a notebook is saved with its outputs."""

VIEWS = ("scope", "lineage")


class Shown:
    """What `show` gives: a notebook displays it when it ends a cell.

    Attributes:
        text: the file of the record; "" of a live page.
        left_out: what is not in it, in words.
        server: the server of a live page; None of a file.
    """

    def __init__(
        self, text: str, height: int, left_out: tuple[str, ...] = (), server: ServerHandle | None = None
    ) -> None:
        self.text = text
        self.left_out = left_out
        self.server = server
        self._height = height

    def __repr__(self) -> str:
        if self.server is not None:
            return f"<memviz page at {self.server.url}>"
        return f"<memviz record of {len(self.text) / 2**20:.1f} MiB; a notebook shows it, save(path) writes it>"

    def _repr_html_(self) -> str:
        """A frame: scripts run in it, and it can reach neither the notebook nor a network."""
        style = f"width:100%;height:{self._height}px;border:1px solid #87909c66;border-radius:6px"
        if self.server is not None:
            link = html.escape(self.server.url, quote=True)
            return f'<iframe src="{link}" title="memviz" style="{style}"></iframe><a href="{link}">open in a tab</a>'
        source = html.escape(self.text, quote=True)
        return (
            f'<iframe srcdoc="{source}" title="memviz" sandbox="allow-scripts allow-downloads" '
            f'allow="clipboard-write" style="{style}"></iframe>'
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the file of the record.

        Raises:
            ExportError: there is none, because the page is live.
        """
        if self.server is not None:
            raise ExportError("a live page is no file; leave live=True out, or run memviz export on the trace")
        target = Path(path)
        target.write_text(self.text, "utf-8")
        return target

    def close(self) -> None:
        """End the server of a live page; nothing to do for a file."""
        if self.server is not None:
            self.server.close()


def show(
    subject: Trace | Record | str | os.PathLike[str],
    *,
    item: int = 0,
    memory: str | None = None,
    time: int | None = None,
    slot: int | None = None,
    head: int | None = None,
    view: str = "scope",
    live: bool = False,
    height: int = HEIGHT,
    limit: int = LIMIT,
) -> Shown:
    """Show a record in a notebook: put it last in a cell.

        memviz.show(memviz.open("runs/copy").at(280), time=14, view="lineage")

    Args:
        subject: a record; a trace or its path, for its last record.
        item: position among the recorded items.
        memory: which memory to open at; the first one by default.
        time: the time to open at; negative counts from the end. By default late in the sequence, where memories are
            read.
        slot: the slot to open at.
        head: the read head to open at.
        view: "scope", or "lineage" for where the read at `time` comes from.
        live: show the page of a server that is started on loopback, which follows a run while it is recorded, instead
            of a file in the cell. It ends with the kernel, or with `close()` of what this returns.
        height: pixels of the frame.
        limit: bytes of the file; what does not fit is left out and said in it.

    Returns:
        What a notebook displays, and `save(path)` writes.

    Raises:
        TraceError: no trace, or a damaged one.
        PlaceError: no such item or time; RecordError: no record yet.
        OptionError: no such view.
        ExportError: not even the panels fit into the limit.
    """
    if view not in VIEWS:
        raise OptionError(f"there is no view {view!r}; expected {' or '.join(VIEWS)}")
    record: Record | None = None
    if isinstance(subject, Record):
        record, trace = subject, subject.trace
    else:
        trace = subject if isinstance(subject, Trace) else open_trace(subject)
    if record is None and not (live and not len(trace)):
        record = trace[-1]
    if record is not None:
        wish = settled(record, Wish("page", "html", item, memory, time=time))
        time = wish.time
    place = Place(memory, time, slot, head, view)
    if live:
        step = record.step if record is not None and isinstance(subject, Record) else None
        start = place.hash(trace.path.name, step)  # a trace that is served alone has the name of its folder
        return Shown("", height, server=start_server([trace.path], port=0, start=start, framed=True))
    assert record is not None
    values = Values(record, (record.id,), ArrayCache())
    document = record_document(trace, values, item, place, limit=limit, embedded=True)
    return Shown(document.text, height, document.left_out)
