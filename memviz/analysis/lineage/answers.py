"""Answers about lineage as plain facts and as lines of text, for a terminal: of one read, one write, or all reads."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from memviz.analysis.lineage.history import Destruction, SlotEvent
from memviz.analysis.lineage.reading import FROZEN, Lineage
from memviz.analysis.lineage.table import LineageTable
from memviz.errors import FieldError
from memviz.trace.schema import Json

LEAST = 0.01
"""Shares below this are left out of a list."""


@dataclass(frozen=True, slots=True)
class SourceLine:
    """One source of a read.

    Attributes:
        written: when it was written; None for the initial memory.
        share: signed share of the read.
        age: times between the write and the read; None for the initial memory.
        allocation: the part of the share that was written to allocated slots; None where the split cannot be made.
        modes: the share by read mode; empty where the split cannot be made.
    """

    written: int | None
    share: float
    age: int | None
    allocation: float | None
    modes: dict[str, float]

    def text(self) -> str:
        """One line, such as "81.0 %  t=4  9 times ago  80.2 % allocated  forward 79 %, content 2 %"."""
        who = "the initial memory" if self.written is None else f"t={self.written}"
        parts = [f"{100 * self.share:6.1f} %", f"{who:8s}"]
        if self.age is not None:
            parts.append(f"{self.age:3d} {'time' if self.age == 1 else 'times'} ago")
        if self.allocation is not None and self.written is not None:
            parts.append(f"{100 * self.allocation:6.1f} % in allocated slots")
        modes = sorted(self.modes.items(), key=lambda mode: -abs(mode[1]))
        said = ", ".join(f"{name} {100 * share:.0f} %" for name, share in modes if abs(share) >= LEAST)
        return "   ".join([*parts, said] if said else parts)


def sources(found: Lineage, least: float = LEAST) -> list[SourceLine]:
    """The sources of a read, the largest share first; those below `least` in size are left out."""
    try:
        split = found.split
        by_part, by_mode = split.shares.sum(axis=2), split.shares.sum(axis=1)
        modes: tuple[str, ...] = split.modes if found.head >= 0 else ()
    except FieldError:  # what the parts follow from was not recorded
        by_part = by_mode = None
        modes = ()
    lines = []
    for source in np.argsort(-np.abs(found.shares), kind="stable"):
        share = float(found.shares[source])
        if math.isnan(share) or abs(share) < least:
            continue
        lines.append(
            SourceLine(
                written=int(source) - 1 if source else None,
                share=share,
                age=int(found.ages[source]) if source else None,
                allocation=None if by_part is None else float(by_part[source, 1]),
                modes={mode: float(by_mode[source, i]) for i, mode in enumerate(modes)} if by_mode is not None else {},
            )
        )
    return lines


def read_lines(found: Lineage) -> Iterator[str]:
    """One read in words, then its sources line by line."""
    yield found.text()
    lines = sources(found)
    yield from (line.text() for line in lines)
    if lines:
        rest = (
            f"{found.sources:.1f} effective sources, mean age {found.age:.1f}, cancellation {found.cancellation:.2f}"
            if not math.isnan(found.age)
            else f"{found.sources:.1f} effective sources, cancellation {found.cancellation:.2f}"
        )
        yield rest if found.error is None else f"{rest}; the sum differs from the recorded read by {found.error:.1e}"


def read_json(found: Lineage) -> dict[str, Json]:
    """The same as `read_lines`, as JSON; what is not finite is null."""
    return {
        "memory": found.memory,
        "time": found.time,
        "head": found.head if found.head >= 0 else None,
        "batch": found.batch,
        "text": found.text(),
        "shares": [_number(share) for share in found.shares],
        "age": _number(found.age),
        "sources": _number(found.sources),
        "cancellation": _number(found.cancellation),
        "error": None if found.error is None else _number(found.error),
        "note": FROZEN,
    }


def table_lines(table: LineageTable) -> Iterator[str]:
    """One line per read: its largest source; then the writes that nobody read."""
    times, heads, _ = table.shares.shape
    for time in range(times):
        for head in range(heads):
            yield f"t={time:<4d} head {head}  {_largest(table, time, head)}"
    idle = table.never_read()
    if len(idle):
        yield f"no read has {100 * LEAST:.0f} % or more from the writes at t={', '.join(map(str, idle))}"
    yield FROZEN


def table_json(table: LineageTable) -> dict[str, Json]:
    """The table of shares [time, read_head, source], as JSON; what is not finite is null."""
    return {
        "memory": table.memory,
        "batch": table.batch,
        "shares": [[[_number(share) for share in read] for read in heads] for heads in table.shares],
        "never_read": [int(time) for time in table.never_read()],
        "note": FROZEN,
    }


def write_lines(lost: Destruction, table: LineageTable) -> Iterator[str]:
    """What became of one write: what took it away, and which reads it is in."""
    yield lost.text()
    readers = list(_readers(lost, table))
    for time, head, share in readers:
        yield f"{100 * share:6.1f} % of the read at t={time} by head {head}"
    if not readers:
        yield f"no read has {100 * LEAST:.0f} % or more from it"
    yield FROZEN


def write_json(lost: Destruction, table: LineageTable) -> dict[str, Json]:
    """The same as `write_lines`, as JSON; what is not finite is null."""
    return {
        "memory": lost.memory,
        "written": lost.time if lost.time >= 0 else None,
        "text": lost.text(),
        "survives": [_number(value) for value in lost.survives],
        "lost": {cause: [_number(value) for value in lost.lost[:, i]] for i, cause in enumerate(lost.causes)},
        "readers": [{"time": time, "head": head, "share": share} for time, head, share in _readers(lost, table)],
        "note": FROZEN,
    }


def event_json(event: SlotEvent) -> dict[str, Json]:
    """One event of a slot or cell, as JSON; what is not finite is null."""
    return {
        "time": event.time,
        "kind": event.kind,
        "head": event.head,
        "weight": _number(event.weight),
        "before": [_number(value) for value in np.atleast_1d(event.before)],
        "after": [_number(value) for value in np.atleast_1d(event.after)],
    }


def _readers(lost: Destruction, table: LineageTable) -> Iterator[tuple[int, int, float]]:
    shares = np.nan_to_num(table.shares[:, :, lost.time + 1])
    for time, head in zip(*np.nonzero(np.abs(shares) >= LEAST), strict=True):
        yield int(time), int(head), float(shares[time, head])


def _largest(table: LineageTable, time: int, head: int) -> str:
    shares = table.shares[time, head]
    if np.isnan(shares).all():
        length = table.read_norms[time, head]
        return "reads nothing" if length == 0 else "is not finite"
    source = int(np.nanargmax(np.abs(shares)))
    who = f"the write at t={source - 1}" if source else "the initial memory"
    return f"{100 * shares[source]:5.1f} % from {who}"


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
