"""The data routes under /api/v1/, as documented in docs/api.md: read-only, strict, and cheap to ask again."""

from __future__ import annotations

import json
import logging
import threading
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from memviz._version import __version__
from memviz.dashboards import inspection
from memviz.dashboards.downsample import curve
from memviz.dashboards.fieldview import FieldView, Values, view
from memviz.dashboards.frames import MAX_MATRICES, frame, matrices
from memviz.dashboards.numbers import numbers, strict
from memviz.dashboards.params import ApiError, Params
from memviz.dashboards.source import Source
from memviz.dashboards.summaries import Summaries, age, details, gaps, revision
from memviz.errors import FieldError, MemvizError, TraceNotFound
from memviz.fields import MODEL
from memviz.trace.reader import Record, Trace

log = logging.getLogger(__name__)

MAX_NUMBERS = 200_000
"""Numbers that the values route sends at once."""

AT_ONCE = 2
"""Records worked on at the same time: each may need a hundred megabytes, and more at once would not be faster."""

IMMUTABLE = "private, max-age=31536000, immutable"
REVALIDATE = "private, no-cache"
NO_STORE = "no-store"


def blueprint(source: Source) -> Blueprint:
    """The routes that answer from `source`; register it on the Flask server of the dashboard."""
    api = Blueprint("memviz_api", __name__)
    summaries = Summaries(source)
    at_once = threading.Semaphore(AT_ONCE)

    @api.get("/healthz")
    def healthz() -> Response:
        return _json({"status": "ok", "version": __version__, "runs": len(source.runs())})

    @api.get("/api/v1/runs")
    def runs() -> Response:
        _params().done()
        return _json({"root": source.root, "truncated": source.truncated, "runs": summaries.rows()})

    @api.get("/api/v1/runs/<path:run>")
    def one_run(run: str) -> Response:
        _params().done()
        return _json({**details(run, source.trace(run)), "version": source.identity(run)})

    @api.get("/api/v1/runs/<path:run>/records")
    def records(run: str) -> Response:
        params = _params()
        start = params.whole("from", 0)
        params.done()
        return _json(_records(source.trace(run), start))

    @api.get("/api/v1/runs/<path:run>/scalars")
    def scalars(run: str) -> Response:
        params = _params()
        name, columns = params.text("name"), params.whole("px", 900, low=1, high=8192)
        first, last = params.optional("from"), params.optional("to")
        params.done()
        return _json(_scalars(source.trace(run), name, columns, first, last))

    def on_record(run: str, index: int, build: Callable[[Values, Params], bytes | dict[str, Any]]) -> Response:
        """Answer from one record; what it says never changes, so a browser may keep it."""
        params, identity = _params(), source.identity(run)
        etag = f"{zlib.crc32(request.full_path.encode()):08x}-{identity}"
        if request.if_none_match.contains(etag):
            answer = Response(status=304)
        else:
            values = Values(_record(source.trace(run), index), (identity, index), source.arrays)
            with at_once:
                body = build(values, params)
            answer = _json(body) if isinstance(body, dict) else Response(body, mimetype="application/octet-stream")
        answer.set_etag(etag)
        # A run made anew has another version; only an address that names the version means one content for ever.
        answer.headers["Cache-Control"] = IMMUTABLE if request.args.get("v") == identity else REVALIDATE
        return answer

    @api.get("/api/v1/runs/<path:run>/records/<int:index>")
    def record(run: str, index: int) -> Response:
        def build(values: Values, params: Params) -> dict[str, Any]:
            params.done()
            return {"index": index, **inspection.describe(values)}

        return on_record(run, index, build)

    @api.get("/api/v1/runs/<path:run>/records/<int:index>/frame")
    def record_frame(run: str, index: int) -> Response:
        def build(values: Values, params: Params) -> bytes:
            columns, rows = params.whole("px", 672, low=1, high=4096), params.whole("py", 320, low=1, high=4096)
            memory, item = _memory(values, params), _item(values, params)
            log = _log(params)
            params.done()
            about = {"index": index, "step": values.record.step}
            return frame(values, memory, item, columns, rows, about, log=log)

        return on_record(run, index, build)

    @api.get("/api/v1/runs/<path:run>/records/<int:index>/matrices")
    def record_matrices(run: str, index: int) -> Response:
        def build(values: Values, params: Params) -> bytes:
            field, item = _field(values, params), _item(values, params)
            if not field.is_matrix:
                raise ApiError(
                    400, f"{field.name} is no matrix at each time", "two axes beside time and heads", "use frame"
                )
            head = params.whole("head", 0, high=len(field.heads) - 1)
            length = field.length("time")
            start = params.whole("t0", 0, high=max(0, length - 1))
            stop = params.whole("t1", min(length, start + 32), low=start + 1)
            pixels = params.whole("px", 220, low=1, high=2048)
            params.done()
            stop = min(stop, length)
            if stop - start > MAX_MATRICES:
                raise ApiError(
                    400, f"{stop - start} times are asked for", f"at most {MAX_MATRICES}", "ask in several requests"
                )
            about = {"index": index, "step": values.record.step, "times": length}
            return matrices(values, field, item, head, start, stop, pixels, about)

        return on_record(run, index, build)

    @api.get("/api/v1/runs/<path:run>/records/<int:index>/cell")
    def cell(run: str, index: int) -> Response:
        def build(values: Values, params: Params) -> dict[str, Any]:
            memory, item = _memory(values, params), _item(values, params)
            time = params.whole("time", high=max(0, values.record.lengths.get(memory, 1) - 1))
            slots = inspection.slots(values, memory)
            slot = params.optional("slot", high=max(0, slots - 1))
            params.done()
            return inspection.cell(values, memory, item, time, slot)

        return on_record(run, index, build)

    @api.get("/api/v1/runs/<path:run>/records/<int:index>/slot")
    def slot(run: str, index: int) -> Response:
        def build(values: Values, params: Params) -> dict[str, Any]:
            memory, item = _memory(values, params), _item(values, params)
            slot = params.whole("slot", high=max(0, inspection.slots(values, memory) - 1))
            params.done()
            return inspection.slot_life(values, memory, item, slot)

        return on_record(run, index, build)

    @api.get("/api/v1/runs/<path:run>/records/<int:index>/walk")
    def walk(run: str, index: int) -> Response:
        def build(values: Values, params: Params) -> dict[str, Any]:
            memory, item = _memory(values, params), _item(values, params)
            time = params.whole("time", high=max(0, values.record.lengths.get(memory, 1) - 1))
            slot = params.whole("slot", high=max(0, inspection.slots(values, memory) - 1))
            head, hops = params.whole("head", 0), params.whole("hops", 6, high=256)
            params.done()
            return inspection.walk(values, memory, item, time, slot, head, hops)

        return on_record(run, index, build)

    @api.get("/api/v1/runs/<path:run>/records/<int:index>/values")
    def exact_values(run: str, index: int) -> Response:
        def build(values: Values, params: Params) -> dict[str, Any]:
            field = _field(values, params)
            chosen = {
                "batch": params.optional("item", high=field.length("batch") - 1),
                "head": params.optional("head", high=max(0, len(field.heads) - 1)),
                "time": params.optional("time", high=max(0, field.length("time") - 1)),
            }
            params.done()
            return inspection.exact(values, field, chosen, MAX_NUMBERS)

        return on_record(run, index, build)

    @api.route("/api/", defaults={"rest": ""})
    @api.route("/api/<path:rest>")
    def unknown(rest: str) -> Response:
        # Without this Dash would answer every unknown address with its page and status 200.
        raise ApiError(404, f"there is no route /api/{rest}", "one of docs/api.md", "check the address")

    @api.errorhandler(Exception)
    def failed(error: Exception) -> Response:
        return _failure(error)

    return api


def _params() -> Params:
    return Params({name: request.args.getlist(name) for name in request.args})


def _record(trace: Trace, index: int) -> Record:
    if index >= len(trace):
        raise ApiError(
            404, f"there is no record {index}", f"0 to {len(trace) - 1}" if len(trace) else "no record yet", "wait"
        )
    return trace[index]


def _memory(values: Values, params: Params) -> str:
    known = list(values.record.memories)
    name = params.text("memory", next((memory for memory in known if memory != MODEL), MODEL))
    if name not in known:
        raise ApiError(404, f"there is no memory {name!r}", f"one of: {', '.join(known)}", "change memory")
    return name


def _log(params: Params) -> bool:
    scale = params.text("scale", "linear")
    if scale not in ("linear", "log"):
        raise ApiError(400, f"there is no scale {scale!r:.40}", "linear or log", "change scale")
    return scale == "log"


def _item(values: Values, params: Params) -> int:
    return params.whole("item", 0, high=max(0, len(values.record.batch) - 1))


def _field(values: Values, params: Params) -> FieldView:
    name = params.text("field")
    if name not in values.record.fields:
        known = ", ".join(values.record.fields)
        raise ApiError(404, f"this record has no field {name!r}", f"one of: {known}", "change field")
    return view(values.record, name)


def _records(trace: Trace, start: int) -> dict[str, Any]:
    """What a page polls: the records from index `start` on, and how the run is doing."""
    return {
        "count": len(trace),
        "from": start,
        "steps": trace.steps[start:].tolist(),
        "walls": numbers(trace.walls[start:], 14),
        "revision": revision(trace.path),
        "state": trace.state,
        "age": age(trace.last_write),
        "dropped": trace.dropped,
        "gaps": gaps(trace),
    }


def _scalars(trace: Trace, name: str, columns: int, first: int | None, last: int | None) -> dict[str, Any]:
    if name not in trace.scalars:
        known = ", ".join(trace.scalars) or "none logged yet"
        raise ApiError(404, f"there is no scalar {name!r}", f"one of: {known}", "log it with rec.log")
    series = trace.scalars[name]
    inside = slice(
        0 if first is None else int(np.searchsorted(series.steps, first, side="left")),
        len(series.steps) if last is None else int(np.searchsorted(series.steps, last, side="right")),
    )
    cut = curve(series.steps[inside], series.values[inside], columns)
    return {
        "name": name,
        "steps": cut.steps.tolist(),
        "low": numbers(cut.low),
        "high": numbers(cut.high),
        "last": numbers(cut.last),
        "count": len(series.steps[inside]),
    }


def _json(body: dict[str, Any]) -> Response:
    """Strict JSON that is never kept; `on_record` says otherwise for records."""
    text = json.dumps(strict(body), allow_nan=False, separators=(",", ":"))
    return Response(text, mimetype="application/json", headers={"Cache-Control": NO_STORE})


def _failure(error: Exception) -> Response:
    """Every failure as JSON: the client's fault with its remedy, the trace's fault in the words of its error."""
    if isinstance(error, HTTPException):
        error = ApiError(error.code or 500, error.description or error.name, "a route of docs/api.md", "")
    elif isinstance(error, (TraceNotFound, FieldError)):
        error = ApiError(404, str(error), "a run, record and field that exist", "choose another")
    elif isinstance(error, (MemvizError, OSError)):
        error = ApiError(500, str(error), "a trace that can be read", "run `memviz repair` on it")
    elif not isinstance(error, ApiError):
        log.exception("a request failed: %s", request.path)
        error = ApiError(500, f"the server failed: {error!r}", "an answer", "report this with the server's output")
    answer = _json(error.body)
    answer.status_code = error.status
    return answer
