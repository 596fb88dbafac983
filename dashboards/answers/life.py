"""The life of a slot, of a cell, and of a write: the reverse watchpoint (memviz.analysis.lineage.history) as JSON."""

from __future__ import annotations

from typing import Any

import numpy as np

from memviz.analysis.lineage import FROZEN
from memviz.analysis.lineage.history import SlotEvent, destruction, slot_history
from memviz.dashboards.answers.choice import head_of, item_of, memory_of, slot_of
from memviz.dashboards.answers.naming import names_of
from memviz.dashboards.answers.origin import check_size
from memviz.dashboards.fieldview import Values
from memviz.dashboards.numbers import number, numbers
from memviz.dashboards.params import ApiError, Params
from memviz.dashboards.summaries import axis_sizes
from memviz.errors import FieldError

MAX_EVENTS = 2000
"""Events sent at once; of more, the weakest are left out, reads before writes."""

MAX_WRITES = 24
"""Writes whose end is told at once."""

LEAST = 0.01
"""Weight from which on something counts as an event."""


def events(values: Values, params: Params, index: int) -> dict[str, Any]:
    """Everything that happened to a slot, or with `word` to one cell of it."""
    memory, item = memory_of(values, params), item_of(values, params)
    slot = slot_of(values, params, memory)
    words = axis_sizes(values.record, memory).get("word", 1)
    word = params.optional("word", high=words - 1)
    params.done()
    check_size(values, memory)
    missing = None
    try:
        found = slot_history(values.record, slot, word, batch=item, memory=memory, least=LEAST)
    except FieldError as error:  # nobody knows how this memory is written to; that is no fault of who asks
        found, missing = [], str(error)
    kept = found
    if len(found) > MAX_EVENTS:
        rank = sorted(range(len(found)), key=lambda i: (found[i].kind == "read", -found[i].weight))[:MAX_EVENTS]
        kept = [found[i] for i in sorted(rank)]
    times = values.record.lengths[memory]
    return {
        "memory": memory,
        "slot": slot,
        "word": word,
        "times": times,
        "names": names_of(values.record.labels, item, times),
        "events": [_event(event) for event in kept],
        "missing": missing,
        "left_out": len(found) - len(kept),
        "least": LEAST,
    }


def _event(event: SlotEvent) -> dict[str, Any]:
    """An event; `before` and `after` are the value of a cell, or the norm of a slot."""
    size = np.linalg.norm if event.before.ndim else float
    return {
        "time": event.time,
        "kind": event.kind,
        "head": event.head,
        "weight": number(float(f"{event.weight:.6g}")),
        "before": number(float(f"{float(size(event.before)):.6g}")),
        "after": number(float(f"{float(size(event.after)):.6g}")),
        "change": number(float(f"{event.change:.6g}")),
    }


def destroyed(values: Values, params: Params, index: int) -> dict[str, Any]:
    """Which later writes took some writes away: `times` lists them, as in 0,3,4."""
    memory, item = memory_of(values, params), item_of(values, params)
    length = values.record.lengths.get(memory, 0)
    times = _list(params.text("times"), length)
    head = head_of(values, params, memory, "write_head")
    params.done()
    check_size(values, memory)
    writes: list[dict[str, Any]] = []
    causes: tuple[str, ...] = ()
    for time in times:
        found = destruction(values.record, time, head, batch=item, memory=memory)
        causes = found.causes
        writes.append(
            {
                "time": time,
                "lost": numbers(found.lost.sum(axis=1), 5),
                "by_cause": numbers(found.lost.T, 5) if len(causes) > 1 else None,
                "left": number(float(found.survives[-1])),
                "sentence": found.text(),
            }
        )
    return {
        "memory": memory,
        "head": head,
        "times": length,
        "names": names_of(values.record.labels, item, length),
        "causes": list(causes),
        "writes": writes,
        "condition": FROZEN,
    }


def _list(text: str, length: int) -> list[int]:
    parts = text.split(",")
    if not all(part.isascii() and part.isdigit() and int(part) < length for part in parts) or len(parts) > MAX_WRITES:
        raise ApiError(
            400, f"times={text!r:.60} is no list of times", f"at most {MAX_WRITES} of 0 to {length - 1}", "as in 0,3,4"
        )
    return [int(part) for part in parts]
