"""The answers that a page without a server may ask for, worked out ahead by the functions behind the data routes.

Times, slots and heads of one item are finite, so most answers about a record can simply be listed; what a page shows
in a file is therefore what the server would have said. Exact cells are cut in the browser from exact fields instead.
Answers are packed in groups, the most telling first, until the size limit is reached; what did not fit is said.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from memviz.analysis.diagnostics import Examiner
from memviz.dashboards.answers import ANSWERS
from memviz.dashboards.fieldview import SMALL_BYTES, FieldView, Values, views
from memviz.dashboards.frames import MAX_MATRICES, order_of
from memviz.dashboards.numbers import strict
from memviz.dashboards.params import ApiError, Params
from memviz.errors import MemvizError
from memviz.fields import MODEL, bare_name
from memviz.trace.reader import Record, Trace

MATRIX_PIXELS = 184
"""Rows and columns of a matrix, as the pages ask for them (assets/base/47_matrices.js)."""

FRAME_COLUMNS, FRAME_ROWS = 1024, 320

MAX_ANSWERS = 4096
"""Answers of one kind; more would take minutes to work out."""

MAX_WORK = 2e10
"""Multiplications for the answers of one kind, about a minute."""

UNSEEN = 5e-4
"""Share of a slot and write that no picture shows; a colour scale has 249 steps."""

EXACT_BYTES = 8 * 2**20
"""Bytes of one exact field; a larger one is shown as bytes but not read out."""


@dataclass(slots=True)
class Pack:
    """Compressed groups of answers under a limit of bytes.

    Attributes:
        limit: bytes that all groups together may have.
        groups: compressed bytes by name.
        left_out: what is not in it, in words, in the order in which it was given up.
        say: is told what is packed next.
    """

    limit: int
    say: Callable[[str], None] = lambda what: None
    groups: dict[str, bytes] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes of all groups."""
        return sum(map(len, self.groups.values()))

    def add(self, name: str, what: str, make: Callable[[], bytes | None]) -> None:
        """Take in a group, unless it cannot be made or would not fit; then `what` is left out.

        `make` gives the bytes of the group, or None where there is nothing to tell.
        """
        self.say(what)
        try:
            raw = make()
        except (ApiError, MemvizError, OSError, MemoryError) as error:
            self.left_out.append(f"{what} ({error})")
            return
        if raw is None:
            return
        packed = gzip.compress(raw, 6, mtime=0)
        if self.size + len(packed) > self.limit:
            self.left_out.append(f"{what} (too large)")
        else:
            self.groups[name] = packed


def collect(pack: Pack, trace: Trace, values: Values, item: int, first: str | None = None) -> None:
    """Fill a pack with what the Scope and Lineage pages may ask about one record.

    Args:
        pack: what it goes into.
        trace: the run, for its loss curve and description.
        values: the record.
        item: index along the batch axis; the page knows only this one.
        first: the memory to pack first.
    """
    record = values.record
    names = sorted((name for name in record.memories if name != MODEL), key=lambda name: name != first)
    pack.add("run", "the run", lambda: _json(run_answers(trace, record)))
    pack.add("record", "the description of the record", lambda: _json({"": described(values, item)}))
    for memory in names or [MODEL]:
        _collect_memory(pack, values, memory, item, alone=len(names) < 2)


def _collect_memory(pack: Pack, values: Values, memory: str, item: int, *, alone: bool) -> None:
    record = values.record
    of = "" if alone else f" of {memory}"
    sizes = next(m for m in described(values, item)["memories"] if m["name"] == memory)
    times, slots = range(sizes["times"]), range(sizes["slots"] or 0)
    reads, writes = range(sizes["read_heads"] or 0), range(sizes["write_heads"] or 0)
    fields = sorted(views(record, memory), key=order_of)
    links = any(bare_name(one.name) == "link_matrix" for one in fields)
    ask = _Asker(values, memory, item)
    length, count, heads = len(times), len(slots), max(1, len(reads))
    cells = length * count * (sizes["words"] or 1)
    # What is not held whole is derived again for every answer.
    again = 1 if 4 * cells <= SMALL_BYTES else length / 2

    def envelope(scale: str) -> Callable[[], bytes]:
        about = {"px": FRAME_COLUMNS, "py": FRAME_ROWS, **({"scale": "log"} if scale == "log" else {})}
        return partial(ask.packed, "frame", about)

    pack.add(f"frame|{memory}|linear", f"the panels{of}", envelope("linear"))
    pack.add(
        f"lineage|{memory}",
        f"lineage{of}",
        ask.table("lineage", ("time", "head"), times, reads, work=length * cells * heads / 2),
    )
    model = list(views(record, MODEL)) if MODEL in record.memories and memory != MODEL else []
    for one in [*model, *fields]:
        if "time" in one.axes and not (one.is_matrix and bare_name(one.name) != "memory"):
            pack.add(f"exact|{one.name}", f"exact values of {one.name}", partial(exact, values, one, item))
    for one in fields:
        if one.is_matrix and bare_name(one.name) == "memory":
            _collect_matrix(pack, ask, one, change=False)
    pack.add(f"readers|{memory}", f"who reads a write{of}", ask.table("readers", ("time",), times if reads else []))
    pack.add(
        f"destroyed|{memory}",
        f"who destroyed a write{of}",
        ask.table("destroyed", ("times", "head"), times, writes, work=length * cells),
    )
    pack.add(
        f"state|{memory}", f"sentences about the memory{of}", ask.table("state", ("time",), times, work=cells * again)
    )
    pack.add(f"slot|{memory}", f"lives of slots{of}", ask.table("slot", ("slot",), slots, work=count * cells))
    if slots and writes:
        pack.add(f"events|{memory}", f"events of slots{of}", ask.table("events", ("slot",), slots, work=count * cells))
    for one in fields:
        if one.is_matrix and bare_name(one.name) != "memory":
            _collect_matrix(pack, ask, one, change=False)
    if links:
        readers = reads or range(1)
        pack.add(
            f"arcs|{memory}",
            f"strongest links{of}",
            ask.table(
                "arcs", ("time", "head", "reader"), times, writes, readers, work=8 * length**2 * count**2 * heads
            ),
        )
    pack.add(f"frame|{memory}|log", f"the log scale{of}", envelope("log"))
    for one in fields:
        if one.is_matrix and bare_name(one.name) == "memory":
            _collect_matrix(pack, ask, one, change=True)
    if links:
        pack.add(
            f"walk|{memory}",
            f"walks along the links{of}",
            ask.table("walk", ("time", "slot", "head"), times, slots, writes),
        )
    for one in fields:
        if "time" not in one.axes or (one.is_matrix and bare_name(one.name) != "memory"):
            pack.add(f"exact|{one.name}", f"exact values of {one.name}", partial(exact, values, one, item))


def _collect_matrix(pack: Pack, ask: _Asker, one: FieldView, *, change: bool) -> None:
    """All times of one matrix field, in envelopes of at most MAX_MATRICES times."""
    name = "its change" if change else bare_name(one.name).replace("_", " ")
    for head in range(len(one.heads)):
        for number, start in enumerate(range(0, one.length("time"), MAX_MATRICES)):
            query = {"field": one.name, "head": head, "t0": start, "t1": min(one.length("time"), start + MAX_MATRICES)}
            query |= {"px": MATRIX_PIXELS, **({"change": 1} if change else {})}
            key = f"matrices|{one.name}|{head}|{int(change)}|{number}"
            pack.add(key, f"{name} at each time", partial(ask.packed, "matrices", query, of_memory=False))


@dataclass(frozen=True, slots=True)
class _Asker:
    """Asks the functions behind the routes about one memory and item."""

    values: Values
    memory: str
    item: int

    def ask(self, what: str, query: Mapping[str, Any], *, of_memory: bool = True) -> bytes | dict[str, Any]:
        own: dict[str, Any] = {"item": self.item, **({"memory": self.memory} if of_memory else {}), **query}
        return ANSWERS[what](self.values, Params({key: [str(given)] for key, given in own.items()}), 0)

    def packed(self, what: str, query: Mapping[str, Any], *, of_memory: bool = True) -> bytes:
        answer = self.ask(what, query, of_memory=of_memory)
        assert isinstance(answer, bytes)
        return answer

    def table(
        self, what: str, names: tuple[str, ...], *ranges: Iterable[int], work: float = 0.0
    ) -> Callable[[], bytes | None]:
        """Answers for every combination of some parameters, as JSON by their values: {"3,0": {...}}.

        `work` is about how many multiplications all of them cost.
        """

        def make() -> bytes | None:
            if work > MAX_WORK:
                raise MemvizError("they take too long to work out ahead")
            places = list(_combinations([list(one) for one in ranges]))
            if len(places) > MAX_ANSWERS:
                raise MemvizError(f"{len(places)} answers, more than {MAX_ANSWERS}")
            found = {
                ",".join(map(str, place)): _thinned(self.ask(what, dict(zip(names, place, strict=True))))
                for place in places
            }
            return _json(found) if found else None

        return make


def _thinned(answer: bytes | dict[str, Any]) -> bytes | dict[str, Any]:
    """The same with shares too small to be seen in a picture as plain zeros, which are most of a table of lineage."""
    if isinstance(answer, dict) and "by_slot" in answer:
        table = answer["by_slot"]
        rows = [
            [share if isinstance(share, str) or abs(share) >= UNSEEN else 0 for share in row] for row in table["rows"]
        ]
        return {**answer, "by_slot": {**table, "rows": rows}}
    return answer


def _combinations(ranges: list[list[int]]) -> Iterator[tuple[int, ...]]:
    if not ranges:
        yield ()
        return
    for first in ranges[0]:
        for rest in _combinations(ranges[1:]):
            yield (first, *rest)


def described(values: Values, item: int) -> dict[str, Any]:
    """The record as the routes describe it, of which only one item is here."""
    answer = ANSWERS[""](values, Params({}), 0)
    assert isinstance(answer, dict)
    batch = answer["batch"][item : item + 1] or [0]
    memories = [
        {**memory, "fields": [{**one, "shape": _one_item(one)} for one in memory["fields"]]}
        for memory in answer["memories"]
    ]
    return {**answer, "batch": batch, "memories": memories}


def _one_item(one: Mapping[str, Any]) -> list[int]:
    return [1 if axis == "batch" else length for axis, length in zip(one["axes"], one["shape"], strict=True)]


def run_answers(trace: Trace, record: Record) -> dict[str, Any]:
    """What is asked about the run: its row, its only record, its curves, and the findings about the record."""
    from memviz.dashboards.api import scalar_curve
    from memviz.dashboards.summaries import details

    name = trace.name
    about = {**details(name, trace), "state": "closed", "age": None, "events": [], "version": "file"}
    at = {
        "count": 1, "steps": [record.step], "walls": [record.wall], "revision": 1, "state": "closed",
        "age": None, "dropped": 0, "gaps": [],
    }  # fmt: skip
    curves = {one: scalar_curve(trace, one, 900, None, None) for one in list(trace.scalars)[:64]}
    return {"name": name, "run": about, "records": at, "scalars": curves, "findings": _findings(record)}


def _findings(record: Record) -> dict[str, Any]:
    """What is wrong with this record, examined on its own."""
    examiner = Examiner()
    examiner.feed(record)
    report = examiner.report(1).to_json()
    found = []
    for finding in report["findings"]:
        names = [str(finding.get(part, "")) for part in ("diagnostic", "memory", "subject")]
        found.append({**finding, "key": ".".join(part for part in names if part), "index": 0})
    return {
        "state": "done", "done": 1, "total": 1, "records": 1, "examined": 1, "problem": None,
        "findings": found, "checks": report["checks"], "unchecked": report["unchecked"],
    }  # fmt: skip


def exact(values: Values, one: FieldView, item: int) -> bytes | None:
    """Exact values of one field and item: a line of JSON (axes, shape, ids of its pictures), then little-endian floats.

    Raises:
        MemvizError: the field is larger than EXACT_BYTES.
    """
    if not one.count:
        return None
    if one.count // one.length("batch") * 4 > EXACT_BYTES:
        raise MemvizError(f"more than {EXACT_BYTES // 2**20} MiB")
    found = np.ascontiguousarray(values.item(one, item))
    wide = found.dtype == np.float64
    axes = [axis for axis in one.axes if axis != "batch"]
    head = {
        "axes": axes,
        "shape": list(found.shape),
        "ids": [one.tile_id(index) for index in one.heads],
        "double": wide,
        "picture": list(one.picture_axes),
    }
    text = json.dumps(head).encode()
    # Floats begin at a multiple of 8, so that the browser can look at them in place.
    text += b" " * (-(len(text) + 1) % 8) + b"\n"
    return text + found.astype("<f8" if wide else "<f4").tobytes()


def _json(answer: Mapping[str, Any]) -> bytes:
    """Strict JSON. Most answers are strict already, and looking at each of a million numbers takes long."""
    try:
        return json.dumps(answer, allow_nan=False, separators=(",", ":")).encode()
    except (ValueError, TypeError):
        return json.dumps(strict(answer), allow_nan=False, separators=(",", ":")).encode()
