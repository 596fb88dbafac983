"""What was found by running records again without single writes, as it is kept beside a trace.

`memviz.recorders.removals` finds it, with torch and the model; whoever shows it needs only this file. It lies in
`.memviz/<name>/ablation.json` (memviz.analysis.sidecar) by record and memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from memviz.analysis import sidecar
from memviz.trace.schema import Json

if TYPE_CHECKING:
    from memviz.trace.reader import Trace

FILE = "ablation.json"

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Removal:
    """What happens to a record without one write.

    Attributes:
        time: when the write happened.
        effect: [item, time], the largest change of an output channel at each time.
        share: [item], its largest share in any read by lineage, addressing frozen; NaN where that cannot be told.
        loss: the loss without it; None without a target.
    """

    time: int
    effect: Array
    share: Array
    loss: float | None

    def to_json(self) -> dict[str, Json]:
        """A JSON object; numbers with four digits, NaN as null."""
        return {
            "time": self.time,
            "effect": [[_short(value) for value in row] for row in self.effect.tolist()],
            "share": [_short(value) for value in self.share.tolist()],
            "loss": None if self.loss is None else _short(self.loss),
        }


@dataclass(frozen=True)
class Removals:
    """What single writes of one memory of one record are worth to the model.

    Attributes:
        record: id of the record.
        step: its training step.
        memory: which memory.
        source: what the model was loaded from, in words.
        times: number of times of the memory.
        removals: by write, the largest change first.
        loss: the loss with all writes; None without a target.
        loss_name: what the loss is.
    """

    record: int
    step: int
    memory: str
    source: str
    times: int
    removals: Sequence[Removal]
    loss: float | None
    loss_name: str

    def text(self) -> str:
        """A table, one write per line."""
        if not self.removals:
            return "no write has a share in any read, so none was removed"
        lines = [f"step {self.step}, {self.memory}, without one write at a time ({self.source}):"]
        for one in self.removals:
            item, time = np.unravel_index(int(np.nanargmax(one.effect)), one.effect.shape)
            line = f"  t={one.time:<4d} output changes by up to {one.effect.max():.3g} at t={time}, item {item}"
            if np.isfinite(one.share).any():
                line += f"; lineage share up to {100 * np.nanmax(np.abs(one.share)):.0f} %"
            if one.loss is not None and self.loss is not None:
                line += f"; {self.loss_name} {self.loss:.4g} -> {one.loss:.4g}"
            lines.append(line)
        lines.append("Shares have the addressing frozen; the reruns have not.")
        return "\n".join(lines)

    def to_json(self) -> dict[str, Json]:
        """A JSON object with one member per attribute."""
        return {
            "record": self.record,
            "step": self.step,
            "memory": self.memory,
            "source": self.source,
            "times": self.times,
            "removals": [one.to_json() for one in self.removals],
            "loss": None if self.loss is None else _short(self.loss),
            "loss_name": self.loss_name,
        }


def keep(trace: Trace, found: Removals) -> bool:
    """Keep removals beside a trace, together with those of other records; False where the folder cannot be written."""
    content = dict(sidecar.load(trace, FILE) or {})
    content[_key(found.record, found.memory)] = found.to_json()
    return sidecar.save(trace, FILE, content)


def kept(trace: Trace, record: int, memory: str) -> Mapping[str, Any] | None:
    """What `keep` has left of a memory of a record, as JSON; None where there is nothing, or it is damaged."""
    content = sidecar.load(trace, FILE) or {}
    found = content.get(_key(record, memory))
    if not isinstance(found, dict) or not isinstance(found.get("times"), int):
        return None
    removals = found.get("removals")
    return found if isinstance(removals, list) and all(_sound(one, found["times"]) for one in removals) else None


def _sound(removal: Any, times: int) -> bool:
    """Whether a removal has what a page draws; the file may have been edited."""
    if not isinstance(removal, dict) or not isinstance(removal.get("time"), int):
        return False
    effect, share = removal.get("effect"), removal.get("share")
    if not (isinstance(effect, list) and isinstance(share, list) and len(share) == len(effect)):
        return False
    rows = all(isinstance(row, list) and len(row) <= times for row in effect)
    known = rows and all(isinstance(one, int | float) for row in effect for one in row)
    return known and 0 <= int(removal["time"]) < times


def _key(record: int, memory: str) -> str:
    return f"{record}/{memory}"


def _short(value: float) -> float | None:
    return float(f"{value:.4g}") if np.isfinite(value) else None
