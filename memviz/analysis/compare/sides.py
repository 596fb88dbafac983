"""What stands on one side of a comparison: one item of a record, or what the update law makes of it.

found = memviz.compare(OneItem(record, 0), OneItem(record, 2))      # two items of one batch
side = OneItem(record, 0)
found = memviz.compare(side, ByLaw(side), align_by="none")         # a recorded model against the equations
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memviz.analysis.generators import Source
from memviz.analysis.replay import derivable, derive
from memviz.errors import FieldError, PlaceError
from memviz.fields import MODEL, bare_name, memory_of
from memviz.trace.reader import Record
from memviz.trace.schema import MemorySchema


class OneItem:
    """One batch item of a record, as a record whose batch axis has length 1.

    Args:
        record: the record.
        item: position among its recorded items.
        memory: leave out the other memories; the model's own input, target and output stay.
        most: leave out fields that hold more numbers than this over all items (`left_out` names them).
        reading: called with the full name of a field before it is read; may raise to end the work.

    Raises:
        PlaceError: there is no such item.
    """

    def __init__(
        self,
        record: Record,
        item: int,
        memory: str | None = None,
        *,
        most: int | None = None,
        reading: Callable[[str], None] = lambda name: None,
    ) -> None:
        if not 0 <= item < max(1, len(record.batch)):
            raise PlaceError(f"the record holds {len(record.batch)} items, and there is no item {item} among them")
        self._record = record
        self._item = item
        self._reading = reading
        self.step = record.step
        self.labels = record.labels
        self.memories: Mapping[str, MemorySchema] = {
            name: schema for name, schema in record.memories.items() if memory in (None, name) or name == MODEL
        }
        self.lengths: Mapping[str, int] = {name: record.lengths[name] for name in self.memories}
        known = [name for name in record.fields if memory_of(name) in self.memories]
        self.left_out = tuple(name for name in known if most is not None and _count(record, name) > most)
        self.fields: Collection[str] = tuple(name for name in known if name not in self.left_out)
        self.stored: Collection[str] = tuple(name for name in record.stored if name in set(self.fields))

    def keeping(self, names: Collection[str]) -> OneItem:
        """The same side with only these fields, those of them that it has."""
        few = copy(self)
        few.fields = tuple(name for name in self.fields if name in names)
        few.stored = tuple(name for name in self.stored if name in names)
        return few

    def read(self, name: str, time: slice | None = None) -> NDArray[Any]:
        """Values of a field for the one item, or of a part of its time axis; a batch axis stays, with length 1.

        Raises:
            FieldError: there is no such field here.
        """
        if name not in self.fields:
            raise FieldError(f"there is no field {name!r} on this side; there are {', '.join(self.fields)}")
        self._reading(name)
        axes = self._record.schema(name).axes
        values = np.asarray(self._record.read(name) if time is None else self._record.read(name, time=time))
        if "batch" not in axes:
            return values
        axis = axes.index("batch")
        # A field of length 1 holds for all items, as an initial state may.
        item = self._item if values.shape[axis] > 1 else 0
        return np.asarray(np.take(values, [item], axis=axis))


class ByLaw:
    """A record whose state is computed by the update law of its memory instead of being read: what should be there.

    Each field that was recorded although it follows from others is computed from them in numpy, whatever computed it
    when it was recorded. What follows from nothing is as recorded. Slots have their own numbers: align by "none".

    Args:
        record: the recorded side.

    Attributes:
        computed: full names of the fields that are computed.

    Raises:
        FieldError: nothing that was recorded follows from something else that was recorded.
    """

    def __init__(self, record: Source) -> None:
        self._record = record
        self.memories = record.memories
        self.lengths = record.lengths
        self.stored: Collection[str] = tuple(record.stored)
        self.fields: Collection[str] = tuple(record.stored)
        self.computed: Collection[str] = frozenset(
            full
            for full in record.stored
            if (memory := memory_of(full)) != MODEL
            and bare_name(full) in derivable(record.memories[memory], _stored(record, memory) - {bare_name(full)})
        )
        if not self.computed:
            raise FieldError(
                "nothing that was recorded follows from other recorded fields, so there is nothing to hold against the "
                'update law; record with fields="all"'
            )

    def read(self, name: str, time: slice | None = None) -> NDArray[Any]:
        """Values of a field, computed where they follow from others.

        Raises:
            FieldError: it was not recorded.
        """
        if name in self.computed:
            return np.asarray(derive(self._record, memory_of(name), bare_name(name), time))
        return self._record.read(name, time)


def _stored(record: Source, memory: str) -> set[str]:
    return {bare_name(name) for name in record.stored if memory_of(name) == memory}


def _count(record: Record, name: str) -> int:
    return int(np.prod(record.shape(name), dtype=np.int64))
