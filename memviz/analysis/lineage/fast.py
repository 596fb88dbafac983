"""Lineage of fast weights: which tokens a query of linear attention or DeltaNet reads, exactly.

M_t = (1 - β k k^T) Λ M_{t-1} + γ k v^T, and a read is q^T M. With keys, queries and gates at their recorded values it
is a sum over tokens of what is left of q, carried back through the later tokens, times k, times v. A slot here is a row
of the fast weights, that is a dimension of the key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memviz.analysis.generators import Source, check_place, item
from memviz.analysis.lineage.reading import Lineage
from memviz.analysis.lineage.scan import delta_strengths
from memviz.analysis.lineage.split import Split
from memviz.analysis.lineage.table import LineageTable
from memviz.analysis.rules import FAST_LAWS
from memviz.analysis.updates import DeltaRule
from memviz.errors import FieldError
from memviz.fields import INITIAL_PREFIX

Array = NDArray[np.float64]


@dataclass(frozen=True)
class FastMemory:
    """One head of a fast-weight memory of a record seen through one batch item.

    Attributes:
        update: the law with its generators.
        initial: [slot, word], the matrix before the first token.
        queries: [time, slot].
        own: whether a token reads what it stores itself.
        recorded: [time, word], the reads as the model computed them, or None where they were not stored.
    """

    update: DeltaRule
    initial: Array
    queries: Array
    own: bool
    recorded: Array | None

    def seen(self, time: int) -> int:
        """How many tokens the query at a time sees."""
        return time + 1 if self.own else time


def is_fast(record: Source, memory: str) -> bool:
    """Whether a memory is a matrix per head, to which tokens add outer products."""
    return record.memories[memory].law in FAST_LAWS


def fast_heads(record: Source, memory: str) -> int:
    """How many heads it has."""
    return int(np.asarray(record.read(f"{memory}/fast_keys", slice(0, 1))).shape[2])


def fast_view(record: Source, memory: str, head: int, batch: int = 0, times: int | None = None) -> FastMemory:
    """Load one head of a fast-weight memory.

    Args:
        record: the record.
        memory: its name.
        head: which head.
        batch: position among the recorded batch items.
        times: how many times to load; all by default.

    Raises:
        FieldError: something that the law needs was not recorded.
        PlaceError: there is no such head or batch item.
    """
    schema = record.memories[memory]
    decaying, delta = bool(schema.attributes.get("decaying")), schema.law == "delta_net"
    needed = ["fast_keys", "fast_values", "fast_queries"]
    needed += ["fast_rates"] * delta + ["fast_decay"] * decaying
    missing = [field for field in needed if f"{memory}/{field}" not in record.fields]
    if missing:
        raise FieldError(
            f"lineage of memory {memory!r} needs {', '.join(missing)}, which {'was' if len(missing) == 1 else 'were'} "
            "not recorded; tap them, and record with fields='default' or 'all'."
        )
    part = slice(0, record.lengths[memory] if times is None else times)
    whole = {name: np.asarray(record.read(f"{memory}/{name}", part)) for name in needed}
    items, heads = whole["fast_keys"].shape[1:3]
    check_place("batch item", batch, items)
    head = check_place("head", head, heads)
    values = {name: item(one, batch)[:, head] for name, one in whole.items()}
    keys, stored = values["fast_keys"], values["fast_values"]
    decay = values.get("fast_decay", np.ones((len(keys), 1)))
    if delta:
        update = DeltaRule.delta_net(keys, stored, values["fast_rates"], decay)
    else:
        update = DeltaRule.linear_attention(keys, stored, decay)
    name = f"{memory}/{INITIAL_PREFIX}fast_weights"
    first = np.zeros((keys.shape[1], stored.shape[1]))
    if name in record.stored:
        given = np.asarray(record.read(name)).astype(np.float64)
        first = np.array(np.broadcast_to(given[batch if len(given) > 1 else 0], (heads, *first.shape))[head])
    reads = f"{memory}/fast_reads"
    recorded = item(record.read(reads, part), batch)[:, head] if reads in record.stored else None
    own = schema.attributes.get("read_order") != "before_write"
    return FastMemory(update, first, values["fast_queries"], own, recorded)


@dataclass(frozen=True)
class FastLineage(Lineage):
    """One read of fast weights, resolved by token; `by_slot` goes by rows, and there are no read modes."""

    _view: Any
    _by_slot: Array

    @property
    def by_slot(self) -> Array:
        """The shares by row of the fast weights, [source, row]; summed over rows they are `shares`."""
        return self._by_slot

    @property
    def split(self) -> Split:
        """There is none.

        Raises:
            FieldError: always.
        """
        raise FieldError(f"{self.memory!r} is read by a query, without read modes or an allocation to split by.")


def fast_lineage(record: Source, memory: str, time: int, head: int, batch: int = 0) -> FastLineage:
    """Resolve what one query reads by the tokens behind it; arguments and errors as in `lineage`."""
    time = check_place("time", time, record.lengths[memory])
    seen = fast_view(record, memory, head, batch, time + 1)
    head = check_place("head", head, fast_heads(record, memory))
    recorded = None if seen.recorded is None else seen.recorded[time]
    return _resolved(seen, memory, time, head, batch, seen.queries[time], seen.seen(time), recorded)


def fast_slot(record: Source, memory: str, time: int, slot: int, batch: int = 0, head: int = 0) -> FastLineage:
    """Why a row of the fast weights holds what it holds after a time; arguments and errors as in `explain_slot`."""
    time = check_place("time", time, record.lengths[memory])
    seen = fast_view(record, memory, head, batch, time + 1)
    query = np.zeros(seen.queries.shape[1])
    query[check_place("row", slot, len(query))] = 1.0
    return _resolved(seen, memory, time, -1, batch, query, time + 1, None)


def _resolved(
    seen: FastMemory, memory: str, time: int, head: int, batch: int, query: Array, stop: int, recorded: Array | None
) -> FastLineage:
    with np.errstate(invalid="ignore", over="ignore"):
        left, strength, stored = delta_strengths(seen.update, query[None], np.array([stop]), by_slot=True)
        tokens = np.zeros((time + 1, seen.initial.shape[1]))
        tokens[:stop] = strength[0][:, None] * seen.update.write_vectors[:stop]
        contributions = np.concatenate([left @ seen.initial, tokens])
        total = contributions.sum(axis=0)
        square = float(total @ total)
        by_slot = np.full((time + 2, len(query)), np.nan if not square or not np.isfinite(square) else 0.0)
        if square and np.isfinite(square):
            by_slot[0] = left[0] * (seen.initial @ total) / square
            by_slot[1 : stop + 1] = stored[0] * (seen.update.write_vectors[:stop] @ total / square)[:, None]
    return FastLineage(memory, time, head, batch, contributions, tokens[:, None], recorded, query, seen, stop, by_slot)


def fast_table(record: Source, memory: str, batch: int = 0) -> LineageTable:
    """Every read of every head by token, as `lineage_table`."""
    heads, times = fast_heads(record, memory), record.lengths[memory]
    shares, norms = np.zeros((2, times, heads, times + 1))
    lengths = np.zeros((times, heads))
    for head in range(heads):
        seen = fast_view(record, memory, head, batch)
        stops = np.array([seen.seen(time) for time in range(times)])
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            left, strength, _ = delta_strengths(seen.update, seen.queries, stops, by_slot=False)
            first, values = left @ seen.initial, seen.update.write_vectors[: strength.shape[1]]
            total = first + strength @ values
            squares = (total * total).sum(axis=1)
            count = strength.shape[1] + 1
            shares[:, head, 0] = (first * total).sum(axis=1) / squares
            shares[:, head, 1:count] = strength * (total @ values.T) / squares[:, None]
            norms[:, head, 0] = np.linalg.norm(first, axis=1)
            norms[:, head, 1:count] = np.abs(strength) * np.linalg.norm(values, axis=1)
            lengths[:, head] = np.sqrt(squares)
    shares[lengths == 0] = np.nan
    return LineageTable(memory, batch, shares, norms, lengths)
