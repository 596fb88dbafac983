"""Two records side by side: one item of each, slots aligned, with what differs in words (memviz.analysis.compare).

The comparison is worked out in a workshop, so that a page can say how far it is and somebody who goes away costs
nothing. What it found is one envelope: the words, and three tiles per field and head, A, B in the numbering of A, and
the difference (answers/difference.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from memviz.analysis.compare import Comparison, MemoryComparison
from memviz.analysis.compare import compare as compare_records
from memviz.analysis.compare.align import Method
from memviz.analysis.compare.fields import FieldDifference
from memviz.analysis.compare.sides import ByLaw, OneItem
from memviz.analysis.compare.words import run_changes
from memviz.dashboards.answers.difference import field_tiles
from memviz.dashboards.downsample import pool_at
from memviz.dashboards.numbers import number, numbers, strict
from memviz.dashboards.params import ApiError, Params
from memviz.dashboards.source import Source
from memviz.dashboards.summaries import axis_sizes
from memviz.dashboards.tiles import Tile, envelope
from memviz.dashboards.workshop import Ticket, Workshop
from memviz.fields import CATALOGUE, MODEL, bare_name, lookup, memory_of
from memviz.trace.reader import Record, Trace

KEPT = 48
"""Comparisons that are kept; each is some hundred kilobytes."""

WAIT = 0.25
"""Seconds for which a request waits, so that a small comparison is there at once."""

MAX_NUMBERS = 2 * 2**20
"""Numbers of a field that are compared while somebody waits; the analysis holds several copies of them, in float64."""

MAX_SLOTS = 2048
"""Slots that are aligned for a page: their distances take 32 MiB a copy, and four times that at twice as many."""

ALSO_SHOWN = ("usage", "memory")
"""Fields that are drawn even where both sides derive them, and so differ by nothing that the others do not say."""

WEIGHTINGS = ("write_weights", "read_weights")
"""Fields by which the page says what alignment is worth."""


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison."""

    run: str
    identity: str
    trace: Trace
    index: int
    item: int
    memory: str

    @property
    def record(self) -> Record:
        """Its record."""
        return self.trace[self.index]

    def about(self) -> dict[str, Any]:
        """What the page says of it."""
        record = self.record
        return {
            "run": self.run,
            "index": self.index,
            "step": record.step,
            "item": self.item,
            "items": len(record.batch),
            "memory": self.memory,
            "law": record.memories[self.memory].law,
            "times": record.lengths.get(self.memory, 0),
            "slots": axis_sizes(record, self.memory).get("slot"),
        }


@dataclass(frozen=True, slots=True)
class Question:
    """What is compared, and how it is drawn.

    Attributes:
        a: the side whose numbers of slots and heads are used.
        b: the other; None for the update law.
        method: how slots are aligned; None leaves it to what was recorded.
        own: differences on a scale of their own, up to the largest, instead of the fixed one.
        columns, rows: largest size of a tile.
    """

    a: Side
    b: Side | None
    method: Method | None
    own: bool
    columns: int
    rows: int

    @property
    def key(self) -> tuple[object, ...]:
        """What tells it from all others."""
        sides = ((s.run, s.identity, s.index, s.item, s.memory) if s else "law" for s in (self.a, self.b))
        return (*sides, self.method, self.own, self.columns, self.rows)


def compare(shop: Workshop, source: Source, params: Params) -> bytes:
    """The comparison as far as it is: an envelope whose header has `state`, and everything else once it is "done"."""
    question = question_of(source, params)

    def work(ticket: Ticket) -> None:
        ticket.result = answer(question, lambda doing: ticket.step(doing, ticket.done + 1))

    if params.whole("stop", 0, high=1):
        params.done()
        ticket = shop.stop(question.key)
    else:
        params.done()
        ticket = shop.ask(question.key, True, work, WAIT)
    if ticket is not None and ticket.state == "done" and isinstance(ticket.result, bytes):
        return ticket.result
    state = "stopped" if ticket is None else ticket.state
    about = {"doing": ticket.doing, "done": ticket.done, "problem": ticket.problem or None} if ticket else {}
    return envelope({"state": state, **about}, [])


def question_of(source: Source, params: Params) -> Question:
    """Read the parameters of a comparison, with what there is to choose from in every error."""
    a = _side(source, params, "", None)
    law = params.whole("law", 0, high=1) == 1
    b = None if law else _side(source, params, "other", a)
    asked = params.text("align", "")
    if asked and asked not in get_args(Method):
        raise ApiError(400, f"there is no alignment {asked!r:.40}", f"one of: {', '.join(get_args(Method))}", "change")
    limits = params.text("limits", "fixed")
    if limits not in ("fixed", "own"):
        raise ApiError(400, f"there are no limits {limits!r:.40}", "fixed or own", "change limits")
    method: Method | None = next((one for one in get_args(Method) if one == asked), None)
    columns, rows = params.whole("px", 512, low=1, high=4096), params.whole("py", 160, low=1, high=4096)
    return Question(a, b, method, limits == "own", columns, rows)


def _side(source: Source, params: Params, prefix: str, a: Side | None) -> Side:
    """One side, from `run`, `record`, `item` and `memory`, or from `other`, `other_record` and so on."""
    join = f"{prefix}_" if prefix else ""
    run = params.text(prefix or "run")
    identity, trace = source.identity(run), source.trace(run)
    if not len(trace):
        raise ApiError(404, f"the run {run!r} has no record yet", "one record", "wait")
    index = params.whole(f"{join}record", high=len(trace) - 1)
    record = trace[index]
    item = params.whole(f"{join}item", 0, high=max(0, len(record.batch) - 1))
    known = [name for name in record.memories if name != MODEL]
    if not known:
        raise ApiError(404, f"record {index} of {run!r} has no memory", "a memory", "choose another record")
    usual = a.memory if a is not None and a.memory in known else known[0]
    memory = params.text(f"{join}memory", usual)
    if memory not in known:
        raise ApiError(404, f"{run!r} has no memory {memory!r}", f"one of: {', '.join(known)}", "change memory")
    return Side(run, identity, trace, index, item, memory)


def answer(question: Question, say: Callable[[str], None]) -> bytes:
    """The envelope of a comparison that is done.

    Args:
        question: what to compare.
        say: told what is being read; may raise to end the work.
    """
    say("opening both records")
    a, b, method, notes = _sides(question, say)
    found = compare_records(a, b, align_by=method, titles=_titles(question))
    computed = {bare_name(name) for name in b.computed} if isinstance(b, ByLaw) else None
    order = list(CATALOGUE)
    tiles: list[Tile] = []
    for memory in found.memories:
        names = {entry.field for entry in memory.fields}
        if computed is not None:
            names &= computed
        elif memory.a != MODEL:
            names |= {name for name in ALSO_SHOWN if _both(a, b, memory, name)}
        for field in sorted(names, key=order.index):
            say(f"drawing {field}")
            tiles += field_tiles(memory, field, question.own, question.columns, question.rows)
    head = _head(question, found, (a, b), notes, say)
    return envelope(head, tiles)


def _both(a: OneItem, b: OneItem | ByLaw, memory: MemoryComparison, field: str) -> bool:
    return f"{memory.a}/{field}" in a.fields and f"{memory.b}/{field}" in b.fields and field not in memory.left_out


def _sides(question: Question, say: Callable[[str], None]) -> tuple[OneItem, OneItem | ByLaw, Method | None, list[str]]:
    """Both sides, how to align them, and what has to be said about that."""

    def one(side: Side) -> OneItem:
        def reading(name: str) -> None:
            say(f"reading {bare_name(name)}")

        return OneItem(side.record, side.item, side.memory, most=MAX_NUMBERS, reading=reading)

    a, notes = one(question.a), []
    if question.b is None:
        return a, ByLaw(a), "none", ["B is computed from what A recorded, by the update law of its memory"]
    b, method = one(question.b), question.method
    slots = max(axis_sizes(side.record, side.memory).get("slot", 0) for side in (question.a, question.b))
    if slots > MAX_SLOTS and method != "none":
        method = "none"
        notes.append(
            f"aligning {slots:,} slots takes more memory than a page may have, so slots are compared by their numbers; "
            "memviz.compare aligns them"
        )
    if question.b.run != question.a.run:
        notes += run_changes(question.a.trace, question.b.trace)
        notes.append("the words of two models that were trained apart mean different things: compare weightings")
    return a, b, method, notes


def _titles(question: Question) -> tuple[str, str]:
    a, b = question.a, question.b
    name = f"{a.run}, step {a.record.step}, item {a.item}"
    if b is None:
        return name, f"the update law of {a.memory}"
    return name, f"{b.run}, step {b.record.step}, item {b.item}"


def _head(
    question: Question,
    found: Comparison,
    sides: Sequence[OneItem | ByLaw],
    notes: list[str],
    say: Callable[[str], None],
) -> dict[str, Any]:
    first = found.memories[0]
    b = question.b or question.a
    about = [question.a.about(), {**b.about(), "law_of": question.b is None}]
    numbered = _as_numbered(sides, first, say) if first.alignment.method != "none" else None
    weights = _mean(first) if question.b is not None else None
    alignment = first.alignment
    slots = alignment.slots[0].tolist() if len(alignment.slots) else []
    entries = [(memory, entry) for memory in found.memories for entry in memory.fields]
    if isinstance(sides[1], ByLaw):
        computed = {bare_name(name) for name in sides[1].computed}
        entries = [(memory, entry) for memory, entry in entries if entry.field in computed]
    entries.sort(key=lambda pair: -pair[1].largest / pair[1].tolerance)
    start = first.first()
    head: dict[str, Any] = {
        "state": "done",
        "a": about[0],
        "b": about[1],
        "titles": list(found.titles),
        "times": min(about[0]["times"], about[1]["times"]),
        "title": _title(entries, weights, numbered, alignment.moved),
        "text": found.text(),
        "same": all(entry.same for _, entry in entries),
        "differing": sum(not entry.same for _, entry in entries),
        "mean_numbered": None if numbered is None else number(numbered),
        "mean": None if weights is None else number(weights),
        "align": {
            "method": alignment.method,
            "asked": question.method,
            "text": alignment.text(),
            "slots": slots,
            "read_heads": alignment.read_heads.tolist(),
            "moved": alignment.moved,
            "unexplained": number(alignment.unexplained),
            "alone": _alone(slots, about[1]["slots"] or 0),
        },
        "first": None if start is None else {"time": start[0], "field": start[1], "title": _name(start[1])},
        "changes": list(first.changes),
        "notes": [*notes, *found.notes, *_shapes(about[0], about[1])],
        "fields": [_entry(memory, entry) for memory, entry in entries],
        "per_time": _per_time(entries, question.columns),
        "missing": _missing(question, found, sides),
    }
    clean: dict[str, Any] = strict(head)
    return clean


def _as_numbered(
    sides: Sequence[OneItem | ByLaw], aligned: MemoryComparison, say: Callable[[str], None]
) -> float | None:
    """Mean difference of the weightings when slots are compared by their numbers."""
    say("comparing slots by their numbers")
    a, b = sides
    if not isinstance(a, OneItem) or not isinstance(b, OneItem):
        return None
    few = (_only(a, aligned.a), _only(b, aligned.b))
    if not few[0].fields or not few[1].fields:
        return None
    return _mean(compare_records(*few, align_by="none").memories[0])


def _only(side: OneItem, memory: str) -> OneItem:
    """The weightings of a side alone."""
    return side.keeping([f"{memory}/{field}" for field in WEIGHTINGS])


def _mean(memory: MemoryComparison) -> float | None:
    """Mean difference over the weightings that both have; each counts alike."""
    known = [entry.mean for entry in memory.fields if entry.field in WEIGHTINGS]
    return float(np.mean(known)) if known else None


def _title(
    entries: Sequence[tuple[MemoryComparison, FieldDifference]],
    weights: float | None,
    numbered: float | None,
    moved: int,
) -> str:
    """The comparison in one sentence."""
    differing = sum(not entry.same for _, entry in entries)
    count = len(entries)
    if not entries:
        return "A and B have no field in common that could be compared"
    if not differing:
        which = "the one field" if count == 1 else f"all {count} fields"
        return f"A and B agree within rounding in {which} that both have"
    if weights is not None and numbered is not None and moved and weights < numbered < np.inf:
        share = 1 - weights / numbered
        # 99.6 % is not all of it.
        percent = f"{100 * share:.1f}" if share > 0.99 else f"{100 * share:.0f}"
        return f"Slot alignment removes {percent} % of the difference"
    if count == 1:
        return "A and B differ in the one field that both have"
    return f"A and B differ in {differing} of {count} fields"


def _name(field: str) -> str:
    entry = lookup(field)
    return entry.title if entry else field


def _entry(memory: MemoryComparison, found: FieldDifference) -> dict[str, Any]:
    return {
        "memory": memory.a,
        "field": found.field,
        "title": _name(found.field),
        "largest": number(found.largest),
        "mean": number(found.mean),
        "tolerance": found.tolerance,
        "same": found.same,
        "first": found.first,
        "place": {axis: index for axis, index in found.place.items() if axis != "batch"},
    }


def _per_time(entries: Sequence[tuple[MemoryComparison, FieldDifference]], columns: int) -> dict[str, list[Any]]:
    """How many fields differ at each time, pooled to the columns."""
    rows = [entry.per_time > entry.tolerance for memory, entry in entries if memory.a != MODEL and entry.per_time.size]
    if not rows:
        return {"fields": []}
    times = max(len(row) for row in rows)
    count = np.sum([np.pad(row, (0, times - len(row))) for row in rows], axis=0).astype(np.float64)
    starts = np.arange(min(times, columns)) * times // min(times, columns)
    return {"fields": numbers(pool_at(count[None], np.array([0]), starts, signed=False)[0])}


def _alone(slots: Sequence[int], count: int) -> list[int]:
    """Slots of b that stand for none of a."""
    return sorted(set(range(count)) - set(slots)) if slots else []


def _shapes(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    """What of the two does not fit, in words."""
    said = []
    if a["times"] != b["times"]:
        least = min(a["times"], b["times"])
        said.append(f"A has {a['times']} times and B {b['times']}: the first {least} are compared")
    if a["slots"] != b["slots"] and a["slots"] and b["slots"]:
        said.append(f"A has {a['slots']} slots and B {b['slots']}: those without a counterpart are left blank")
    if a["law"] != b["law"]:
        said.append(f"the memory of A follows {a['law'] or 'no known law'}, that of B {b['law'] or 'no known law'}")
    return said


def _missing(question: Question, found: Comparison, sides: Sequence[OneItem | ByLaw]) -> list[dict[str, str]]:
    """Fields that are not compared, each with the reason."""
    if question.b is None:
        return []
    large = [bare_name(name) for side in sides if isinstance(side, OneItem) for name in side.left_out]
    why = "too large to compare while somebody waits; memviz.compare does it"
    result = [{"field": field, "reason": why} for field in dict.fromkeys(large)]
    for memory in found.memories:
        result += [{"field": field, "reason": "its shapes in A and B do not fit"} for field in memory.left_out]
    a, b = (
        {bare_name(name) for name in side.stored if memory_of(name) == memory and bare_name(name) in CATALOGUE}
        for side, memory in zip(sides, (question.a.memory, question.b.memory), strict=True)
    )
    have_a, have_b = (
        {bare_name(name) for name in side.fields if memory_of(name) == memory}
        for side, memory in zip(sides, (question.a.memory, question.b.memory), strict=True)
    )
    result += [{"field": field, "reason": "only A has it"} for field in sorted(a - have_b - set(large))]
    result += [{"field": field, "reason": "only B has it"} for field in sorted(b - have_a - set(large))]
    return result
