"""What a page asks for: the query of the route `/records/{i}/export` as a file, or as Python that reads the same."""

from __future__ import annotations

import os

from memviz.dashboards.export.making import make
from memviz.dashboards.export.snippet import snippet
from memviz.dashboards.export.wish import FORMATS, Download, Wish
from memviz.dashboards.fieldview import Values
from memviz.dashboards.params import ApiError, Params
from memviz.trace.reader import Trace

VIEWS = ("scope", "lineage")


def export(path: str | os.PathLike[str], trace: Trace, values: Values, params: Params, index: int) -> Download:
    """Answer a request for a file; docs/api.md, "export".

    Args:
        path: where the trace is, as the server was given it.
        trace: the run.
        values: the record.
        params: the query.
        index: of the record in the trace.
    """
    form = params.text("format")
    item, memory = params.whole("item", 0), params.text("memory", "") or None
    time, slot, head = params.optional("time"), params.optional("slot"), params.optional("head")
    if form == "python":
        field, view, write = params.text("field", "") or None, params.text("view", "scope"), params.optional("write")
        params.done()
        if view not in VIEWS:
            raise ApiError(400, f"there is no view {view!r:.40}", " or ".join(VIEWS), "change view")
        code = snippet(
            path, trace, index, memory=memory, item=item, time=time or 0, slot=slot, head=head or 0, field=field,
            lineage=view == "lineage", write=write,
        )  # fmt: skip
        return Download(code.encode(), "text/plain", "selection.py")
    if form not in FORMATS:
        raise ApiError(400, f"there is no format {form!r:.40}", f"python, {', '.join(FORMATS)}", "change format")
    figure = params.text("figure", "page")
    params.done()
    return make(trace, values, Wish(figure, form, item, memory, head, time, slot))
