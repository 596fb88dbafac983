"""Which pair of writes made a step along the links: "from what was written at t'' to what was written at t'".

The link matrix is a sum over pairs of writes (t'' before t'), each decayed by the writes after t' (Graves et al. 2016,
Methods, "Temporal memory linkage"):

    L_t[i, j] = Σ_{t'} w_t'[i] p_{t'-1}[j] Π_{σ > t'} (1 - w_σ[i] - w_σ[j]),
    p_{t'-1}[j] = Σ_{t'' < t'} w_t''[j] Π_{t'' < σ < t'} (1 - Σ w_σ).

A forward weighting f = L w^r is thereby a sum over pairs too, exactly, with the weightings held at their values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from memviz.analysis.generators import Source, check_place, choose, initial, view
from memviz.errors import FieldError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LinkProvenance:
    """One step of a read head along the links, resolved by pairs of writes.

    Source 0 is the state before the first time (of the precedence, or of the link matrix), source s + 1 the write at
    time s.

    Attributes:
        memory, time, head, write_head: which read, and whose links.
        direction: "forward" or "backward".
        mass: [source_from, source_to]; sums to the mass of the forward (backward) weighting. A forward step goes from
            the earlier write to the later, a backward step the other way; the axes always are earlier, later.
    """

    memory: str
    time: int
    head: int
    write_head: int
    direction: Literal["forward", "backward"]
    mass: Array

    def text(self) -> str:
        """The step in one sentence, such as "72 % from the write at t=3 on to t=4; addressing frozen"."""
        total = float(self.mass.sum())
        if not total:
            return "the links lead nowhere from what was read before; addressing frozen"
        earlier, later = np.unravel_index(int(np.argmax(self.mass)), self.mass.shape)
        share = 100 * float(self.mass[earlier, later]) / total
        first, last = (earlier, later) if self.direction == "forward" else (later, earlier)
        word = "on" if self.direction == "forward" else "back"
        return f"{share:.0f} % from {_name(int(first))} {word} to {_name(int(last))}; addressing frozen"


def link_provenance(
    record: Source,
    time: int,
    head: int,
    batch: int = 0,
    memory: str | None = None,
    *,
    direction: Literal["forward", "backward"] = "forward",
    write_head: int = 0,
    landed: NDArray[np.floating] | None = None,
) -> LinkProvenance:
    """Resolve the forward or backward weighting of one read by pairs of writes. O(t N^2) time, O(N^2) memory.

    Args:
        record: a record of a trace.
        time: when the read happened; negative counts from the end.
        head: read head.
        batch: position among the recorded batch items.
        memory: name of the memory; may be left out when the record has only one that is read.
        direction: which of the two weightings.
        write_head: whose links.
        landed: [slot], which part of the weighting to explain; all of it by default.

    Raises:
        FieldError: the memory has no links, its law is unknown, or a generator was not recorded.
        PlaceError: there is no such time, head or batch item.
    """
    name = choose(record, memory)
    if record.memories[name].law != "dnc":
        raise FieldError(f"memory {name!r} has no links; only a memory with the law 'dnc' has.")
    time = check_place("time", time, record.lengths[name])
    seen = view(record, name, batch, time + 1)
    head = check_place("read head", head, seen.read_weights.shape[1])
    heads, slots = seen.update.write_heads, seen.update.slots
    write_head = check_place("write head", write_head, heads)
    weights = seen.update.weights.reshape(time + 1, heads, slots)[:, write_head]

    def before(field: str, *shape: int) -> Array:
        return initial(record, name, field, batch, shape)

    read = (
        seen.read_weights[time - 1, head] if time else before("read_weights", seen.read_weights.shape[1], slots)[head]
    )
    arrived = np.ones(slots) if landed is None else np.asarray(landed, np.float64)
    # L[i, j] goes from j, written earlier, to i, written later; a backward step reads it the other way.
    later, earlier = (arrived, read) if direction == "forward" else (read, arrived)
    mass = _pairs(
        weights,
        later,
        earlier,
        before("precedence_weights", heads, slots)[write_head],
        before("link_matrix", heads, slots, slots)[write_head],
    )
    return LinkProvenance(name, time, head, write_head, direction, mass)


def _pairs(weights: Array, later: Array, earlier: Array, precedence: Array, link: Array) -> Array:
    """Σ_ij later[i] L[i, j] earlier[j] by pairs of writes, [source_from, source_to].

    Args:
        weights: [time, slot], of one write head.
        later: [slot].
        earlier: [slot].
        precedence: [slot], before the first time.
        link: [slot_to, slot_from], before the first time.
    """
    times, slots = weights.shape
    survival = np.ones((slots, slots))
    np.fill_diagonal(survival, 0.0)
    reach = np.empty((times, slots))  # of the later write of a pair, back over the links onto slots
    for time in range(times - 1, -1, -1):
        now = weights[time]
        reach[time] = ((now * later) @ survival) * earlier
        decay = np.subtract(1 - now[:, None], now)
        survival *= decay
    # With source 0 for the state before the first time, whose precedence decays like that of any write.
    written = np.concatenate([precedence[None], weights])
    mass = np.zeros((times + 1, times + 1))
    mass[:, 1:] = written @ reach.T
    left = 1 - weights.sum(axis=1)
    kept = np.zeros((times + 1, times))  # [source_from, time]: precedence of a source just before this time
    for source in range(times):
        kept[source, source] = 1.0
        kept[source, source + 1 :] = np.multiply.accumulate(left[source:-1]) if source + 1 < times else ()
    # Source s is the write at time s - 1: at its own time it is not yet in the precedence, one time later it is whole.
    mass[:, 1:] *= kept
    mass[0, 0] = later @ (survival * link) @ earlier
    return mass


def _name(source: int) -> str:
    return "the state before the first time" if source == 0 else f"the write at t={source - 1}"
