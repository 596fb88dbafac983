"""Links between slots at one time: the strongest as arcs, the walk along them, and what a forward step followed."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from memviz.analysis.lineage.links import link_provenance
from memviz.dashboards import inspection
from memviz.dashboards.answers.choice import head_of, item_of, memory_of, slot_of, time_of
from memviz.dashboards.fieldview import Values
from memviz.dashboards.inspection import last_writes, link_at
from memviz.dashboards.numbers import number
from memviz.dashboards.params import Params
from memviz.errors import FieldError

MAX_ARCS = 64
"""Links sent, the strongest first."""

WEAKEST = 0.05
"""Weight below which a link is no arc."""

FELT = 0.01
"""Mass of a forward step that is worth a word."""

MAX_PAIRS = 2e8
"""Products of time and slots² for which the pairs of writes behind a step are resolved."""


def walk(values: Values, params: Params, index: int) -> dict[str, Any]:
    """The forward walk from a slot."""
    memory, item = memory_of(values, params), item_of(values, params)
    time = time_of(values, params, memory)
    slot = slot_of(values, params, memory)
    head, hops = params.whole("head", 0), params.whole("hops", 6, high=256)
    params.done()
    return inspection.walk(values, memory, item, time, slot, head, hops)


def arcs(values: Values, params: Params, index: int) -> dict[str, Any]:
    """The strongest links, the slots in order of writing, and one sentence about the chain and about the read."""
    memory, item = memory_of(values, params), item_of(values, params)
    time = time_of(values, params, memory)
    head = head_of(values, params, memory, "write_head")
    reader = head_of(values, params, memory, "read_head", "reader")
    params.done()
    link = np.nan_to_num(link_at(values, memory, item, time, head))
    last = last_writes(values, memory, item, time, len(link))
    order = sorted(range(len(link)), key=lambda slot: (last[slot] < 0, last[slot], slot))
    place = {slot: rank for rank, slot in enumerate(order)}
    strong = np.argsort(-link, axis=None)[:MAX_ARCS]
    found = [(int(at) % len(link), int(at) // len(link)) for at in strong]  # (from, to)
    found = [(source, to) for source, to in found if link[to, source] >= WEAKEST]
    written = [slot for slot in order if last[slot] >= 0]
    return {
        "time": time,
        "head": head,
        "order": order,
        "written": len(written),
        "last_write": [int(at) if at >= 0 else None for at in last],
        "arcs": [
            {
                "from": source,
                "to": to,
                "weight": number(float(f"{link[to, source]:.6g}")),
                "next": place[to] == place[source] + 1,
            }
            for source, to in found
        ],
        "sentence": _chain(link, written),
        "followed": _followed(values, memory, item, time, head, reader),
    }


def _chain(link: np.ndarray, written: list[int]) -> str:
    """How far the links lead from each write to the next."""
    if not written:
        return "Nothing has been written yet, so nothing is linked."
    if len(written) == 1:
        return f"Only slot {written[0]} has been written, so there is no link yet."
    weights = np.array([link[to, source] for source, to in pairwise(written)])
    sound = int((weights >= 0.5).sum())
    text = f"{sound} of {len(weights)} steps from one written slot to the next have a link of 0.5 or more"
    if sound < len(weights):
        worst = int(weights.argmin())
        text += f"; the weakest is slot {written[worst]} to {written[worst + 1]}, {max(0.0, weights[worst]):.2f}"
    return text + "."


def _followed(values: Values, memory: str, item: int, time: int, head: int, reader: int) -> str | None:
    """The pair of writes behind the forward step of a read; None where it cannot be told."""
    slots = inspection.slots(values, memory)
    if time * slots**2 > MAX_PAIRS:
        return None
    try:
        found = link_provenance(values.record, time, reader, item, memory, write_head=head)
    except FieldError:
        return None
    mass = float(found.mass.sum())
    if not mass >= FELT:
        return None
    return f"Forward step of read head {reader}, mass {mass:.2f}: {found.text()}"
