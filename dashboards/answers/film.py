"""The training film: a few numbers of every record, the steps at which they changed, and one weighting at one time.

Both are worked out in a workshop and shown as they come. Records are pooled in blocks of a power of two, so that a run
that still grows only adds columns: column c stands for the records from c * block on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memviz.analysis.film import Film, Reel
from memviz.analysis.film_numbers import parse_key
from memviz.dashboards.numbers import numbers
from memviz.dashboards.params import Params
from memviz.dashboards.source import Source
from memviz.dashboards.workshop import Ticket, Workshop
from memviz.trace.reader import Trace

KEPT = 16
"""Films that are kept; each is a few numbers per record."""

WAIT = 0.2
"""Seconds for which a request waits, so that what is quick is there at once."""

PART = 64
"""Records after which what is known so far is shown."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A film as far as it is, and what it says; one that is shown never changes.

    Attributes:
        film: numbers of the records that are known.
        changes: as JSON, each with `index`, the position of its record in the trace.
        positions: where the records of the film are in the trace.
    """

    film: Film
    changes: Sequence[dict[str, Any]]
    positions: NDArray[np.int64]


def block_of(count: int, columns: int) -> int:
    """Records per column: the smallest power of two with which `count` records take at most `columns` columns."""
    block = 1
    while -(-count // block) > columns:
        block *= 2
    return block


def film(shop: Workshop, source: Source, run: str, params: Params) -> dict[str, Any]:
    """The film of a run as far as it is; with `seen`, `known` of an earlier answer, without what has not changed."""
    columns = params.whole("px", 900, low=1, high=8192)
    seen = params.optional("seen")
    stop = params.whole("stop", 0, high=1) == 1
    params.done()
    trace, identity = source.trace(run), source.identity(run)
    key, count = (run, identity), len(trace)

    def work(ticket: Ticket) -> None:
        _shoot(ticket, source.trace(run))

    ticket = shop.stop(key) if stop else shop.ask(key, (count,), work, WAIT)
    if ticket is None:
        return {"state": "stopped", "done": 0, "total": count, "records": count, "known": 0, "problem": None}
    reel: tuple[Reel, Shown] | None = ticket.result
    shown = reel[1] if reel else None
    known = len(shown.film.ids) if shown else 0
    state = "following" if ticket.state == "done" and trace.state == "live" else ticket.state
    answer: dict[str, Any] = {
        "state": state,
        "done": ticket.done,
        "total": ticket.total,
        "records": count,
        "known": known,
        "problem": ticket.problem or None if ticket.state == "failed" else None,
    }
    if shown is None or seen == known:
        return answer
    return {**answer, **_series(shown, count, columns), "changes": list(shown.changes)}


def _shoot(ticket: Ticket, trace: Trace) -> None:
    """Take the numbers of the records that are not known, coarsely first, and show them as they come."""
    reel = ticket.result[0] if ticket.result else Reel(trace)
    new = reel.missing(trace)
    part = max(PART, len(new) // 20)
    try:
        for done, position in enumerate(coarse_first(new)):
            if done and done % part == 0:
                ticket.result = (reel, _shown(reel, trace))
            ticket.step("reading records", done, len(new))
            reel.take(trace, position)
        ticket.done = ticket.total = len(new)
    finally:
        ticket.result = (reel, _shown(reel, trace))
        # Of a live run more comes at any moment; writing it all down again each time would cost more than it saves.
        if reel.unsaved and trace.state != "live":
            reel.save(trace)


def coarse_first(positions: Sequence[int]) -> list[int]:
    """Every position once, spread over the whole at first and then filled in, so that an overview is there early."""
    order: list[int] = []
    step = 1
    while step < len(positions):
        step *= 2
    taken: set[int] = set()
    while step:
        fresh = [index for index in range(0, len(positions), step) if index not in taken]
        order += fresh
        taken.update(fresh)
        step //= 2
    return [positions[index] for index in order]


def _shown(reel: Reel, trace: Trace) -> Shown:
    found = reel.film(trace)
    ids = trace.ids
    changes = [{**change.to_json(), "index": int(np.searchsorted(ids, change.record))} for change in found.changes()]
    return Shown(found, changes, np.searchsorted(ids, found.ids))


def _series(shown: Shown, count: int, columns: int) -> dict[str, Any]:
    """The numbers per column: the last of each, and where a column holds several records also the extremes."""
    block = block_of(count, columns)
    width = -(-count // block)
    at = shown.positions // block
    series = []
    for key, values in shown.film.series.items():
        memory, statistic, head = parse_key(key)
        last, low, high = (np.full(width, np.nan) for _ in range(3))
        real = np.isfinite(values)
        last[at[real]] = values[real]
        entry: dict[str, Any] = {
            "key": key,
            "memory": memory,
            "statistic": statistic.name,
            "title": statistic.title,
            "scale": statistic.scale,
            "head": head,
            "last": _gaps(last),
        }
        if block > 1:
            np.fmin.at(low, at[real], values[real])
            np.fmax.at(high, at[real], values[real])
            entry |= {"low": _gaps(low), "high": _gaps(high)}
        series.append(entry)
    return {"block": block, "columns": width, "series": series}


def _gaps(values: NDArray[np.float64]) -> list[Any]:
    """Numbers for JSON, null where there is none."""
    return [None if isinstance(value, str) else value for value in numbers(values, 5)]
