"""The data routes under /api/v1/, as documented in docs/api.md: read-only, strict, and cheap to ask again."""

from __future__ import annotations

import json
import logging
import threading
import zlib
from functools import partial
from typing import Any

import numpy as np
from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from memviz._version import __version__
from memviz.dashboards.ablations import ablation
from memviz.dashboards.answers import ANSWERS, Answer, compare, film, stills
from memviz.dashboards.desk import Desk
from memviz.dashboards.downsample import curve
from memviz.dashboards.export.asking import export
from memviz.dashboards.export.wish import Download
from memviz.dashboards.fieldview import Values
from memviz.dashboards.glances import Glances
from memviz.dashboards.numbers import numbers, strict
from memviz.dashboards.params import ApiError, Params
from memviz.dashboards.room import Room
from memviz.dashboards.searches import Searches
from memviz.dashboards.source import Source
from memviz.dashboards.stories import Stories
from memviz.dashboards.summaries import Summaries, age, details, gaps, revision
from memviz.dashboards.workshop import Workshop
from memviz.errors import (
    ExportError,
    FieldError,
    MemvizError,
    PlaceError,
    QueryError,
    TraceNotFound,
    UnknownNameError,
)
from memviz.trace.reader import Record, Trace

log = logging.getLogger(__name__)

IMMUTABLE = "private, max-age=31536000, immutable"
REVALIDATE = "private, no-cache"
NO_STORE = "no-store"


def blueprint(source: Source) -> Blueprint:
    """The routes that answer from `source`; register it on the Flask server of the dashboard."""
    api = Blueprint("memviz_api", __name__)
    summaries = Summaries(source)
    room = Room()
    desk = Desk(source, room)
    exports = threading.Semaphore(1)
    glances = Glances(source, desk, room)
    stories = Stories(source)
    searches = Searches(source)

    @api.get("/healthz")
    def healthz() -> Response:
        return _json({"status": "ok", "version": __version__, "runs": len(source.runs())})

    @api.get("/api/v1/runs")
    def runs() -> Response:
        _params().done()
        rows = [{**row, "findings": glances.of(row)} for row in summaries.rows()]
        return _json({"root": source.root, "truncated": source.truncated, "runs": rows})

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
        return _json(scalar_curve(source.trace(run), name, columns, first, last))

    def on_record(answer_of: Answer, run: str, index: int) -> Response:
        """Answer from one record; what it says never changes, so a browser may keep it."""
        params, identity = _params(), source.identity(run)
        etag = f"{zlib.crc32(request.full_path.encode()):08x}-{identity}"
        if request.if_none_match.contains(etag):
            answer = Response(status=304)
        else:
            values = Values(_record(source.trace(run), index), (identity, index), source.arrays)
            with room.for_record(values.record):
                body = answer_of(values, params, index)
            answer = _json(body) if isinstance(body, dict) else Response(body, mimetype="application/octet-stream")
        answer.set_etag(etag)
        # A run made anew has another version; only an address that names the version means one content for ever.
        answer.headers["Cache-Control"] = IMMUTABLE if request.args.get("v") == identity else REVALIDATE
        return answer

    @api.get("/api/v1/runs/<path:run>/findings")
    def findings(run: str) -> Response:
        _params().done()
        return _json(desk.ask(run))

    comparisons, films = Workshop("memviz-compare", compare.KEPT), Workshop("memviz-film", film.KEPT)
    reels = Workshop("memviz-stills", stills.KEPT)

    @api.get("/api/v1/compare")
    def compared() -> Response:
        return _envelope(compare.compare(comparisons, source, _params()))

    @api.get("/api/v1/runs/<path:run>/film")
    def filmed(run: str) -> Response:
        return _json(film.film(films, source, run, _params()))

    @api.get("/api/v1/runs/<path:run>/stills")
    def taken(run: str) -> Response:
        return _envelope(stills.stills(reels, source, run, _params()))

    @api.get("/api/v1/runs/<path:run>/stories")
    def all_stories(run: str) -> Response:
        params = _params()
        start = params.whole("from", 0)
        params.done()
        with room.claim(0):
            return _json(stories.ask(run, start))

    @api.get("/api/v1/runs/<path:run>/ablation")
    def ablated(run: str) -> Response:
        params, trace = _params(), source.trace(run)
        index = _index(trace, params.whole("record"))
        memory, item = params.text("memory"), params.whole("item", 0)
        params.done()
        return _json(ablation(trace, index, memory, item))

    @api.get("/api/v1/runs/<path:run>/query")
    def query(run: str) -> Response:
        params = _params()
        text, have = params.text("q"), params.whole("from", 0)
        params.done()
        return _json(searches.ask(run, text, have))

    @api.get("/api/v1/runs/<path:run>/records/<int:index>/export")
    def exported(run: str, index: int) -> Response:
        params, trace = _params(), source.trace(run)
        values = Values(_record(trace, index), (source.identity(run), index), source.arrays)
        # A long record takes a while to pack; one at a time, so that looking goes on beside it.
        with exports, room.for_record(values.record):
            return _file(export(source.path(run), trace, values, params, index))

    for name, answer in ANSWERS.items():
        address = "/api/v1/runs/<path:run>/records/<int:index>" + (f"/{name}" if name else "")
        api.add_url_rule(address, f"record_{name}", partial(on_record, answer))

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
    return trace[_index(trace, index)]


def _index(trace: Trace, index: int) -> int:
    if index >= len(trace):
        raise ApiError(
            404, f"there is no record {index}", f"0 to {len(trace) - 1}" if len(trace) else "no record yet", "wait"
        )
    return index


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


def scalar_curve(trace: Trace, name: str, columns: int, first: int | None, last: int | None) -> dict[str, Any]:
    """A scalar between two steps, as in docs/api.md, "scalars"."""
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


def _envelope(body: bytes) -> Response:
    return Response(body, mimetype="application/octet-stream", headers={"Cache-Control": NO_STORE})


def _file(made: Download) -> Response:
    """A file to be saved: never shown as a page of this server, whatever it holds."""
    headers = {"Content-Disposition": f'attachment; filename="{made.name}"', "Cache-Control": NO_STORE}
    if made.left_out:
        # Header fields hold no other characters.
        headers["X-Memviz-Left-Out"] = json.dumps(list(made.left_out[:20]))
    return Response(made.data, mimetype=made.mimetype, headers=headers)


def _failure(error: Exception) -> Response:
    """Every failure as JSON: the client's fault with its remedy, the trace's fault in the words of its error."""
    if isinstance(error, HTTPException):
        error = ApiError(error.code or 500, error.description or error.name, "a route of docs/api.md", "")
    elif isinstance(error, QueryError):
        at, error = error.at, ApiError(400, error.what, "a query as in docs/analysis.md", "change the query")
        error.body["error"]["at"] = at
    elif isinstance(error, (TraceNotFound, FieldError, PlaceError)):
        error = ApiError(404, str(error), "a run, record and field that exist", "choose another")
    elif isinstance(error, (ExportError, UnknownNameError)):
        error = ApiError(400, str(error), "something that can be exported", "choose another figure or format")
    elif isinstance(error, (MemvizError, OSError)):
        error = ApiError(500, str(error), "a trace that can be read", "run `memviz repair` on it")
    elif not isinstance(error, ApiError):
        log.exception("a request failed: %s", request.path)
        error = ApiError(500, f"the server failed: {error!r}", "an answer", "report this with the server's output")
    answer = _json(error.body)
    answer.status_code = error.status
    return answer
