"""A record made of arrays, for values that never were in a trace: a reference implementation, a notebook, a test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memviz.analysis.replay import derivable, derive
from memviz.errors import FieldError
from memviz.fields import FINAL_PREFIX, INITIAL_PREFIX, lookup
from memviz.trace.schema import FieldSchema, MemorySchema


class ArrayRecord:
    """One memory, held in memory, that analysis takes like a record of a trace.

    Values keep their precision: lineage of float64 arrays is exact to float64.

    Args:
        fields: arrays by bare name, with the axes of the catalogue.
        memory: name of the memory.
        law: its update law, as in MemorySchema.
        attributes: where it departs from that law, as in `memviz.analysis.rules`.
        step: training step that the values belong to.
        labels: what a record's labels would say.
    """

    def __init__(
        self,
        fields: Mapping[str, NDArray[Any]],
        memory: str = "memory",
        law: str = "dnc",
        attributes: Mapping[str, Any] | None = None,
        *,
        step: int = 0,
        labels: Mapping[str, Any] | None = None,
    ) -> None:
        self._values = {f"{memory}/{name}": np.asarray(values) for name, values in fields.items()}
        specs = {}
        for name, values in fields.items():
            field = lookup(name)
            axes = field.axes if field else tuple(f"axis_{axis}" for axis in range(np.ndim(values)))
            specs[name] = FieldSchema(name, axes, str(np.asarray(values).dtype))
        self.memories = {memory: MemorySchema(memory, law, specs, dict(attributes or {}))}
        times = {len(values) for name, values in fields.items() if not name.startswith((INITIAL_PREFIX, FINAL_PREFIX))}
        if len(times) != 1:
            raise FieldError(f"fields of one memory have one number of times, got {sorted(times)}")
        self.lengths = {memory: times.pop()}
        self.step = step
        self.labels = dict(labels or {})
        self._derived = tuple(f"{memory}/{name}" for name in sorted(derivable(self.memories[memory], list(fields))))

    @property
    def stored(self) -> tuple[str, ...]:
        """Full names of the given fields."""
        return tuple(self._values)

    @property
    def fields(self) -> tuple[str, ...]:
        """Full names of the given fields and of those that can be derived from them."""
        return (*self._values, *self._derived)

    def read(self, name: str, time: slice | None = None) -> NDArray[Any]:
        """The values of a field by full name, or of a part of its time axis.

        Raises:
            FieldError: it was neither given nor can be derived.
        """
        if name in self._values:
            values = self._values[name]
            return np.asarray(values if time is None else values[time])
        memory, _, field = name.rpartition("/")
        if memory not in self.memories:
            raise FieldError(f"there is no field {name!r}; there are {', '.join(self.fields)}")
        return derive(self, memory, field, time)
