"""Scalars and events as a reader sees them: columns that grow with the files."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from memviz.trace.caps import MAX_NAMES
from memviz.trace.jsonl import LineReader
from memviz.trace.layout import EVENTS, SCALARS
from memviz.trace.schema import Event


@dataclass(frozen=True, slots=True)
class Series:
    """One scalar over a run, in the order in which it was logged.

    `steps` int64 [point], `values` float64 [point], `walls` float64 [point] in seconds since the epoch.
    """

    steps: np.ndarray
    values: np.ndarray
    walls: np.ndarray

    def __len__(self) -> int:
        return len(self.values)


class ScalarLog(Mapping[str, Series]):
    """scalars.jsonl by name of the scalar; `refresh` reads what was added."""

    def __init__(self, trace: Path) -> None:
        self.reader = LineReader(trace / SCALARS)
        self._columns: dict[str, tuple[array[int], array[float], array[float]]] = {}
        self._series: dict[str, Series] = {}

    def refresh(self) -> None:
        """Read the lines added since the last call."""
        for line in self.reader.read():
            try:
                step, wall = int(line.pop("step")), float(line.pop("wall"))
                values = {name: float(value) for name, value in line.items()}
                for name, value in values.items():
                    self._append(name, step, value, wall)
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                self.reader.note(f"{SCALARS}: a line without sound step, wall and numbers, left out ({error!r:.80})")

    def _append(self, name: str, step: int, value: float, wall: float) -> None:
        if name not in self._columns and len(self._columns) >= MAX_NAMES:
            raise ValueError(f"more than {MAX_NAMES} scalars")
        steps, values, walls = self._columns.setdefault(name, (array("q"), array("d"), array("d")))
        steps.append(step)
        values.append(value)
        walls.append(wall)

    def __getitem__(self, name: str) -> Series:
        steps, values, walls = self._columns[name]
        series = self._series.get(name)
        if series is None or len(series) != len(walls):
            count = len(walls)
            # Copies: a view would keep the growing columns from being extended.
            series = Series(
                np.array(steps[:count], np.int64), np.array(values[:count]), np.array(walls[:count], np.float64)
            )
            self._series[name] = series
        return series

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._columns))

    def __len__(self) -> int:
        return len(self._columns)


class EventLog:
    """events.jsonl; `refresh` reads what was added."""

    def __init__(self, trace: Path) -> None:
        self.reader = LineReader(trace / EVENTS)
        self.events: list[Event] = []

    def refresh(self) -> None:
        """Read the lines added since the last call."""
        for line in self.reader.read():
            try:
                self.events.append(Event.from_json(line))
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                self.reader.note(f"{EVENTS}: a line that is no event, left out ({error!r:.80})")

    @property
    def closed(self) -> bool:
        """Whether the last writer closed the trace."""
        ends: list[Any] = [event.kind for event in self.events if event.kind in ("opened", "closed")]
        return bool(ends) and ends[-1] == "closed"

    @property
    def dropped(self) -> int:
        """Records that the recorder counted as lost."""
        counts = [event.data.get("dropped") for event in self.events if event.kind == "gap"]
        return sum(count for count in counts if isinstance(count, int) and count > 0)
