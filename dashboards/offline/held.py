"""A record whose fields are read once: hundreds of answers about it ask for the same few fields again and again."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from memviz.trace.reader import Record

MOST_BYTES = 64 * 2**20
"""Bytes of fields that are held; beyond that, reading goes to the trace as usual."""


class HeldRecord(Record):
    """The same record, holding whole fields that were read.

    Args:
        record: the record; it is not changed.
    """

    def __init__(self, record: Record) -> None:
        self.__dict__.update(record.__dict__)
        self._held: dict[str, NDArray[Any]] = {}

    def read(self, name: str, time: slice | int | None = None) -> NDArray[Any]:
        """See `Record.read`; the values are a copy, as they are there."""
        if time is not None:
            return super().read(name, time)
        full = self.full_name(name)
        if full not in self._held:
            values = super().read(full)
            if values.nbytes + sum(array.nbytes for array in self._held.values()) > MOST_BYTES:
                return values
            self._held[full] = values
        return np.array(self._held[full])
