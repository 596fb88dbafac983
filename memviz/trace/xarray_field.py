"""One field of all records as an array that xarray indexes before anything is read.

It can be pickled: another process gets the path of the trace and the ids of the records, and opens the trace itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from xarray.backends import BackendArray
from xarray.core import indexing

from memviz.trace import dtypes
from memviz.trace.contents import Snapshot
from memviz.trace.record import Record
from memviz.trace.reference import TraceReference
from memviz.trace.schema import FieldSchema

if TYPE_CHECKING:
    from memviz.trace.reader import Trace


class FieldArray(BackendArray):  # type: ignore[misc]
    """A field, [record, ...] padded to the largest shape.

    Args:
        trace: where it is.
        snapshot: its records.
        full: full name of the field.
        schema: what is declared of it.
        extent: largest shape over the records.
        filled: whether something is missing somewhere, so that NaN must be possible.
    """

    def __init__(
        self,
        trace: Trace,
        snapshot: Snapshot,
        full: str,
        schema: FieldSchema,
        extent: tuple[int, ...],
        filled: bool,
    ) -> None:
        stored = dtypes.numpy_dtype(schema.dtype)
        if schema.dtype == dtypes.BFLOAT16:
            stored = np.dtype(np.float32)  # holds every bfloat16 exactly, and xarray can compute with it
        self.shape = (len(snapshot.ids), *extent)
        self.dtype = np.dtype(np.float64) if filled and stored.kind in "biu" else stored
        self._full = full
        self._ids = snapshot.ids
        self._reference = TraceReference.of(trace)
        self._here: tuple[Trace, Snapshot] | None = (trace, snapshot)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_here": None}

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        # Equal tokens share a chunk: the ids say which records there were.
        return (type(self).__name__, self._reference, self._full, self.shape, self.dtype.str, self._ids)

    def __getitem__(self, key: Any) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, key: tuple[Any, ...]) -> np.ndarray:
        positions = np.arange(self.shape[0])[key[0]]
        rows = [self._values(int(position), key[1:]) for position in np.atleast_1d(positions)]
        if not rows:
            return np.empty((0, *_outer(np.empty(self.shape[1:], self.dtype), key[1:]).shape), self.dtype)
        return np.stack(rows) if np.ndim(positions) else rows[0]

    def _values(self, position: int, key: tuple[Any, ...]) -> np.ndarray:
        record = self._record(position)
        padded = np.full(self.shape[1:], np.nan if self.dtype.kind == "f" else 0, self.dtype)
        if self._full in record:
            values = record.read(self._full)
            padded[tuple(map(slice, values.shape))] = values
        return _outer(padded, key)

    def _record(self, position: int) -> Record:
        if self._here is None:
            return self._reference.record(int(self._ids[position]))
        trace, snapshot = self._here
        return trace.record_at(snapshot, position)


def _outer(values: np.ndarray, key: tuple[Any, ...]) -> np.ndarray:
    """Index each axis on its own, the last one first so that the others keep their places."""
    for axis in reversed(range(len(key))):
        values = values[(slice(None),) * axis + (key[axis],)]
    return values
