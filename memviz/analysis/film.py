"""The training film: a few numbers per record over the whole run, and the steps at which they changed, in words.

`film(trace)` reads each record once. What it found is kept beside the trace (memviz.analysis.sidecar), so that a longer
run costs only its new records. A `Reel` takes them one by one, for whoever wants to see them come.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memviz.analysis import sidecar
from memviz.analysis.changes import splits
from memviz.analysis.diagnostics.base import Array
from memviz.analysis.each import Each, in_turn
from memviz.analysis.film_numbers import Statistic, key_of, numbers, parse_key
from memviz.fields import READ_MODES
from memviz.trace.schema import Json

if TYPE_CHECKING:
    from memviz.trace.reader import Trace

FILE = "film.json"

_FORMAT = 1
"""To be raised whenever a statistic changes its meaning, so that what was kept of it is computed anew."""


@dataclass(frozen=True, slots=True)
class Change:
    """A step at which a number took a new level.

    Attributes:
        step: training step of the first record on the new level.
        record: its id.
        memory: name of the memory.
        statistic: name of the statistic; "modes" for a switch of read mode.
        head: which head; None for numbers of the whole memory.
        before: mean since the change before this one.
        after: mean until the next one.
        sentence: the change in words.
    """

    step: int
    record: int
    memory: str
    statistic: str
    head: int | None
    before: float
    after: float
    sentence: str

    def to_json(self) -> dict[str, Json]:
        """A JSON object with one member per attribute."""
        return {
            "step": self.step,
            "record": self.record,
            "memory": self.memory,
            "statistic": self.statistic,
            "head": self.head,
            "before": self.before,
            "after": self.after,
            "sentence": self.sentence,
        }


@dataclass(frozen=True, slots=True)
class Film:
    """Numbers per record over a run.

    Attributes:
        ids: id of each record, int64 [record].
        steps: its training step, int64 [record].
        series: by `memory/statistic`, or `memory/statistic[head]`, float64 [record]; NaN where a record has no such
            number.
        computed: how many records had to be read for this film; the others were known.
    """

    ids: NDArray[np.int64]
    steps: NDArray[np.int64]
    series: Mapping[str, Array]
    computed: int

    def changes(self) -> list[Change]:
        """Steps at which a number took a new level, in order."""
        found: list[Change] = []
        for key, values in self.series.items():
            memory, statistic, head = parse_key(key)
            if not statistic.name.startswith("mode_"):
                found += self._levels(memory, statistic, head, values)
            elif statistic.name == f"mode_{READ_MODES[0]}":
                found += self._modes(memory, head)
        return sorted(found, key=lambda change: (change.step, change.memory, change.statistic, change.head or 0))

    def to_json(self) -> dict[str, Json]:
        """A JSON object; NaN becomes null."""
        return {
            "format": _FORMAT,
            "ids": self.ids.tolist(),
            "steps": self.steps.tolist(),
            "series": {
                key: [value if math.isfinite(value) else None for value in values.tolist()]
                for key, values in self.series.items()
            },
        }

    def _levels(self, memory: str, statistic: Statistic, head: int | None, values: Array) -> Iterator[Change]:
        log = statistic.scale == "log"
        # A number that should change by factors and is 0 has no level.
        shown = np.log(values, out=np.full_like(values, np.nan), where=values > 0) if log else values
        smallest = math.log(statistic.smallest) if log else statistic.smallest
        for at, start, stop in self._steps(shown[:, None], smallest):
            before, after = float(_level(shown[start:at])), float(_level(shown[at:stop]))
            if log:
                before, after = math.exp(before), math.exp(after)
            who = statistic.title if head is None else f"{statistic.title} of head {head}"
            way = "rose" if after > before else "fell"
            sentence = f"{who[0].upper()}{who[1:]} {way} from {before:.3g} to {after:.3g} at step {self.steps[at]}"
            yield self._change(at, memory, statistic.name, head, before, after, sentence)

    def _modes(self, memory: str, head: int | None) -> Iterator[Change]:
        keys = [key_of(memory, f"mode_{mode}", head) for mode in READ_MODES]
        if not all(key in self.series for key in keys):
            return
        modes = np.stack([self.series[key] for key in keys], axis=1)
        for at, start, stop in self._steps(modes, 0.25):
            before, after = _level(modes[start:at]), _level(modes[at:stop])
            old, new = int(before.argmax()), int(after.argmax())
            if old != new:
                words = f"Head {head} switched from {READ_MODES[old]} to {READ_MODES[new]} at step {self.steps[at]}"
            else:
                way = "more" if after[new] > before[new] else "less"
                share = f"{before[new]:.0%} to {after[new]:.0%}"
                words = f"Head {head} reads {way} by its {READ_MODES[new]} mode ({share}) from step {self.steps[at]} on"
            yield self._change(at, memory, "modes", head, float(before[new]), float(after[new]), words)

    def _steps(self, values: Array, smallest: float) -> list[tuple[int, int, int]]:
        """Each change as the record it is at, and the records between which its levels hold."""
        found = splits(values, smallest)
        edges = [0, *found, len(values)]
        return [(at, edges[i], edges[i + 2]) for i, at in enumerate(found)]

    def _change(
        self, at: int, memory: str, statistic: str, head: int | None, before: float, after: float, sentence: str
    ) -> Change:
        return Change(int(self.steps[at]), int(self.ids[at]), memory, statistic, head, before, after, sentence)


def _level(part: Array) -> Array:
    """Mean over the records of a part, those with a value that is not finite left out, as `splits` does."""
    real = np.isfinite(part.reshape(len(part), -1)).all(axis=1)
    return np.asarray(part[real].mean(axis=0))


def film(
    trace: Trace,
    *,
    keep: bool = True,
    progress: Callable[[int, int], None] = lambda done, total: None,
    each: Each = in_turn,
) -> Film:
    """The film of a run.

    Args:
        trace: what `memviz.open` gives.
        keep: keep what was computed beside the trace and use what was kept earlier.
        progress: called with the number of new records read and to read.
        each: how the numbers of many records are taken; in turn by default.

    Returns:
        Numbers of every record there is at the moment.
    """
    reel = Reel(trace, keep=keep)
    new = reel.missing(trace)
    for done, (position, found) in enumerate(zip(new, each(trace, new, numbers), strict=True), 1):
        reel.add(int(trace.ids[position]), found)
        progress(done, len(new))
    result = reel.film(trace)
    if keep and new:
        reel.save(trace)
    return result


class Reel:
    """The numbers of records as they are taken, in any order: the form of `film` for a run that still grows.

    Args:
        trace: the run.
        keep: begin with what was kept beside the trace earlier.

    Attributes:
        unsaved: records taken in since the numbers were last kept beside the trace.
    """

    def __init__(self, trace: Trace, *, keep: bool = True) -> None:
        self._rows = _load(trace) if keep else {}
        self._added = 0
        self.unsaved = 0

    def __len__(self) -> int:
        return len(self._rows)

    def missing(self, trace: Trace) -> list[int]:
        """Positions in the trace, ascending, of the records whose numbers are not known."""
        return [position for position, record in enumerate(trace.ids.tolist()) if record not in self._rows]

    def take(self, trace: Trace, position: int) -> None:
        """Take the numbers of one record."""
        self.add(int(trace.ids[position]), numbers(trace[position]))

    def add(self, record: int, found: Mapping[str, float]) -> None:
        """Take in the numbers of one record, by its id."""
        self._rows[record] = found
        self._added += 1
        self.unsaved += 1

    def film(self, trace: Trace) -> Film:
        """The film of the records whose numbers are known so far."""
        ids = trace.ids
        at = np.array([position for position, record in enumerate(ids.tolist()) if record in self._rows], np.int64)
        rows = [self._rows[record] for record in ids[at].tolist()]
        names = list(dict.fromkeys(name for row in rows for name in row))
        series = {name: np.array([row.get(name, np.nan) for row in rows], np.float64) for name in names}
        return Film(ids[at], trace.steps[at], series, self._added)

    def save(self, trace: Trace) -> bool:
        """Keep the numbers beside the trace; False where the folder cannot be written."""
        self.unsaved = 0
        return sidecar.save(trace, FILE, self.film(trace).to_json())


def _load(trace: Trace) -> dict[int, Mapping[str, float]]:
    """What is known of each record by id; empty when nothing was kept or it does not fit."""
    content = sidecar.load(trace, FILE)
    try:
        if content is None or content["format"] != _FORMAT:
            return {}
        ids: Sequence[int] = content["ids"]
        series: Mapping[str, Sequence[float | None]] = content["series"]
        for key in series:
            parse_key(key)
        return {
            int(record): {
                key: np.nan if values[row] is None else float(values[row] or 0.0) for key, values in series.items()
            }
            for row, record in enumerate(ids)
        }
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        return {}
