"""One memory of one record, as lineage needs it: its update, its initial state and its reads, for one batch item."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from memviz.analysis.rules import FAST_LAWS, LAWS, SPARSE_LAWS
from memviz.analysis.sparse import DENSE_SLOTS, one_hot
from memviz.analysis.updates import EraseAdd, sparse_access
from memviz.errors import FieldError, PlaceError
from memviz.trace.schema import MemorySchema

Array = NDArray[np.float64]

_NEEDED = ("write_weights", "erase_vectors", "write_vectors", "read_weights")


class Source(Protocol):
    """What is asked of a record; `memviz.trace.reader.Record` has it."""

    @property
    def stored(self) -> Collection[str]:
        """Full names of the stored fields."""
        ...

    @property
    def fields(self) -> Collection[str]:
        """Full names of the stored fields and of those that can be derived."""
        ...

    @property
    def memories(self) -> Mapping[str, MemorySchema]:
        """Schema of each memory."""
        ...

    @property
    def lengths(self) -> Mapping[str, int]:
        """Number of times of each memory."""
        ...

    def read(self, name: str, time: slice | None = None) -> NDArray[Any]:
        """Values of a field, for a part of its time axis."""
        ...


@dataclass(frozen=True)
class LoadedMemory:
    """One memory of a record seen through one batch item, up to some time.

    Attributes:
        record: where it comes from.
        name: the memory.
        batch: position among the recorded batch items.
        times: how many times are loaded.
        update: the law with its generators, for these times.
        initial: [slot, word], the memory before the first time.
        read_weights: [time, read_head, slot].
        schema: the memory's schema; its attributes say where it departs from its law.
    """

    record: Source
    name: str
    batch: int
    times: int
    update: EraseAdd
    initial: Array
    read_weights: Array
    schema: MemorySchema

    def steps_seen(self, time: int, read_head: int) -> int:
        """How many write steps a read sees: all of its time, none of them, or those of the heads before it."""
        per_time = self.update.steps_per_time
        order = self.schema.attributes.get("read_order", "after_write")
        if order == "before_write":
            return time * per_time
        if isinstance(order, list | tuple):
            return time * per_time + int(order[read_head])
        return (time + 1) * per_time

    def has(self, field: str) -> bool:
        """Whether a field of this memory can be read, stored or derived."""
        return f"{self.name}/{field}" in self.record.fields

    def values(self, field: str) -> Array:
        """A field of this batch item up to `times`, without the batch axis, in float64."""
        return item(self.record.read(f"{self.name}/{field}", slice(0, self.times)), self.batch)

    def recorded_read(self, time: int, read_head: int) -> Array | None:
        """The read vector as the model computed it, [word], where it was stored."""
        name = f"{self.name}/read_vectors"
        if name not in self.record.stored:
            return None
        return np.asarray(item(self.record.read(name, slice(time, time + 1)), self.batch)[0, read_head])


def view(record: Source, memory: str | None = None, batch: int = 0, times: int | None = None) -> LoadedMemory:
    """Load the generators of one memory.

    Args:
        record: the record.
        memory: its name; the only one with a known law by default.
        batch: position among the recorded batch items.
        times: how many times to load; all by default.

    Raises:
        FieldError: there are several such memories, the law of the memory is unknown, or a generator was not recorded.
        PlaceError: there is no such batch item.
    """
    name = choose(record, memory)
    schema = record.memories[name]
    if schema.law not in LAWS:
        raise FieldError(
            f"lineage of memory {name!r} needs its update law, and "
            + (f"{schema.law!r} is none of {', '.join(LAWS)}." if schema.law else "its adapter names none.")
        )
    if schema.law in FAST_LAWS:
        raise FieldError(f"memory {name!r} is a matrix of fast weights per head: slots are not erased and written.")
    if schema.law in SPARSE_LAWS:
        return _sparse_view(record, schema, batch, times)
    freeing = bool(schema.attributes.get("deallocation"))
    missing = [f for f in (*_NEEDED, *(["free_gates"] if freeing else [])) if f"{name}/{f}" not in record.fields]
    if missing:
        raise FieldError(
            f"lineage of memory {name!r} needs {', '.join(missing)}, which {'was' if len(missing) == 1 else 'were'} "
            "not recorded; record with fields='default' or 'all'."
        )
    times = record.lengths[name] if times is None else times
    values = {field: record.read(f"{name}/{field}", slice(0, times)) for field in _NEEDED}
    items = values["read_weights"].shape[1]
    check_place("batch item", batch, items)
    weights, erase, vectors, reads = (item(values[field], batch) for field in _NEEDED)
    slots, words = weights.shape[-1], vectors.shape[-1]
    retention = None
    if freeing:
        gates = item(record.read(f"{name}/free_gates", slice(0, times)), batch)
        earlier = np.concatenate([initial(record, name, "read_weights", batch, reads.shape[1:])[None], reads[:-1]])
        retention = np.prod(1 - gates[:, :, None] * earlier, axis=1)
    if schema.attributes.get("write_order") == "last":
        # What the other heads meant to write is lost.
        weights[:, :-1] = 0
    update = EraseAdd.of(
        weights, vectors, erase, retention=retention, series=schema.attributes.get("write_order") == "series"
    )
    return LoadedMemory(
        record, name, batch, times, update, initial(record, name, "memory", batch, (slots, words)), reads, schema
    )


def _sparse_view(record: Source, schema: MemorySchema, batch: int, times: int | None) -> LoadedMemory:
    """A SAM or SDNC, which clears the least recently used slot whole and adds to several."""
    name = schema.name
    needed = ("write_weights", "write_vectors", "least_used", "read_weights")
    missing = [field for field in needed if f"{name}/{field}" not in record.fields]
    if missing:
        raise FieldError(
            f"lineage of memory {name!r} needs {', '.join(missing)}, which cannot be had: record with fields='default' "
            f"or 'all', of a memory of at most {DENSE_SLOTS} slots."
        )
    times = record.lengths[name] if times is None else times
    values = [record.read(f"{name}/{field}", slice(0, times)) for field in needed]
    check_place("batch item", batch, values[0].shape[1])
    weights, vectors, least_used, reads = (item(one, batch) for one in values)
    slots, words = weights.shape[-1], vectors.shape[-1]
    update = sparse_access(weights, vectors, one_hot(least_used, slots))
    return LoadedMemory(
        record, name, batch, times, update, initial(record, name, "memory", batch, (slots, words)), reads, schema
    )


def choose(record: Source, memory: str | None) -> str:
    """The memory that is meant: the one named, or the only one that has read weights.

    Raises:
        FieldError: there is none, or there are several and none was named.
    """
    if memory is not None:
        if memory not in record.memories:
            raise FieldError(f"the record has no memory {memory!r}; it has {_list(record.memories)}.")
        return memory
    reads = ("read_weights", "fast_queries")
    found = [name for name in record.memories if any(f"{name}/{field}" in record.fields for field in reads)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise FieldError(f"no memory of this record has read_weights or fast_queries; it has {_list(record.memories)}.")
    raise FieldError(f"several memories are read: choose memory= one of {_list(found)}.")


def initial(record: Source, memory: str, field: str, batch: int, shape: tuple[int, ...]) -> Array:
    """A state field before the first time, for one batch item; zero where it was not recorded."""
    name = f"{memory}/initial/{field}"
    if name not in record.stored:
        return np.zeros(shape)
    values = np.asarray(record.read(name)).astype(np.float64)
    return np.array(np.broadcast_to(values[batch if len(values) > 1 else 0], shape))


def item(values: NDArray[Any], batch: int) -> Array:
    """One batch item of a field with axes [time, batch, ...], in float64."""
    return np.ascontiguousarray(np.asarray(values)[:, batch].astype(np.float64))


def check_place(what: str, index: int, count: int) -> int:
    """The index counted from the front.

    Raises:
        PlaceError: it is not one of `count`.
    """
    if not -count <= index < count:
        raise PlaceError(f"there is no {what} {index}: the record has {what}s 0 to {count - 1}.")
    return index % count


def _list(names: Collection[str]) -> str:
    return ", ".join(map(repr, names)) or "none"
