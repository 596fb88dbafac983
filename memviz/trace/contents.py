"""Which records a trace holds at the moment, and where each of them lies, live or sealed.

A trace may be written, sealed and tailed at once. Live files are listed before segments: a record sealed in between
is then seen twice, which is harmless, and never missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from memviz.errors import TraceCorrupt
from memviz.trace import layout
from memviz.trace.files import listing
from memviz.trace.live import LiveRecord, read_live
from memviz.trace.segments import Segment, read_segment

_ROUNDS = 100
"""Attempts at a consistent view while records are being sealed; one or two are normal."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The records of a trace at one moment, in the order of their ids.

    `ids`, `steps`, `forwards` are int64 [record], `walls` float64 [record]. Record i is row `rows[i]` of
    `sources[owners[i]]`; a live file has the row 0.
    """

    ids: np.ndarray
    steps: np.ndarray
    forwards: np.ndarray
    walls: np.ndarray
    owners: np.ndarray
    rows: np.ndarray
    sources: Sequence[Segment | LiveRecord]

    def position(self, record: int) -> int | None:
        """Where the record with this id stands, None when it is not there."""
        at = int(np.searchsorted(self.ids, record))
        return at if at < len(self.ids) and self.ids[at] == record else None


class Contents:
    """Keeps the view of one trace up to date; opens only what is new."""

    def __init__(self, trace: Path) -> None:
        self._trace = trace
        self._segments: dict[str, Segment] = {}
        self._live: dict[int, LiveRecord] = {}
        self._damaged: dict[str, str] = {}
        self.snapshot = _snapshot([], [])

    @property
    def notes(self) -> list[str]:
        """What was left out because it is damaged, in words."""
        return [self._damaged[name] for name in sorted(self._damaged)]

    def refresh(self) -> bool:
        """Look for what is new; whether anything changed."""
        before = (set(self._segments), set(self._live))
        for _ in range(_ROUNDS):
            if self._look():
                break
        changed = before != (set(self._segments), set(self._live))
        if changed:
            self.snapshot = _snapshot([self._segments[name] for name in sorted(self._segments)], self._live.values())
        return changed

    def _look(self) -> bool:
        """One look at the folders; False when they changed under it and it has to be repeated."""
        live_names = self._list(layout.LIVE)
        sealed_names = self._list(layout.SEALED)
        found = {*live_names, *sealed_names, layout.LIVE, layout.SEALED}
        self._damaged = {name: note for name, note in self._damaged.items() if name in found}
        whole = True
        segments = {}
        for name in sealed_names:
            if layout.parse_segment_name(name) and name not in self._damaged:
                try:
                    segments[name] = self._segments.get(name) or read_segment(self._trace / layout.SEALED / name)
                except FileNotFoundError:
                    whole = False
                except (TraceCorrupt, OSError) as error:
                    self._damaged[name] = str(error)
        live = {}
        sealed = _sealed_beside(live_names, segments)
        for name in live_names:
            record = layout.parse_live_name(name)
            if record is None or name in self._damaged or record in sealed:
                continue
            try:
                live[record] = self._live.get(record) or read_live(self._trace / layout.LIVE, record)
            except FileNotFoundError:
                whole = False
            except (TraceCorrupt, OSError) as error:
                self._damaged[name] = str(error)
        self._segments, self._live = segments, live
        return whole

    def _list(self, folder: str) -> list[str]:
        try:
            return listing(self._trace / folder)
        except (TraceCorrupt, OSError) as error:
            self._damaged[folder] = str(error)
            return []


def _sealed_beside(live_names: Sequence[str], segments: Mapping[str, Segment]) -> set[int]:
    """The ids in those segments that reach as far as the oldest live file; most segments lie well before it."""
    oldest = min((record for name in live_names if (record := layout.parse_live_name(name)) is not None), default=None)
    ids: set[int] = set()
    if oldest is not None:
        for segment in segments.values():
            if segment.ids[-1] >= oldest:
                ids.update(segment.ids.tolist())
    return ids


def _snapshot(segments: Sequence[Segment], live: Iterable[LiveRecord]) -> Snapshot:
    records = sorted(live, key=lambda record: record.id)
    sources: list[Segment | LiveRecord] = [*segments, *records]
    counts = [len(segment.ids) for segment in segments] + [1] * len(records)
    ids = _column([segment.ids for segment in segments], [record.id for record in records], np.int64)
    # A hostile trace may list an id in two segments: the first one counts.
    _, keep = np.unique(ids, return_index=True)
    rows = np.concatenate([np.arange(count) for count in counts]) if counts else np.empty(0, np.int64)
    return Snapshot(
        ids[keep],
        _column([segment.steps for segment in segments], [record.step for record in records], np.int64)[keep],
        _column([segment.forwards for segment in segments], [record.forward for record in records], np.int64)[keep],
        _column([segment.walls for segment in segments], [record.wall for record in records], np.float64)[keep],
        np.repeat(np.arange(len(sources)), counts)[keep],
        rows[keep],
        sources,
    )


def _column(parts: Sequence[np.ndarray], rest: Sequence[float], dtype: type) -> np.ndarray:
    return np.concatenate([*parts, np.array(rest, dtype)])
