"""The reverse watchpoint: everything that happened to one slot, or one cell, and what became of one write.

`slot_history` lists who wrote, erased, freed and read a slot, with the values before and after. `destruction` follows
one write forward and says which later write took how much of it away; the losses telescope, so they and what survives
sum to exactly 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from memviz.analysis.generators import LoadedMemory, Source, check_place, choose, initial, view

Array = NDArray[np.float64]

Kind = Literal["freed", "erased", "written", "read"]
"""In the order in which they happen at one time, unless the memory reads before it writes."""


@dataclass(frozen=True)
class SlotEvent:
    """One thing that happened to a slot.

    Attributes:
        time: when.
        kind: "freed" (by a read head, for the usage), "erased", "written" or "read".
        head: the read head that freed or read, the write head that erased or wrote.
        weight: how strongly the head was at this slot: for "freed" the free gate times what the head read before, for
            "erased" the write weight times the erase vector (of the cell, or the largest of the slot), for "written"
            and "read" the weight itself.
        before: [word], the slot before the event; one number for a cell.
        after: [word], the slot after it. Freeing changes the usage, and the content only where freeing clears it.
    """

    time: int
    kind: Kind
    head: int
    weight: float
    before: Array
    after: Array

    @property
    def change(self) -> float:
        """|after - before|."""
        return float(np.linalg.norm(self.after - self.before))

    def text(self) -> str:
        """One line, such as "t=4 written by write head 0 with weight 0.93: 0.02 -> 1.41 (norm)"."""
        kind = "write" if self.kind in ("erased", "written") else "read"
        size = np.linalg.norm if self.before.ndim else float
        unit = " (norm)" if self.before.ndim else ""
        values = f"{float(size(self.before)):.3g}"
        if self.kind not in ("freed", "read") or self.change:
            values += f" -> {float(size(self.after)):.3g}"
        return f"t={self.time} {self.kind} by {kind} head {self.head} with weight {self.weight:.2g}: {values}{unit}"


def slot_history(
    record: Source,
    slot: int,
    word: int | None = None,
    *,
    batch: int = 0,
    memory: str | None = None,
    least: float = 0.01,
) -> list[SlotEvent]:
    """What happened to a slot, or to one cell of it, in order of time.

    Args:
        record: a record of a trace.
        slot: memory row.
        word: memory column; the whole row by default.
        batch: position among the recorded batch items.
        memory: name of the memory; may be left out when the record has only one that is read.
        least: events with a smaller weight are left out (0: none are).

    Raises:
        FieldError: the memory's law is unknown, or a generator was not recorded.
        PlaceError: there is no such slot, word or batch item.
    """
    name = choose(record, memory)
    seen = view(record, name, batch)
    slot = check_place("slot", slot, seen.update.slots)
    cell: int | slice = slice(None) if word is None else check_place("word", word, seen.update.words)
    events: list[SlotEvent] = []
    content = seen.initial[slot].copy()
    freeing = _freeing(seen, slot)

    def note(time: int, kind: Kind, head: int, weight: float, before: Array, after: Array) -> None:
        if weight >= least and weight > 0:
            events.append(SlotEvent(time, kind, head, weight, np.array(before[cell]), np.array(after[cell])))

    def reads(time: int, steps: int) -> None:
        for head, weight in enumerate(seen.read_weights[time, :, slot]):
            if seen.steps_seen(time, head) == steps:
                note(time, "read", head, float(weight), content, content)

    update, per_time = seen.update, seen.update.steps_per_time
    for time in range(seen.times):
        reads(time, time * per_time)
        kept = np.ones(()) if update.retention is None else update.retention[time * per_time, slot]
        for head, weight in enumerate(freeing[time]):
            note(time, "freed", head, float(weight), content, content * kept)
        content = content * kept
        for turn in range(per_time):
            step = time * per_time + turn
            for row in range(update.weights.shape[1]):
                gone = update.erase_weights[step, row, slot] * update.erase_vectors[step, row]
                strength = float(np.max(gone[cell])) if word is None else float(gone[cell])
                note(time, "erased", turn + row, strength, content, content * (1 - gone))
                content = content * (1 - gone)
            for row in range(update.weights.shape[1]):
                weight = float(update.weights[step, row, slot])
                after = content + weight * update.write_vectors[step, row]
                note(time, "written", turn + row, weight, content, after)
                content = after
            reads(time, step + 1)
    return events


@dataclass(frozen=True)
class Destruction:
    """What became of one write.

    The write is spread over cells; each cell counts by |w v|, the size of what was put there.

    Attributes:
        time: when it was written; -1 for the initial memory.
        lost: [time, cause]: the fraction of the write that each later time took away, by cause.
        causes: names of the causes: "freed" where reads clear memory, then one per write head.
        survives: [time]: the fraction that is left after each time; NaN for a write of nothing.
    """

    memory: str
    time: int
    causes: tuple[str, ...]
    lost: Array
    survives: Array

    def text(self) -> str:
        """One sentence, such as "61 % of the write at t=3 is left; 30 % fell to t=9, 9 % to t=12"."""
        what = "the initial memory" if self.time < 0 else f"the write at t={self.time}"
        if not np.isfinite(self.survives[-1]):
            return f"{what} put nothing anywhere"
        per_time = self.lost.sum(axis=1)
        worst = [int(t) for t in np.argsort(-per_time, kind="stable")[:3] if per_time[t] >= 0.01]
        falls = ", ".join(f"{100 * per_time[t]:.0f} % to t={t}" for t in worst)
        return f"{100 * self.survives[-1]:.0f} % of {what} is left" + (f"; fell: {falls}" if falls else "")


def destruction(
    record: Source, time: int, write_head: int = 0, *, batch: int = 0, memory: str | None = None
) -> Destruction:
    """Who destroyed a write: how much of it every later write, or freeing, took away.

    Args:
        record: a record of a trace.
        time: when it was written, or -1 for the initial memory.
        write_head: by which head.
        batch: position among the recorded batch items.
        memory: name of the memory; may be left out when the record has only one that is read.

    Raises:
        FieldError: the memory's law is unknown, or a generator was not recorded.
        PlaceError: there is no such time, head or batch item.
    """
    name = choose(record, memory)
    seen = view(record, name, batch)
    update, per_time = seen.update, seen.update.steps_per_time
    if time != -1:
        check_place("time", time, seen.times)
    write_head = check_place("write head", write_head, update.write_heads)
    turn, row = (write_head, 0) if per_time > 1 else (0, write_head)
    step = -1 if time < 0 else time * per_time + turn
    put = seen.initial if time < 0 else np.outer(update.weights[step, row], update.write_vectors[step, row])
    left = np.abs(put) / np.abs(put).sum() if np.abs(put).any() else np.full(put.shape, np.nan)

    causes = (
        *(["freed"] if update.retention is not None else []),
        *(f"write head {h}" for h in range(update.write_heads)),
    )
    lost, survives = np.zeros((seen.times, len(causes))), np.ones(seen.times)
    offset = len(causes) - update.write_heads

    def take(at: int, cause: int, kept: Array) -> None:
        nonlocal left
        after = left * kept
        lost[at, cause] += float((left - after).sum())
        left = after

    for later in range(step + 1, update.steps):
        at = later // per_time
        if update.retention is not None and later % per_time == 0:
            take(at, 0, update.retention[later][:, None])
        for head in range(update.weights.shape[1]):
            # Heads of one step erase at once; what is shared between them goes to the first.
            erased = np.outer(update.erase_weights[later, head], update.erase_vectors[later, head])
            take(at, offset + later % per_time + head, 1 - erased)
        survives[at] = left.sum()
    if time >= 0 and not np.isfinite(left).all():
        survives[time:] = np.nan
    elif not np.isfinite(left).all():
        survives[:] = np.nan
    return Destruction(name, time, causes, lost, survives)


def _freeing(seen: LoadedMemory, slot: int) -> Array:
    """Free gate times what the head read the time before, [time, read_head]; empty where nothing is freed."""
    if not seen.has("free_gates"):
        return np.zeros((seen.times, 0))
    reads = seen.read_weights
    first = initial(seen.record, seen.name, "read_weights", seen.batch, reads.shape[1:])
    return np.asarray(seen.values("free_gates") * np.concatenate([first[None], reads[:-1]])[:, :, slot])
