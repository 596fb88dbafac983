"""Reading sealed segments: an index that lists the records at once, and tensorstore for their values.

The index of a segment is the zarr group `_index`; its attributes say, for each record, what the coordinates say, and
for each field dtype, axes and padded shape. Opening a segment reads that one small file and nothing else.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from memviz.errors import SchemaError, TraceCorrupt
from memviz.trace import caps, dtypes, zarr3
from memviz.trace.caps import corrupt
from memviz.trace.files import read_json
from memviz.trace.layout import INDEX, check_memory_name
from memviz.trace.recent import Recent
from memviz.trace.schema import Json

_CACHE_BYTES = 64 * 2**20
"""Decompressed chunks that all traces of a process keep together."""

ZARR_JSON = "zarr.json"


@dataclass(frozen=True, slots=True)
class SealedField:
    """One field of a segment; `shape` leaves the record axis out and has the padded length of time."""

    dtype: str
    axes: tuple[str, ...]
    shape: tuple[int, ...]

    @property
    def timed(self) -> bool:
        """Whether the field has a time axis, and so is padded where a record is shorter."""
        return self.axes[:1] == ("time",)


@dataclass(frozen=True, slots=True)
class Segment:
    """The index of one sealed segment, its claims checked.

    `ids`, `steps`, `forwards` are int64 [record], `walls` float64 [record] in seconds since the epoch. `lengths` maps
    a memory to the number of times of each record; `fields` is keyed by full names.
    """

    path: Path
    ids: np.ndarray
    steps: np.ndarray
    forwards: np.ndarray
    walls: np.ndarray
    batches: tuple[tuple[int, ...], ...]
    lengths: Mapping[str, np.ndarray]
    fields: Mapping[str, SealedField]
    memories: Mapping[str, str]
    """The memory of each field, by full name."""

    def shape(self, name: str, row: int) -> tuple[int, ...]:
        """The real shape of a field in one record."""
        field = self.fields[name]
        if not field.timed:
            return field.shape
        return (int(self.lengths[self.memories[name]][row]), *field.shape[1:])

    def labels(self) -> dict[str, dict[str, Json]]:
        """The labels of all records that have any, by record id in decimal.

        Raises:
            TraceCorrupt: the attributes of the segment are damaged.
        """
        path = self.path / ZARR_JSON
        try:
            labels = read_json(path, caps.MAX_SEGMENT_JSON).get("attributes", {}).get("labels", {})
        except (OSError, AttributeError) as error:
            if isinstance(error, TraceCorrupt):
                raise
            raise corrupt(str(path), f"cannot be read ({error})") from None
        if not isinstance(labels, dict) or not all(isinstance(label, dict) for label in labels.values()):
            raise corrupt(str(path), "holds no sound labels")
        return labels


@dataclass(frozen=True, slots=True)
class SealedRecord:
    """One record of a segment: where a Record finds its values. `handles` are the arrays open in its trace."""

    segment: Segment
    row: int
    handles: Recent[str, Any]

    def read(self, name: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """The values of a field, or positions `start` to `stop` of its first axis, without padding.

        Raises:
            TraceCorrupt: the values are damaged or missing.
        """
        shape = self.segment.shape(name, self.row)
        if shape:
            stop = shape[0] if stop is None else stop
            shape = (stop - start, *shape[1:])
        if 0 in shape:
            return np.empty(shape, dtypes.numpy_dtype(self.segment.fields[name].dtype))
        array = self.handles.get(f"{self.segment.path.name}/{name}", lambda: open_array(self.segment, name))
        return fetch(self.segment, name, array[self.row, start:stop] if shape else array[self.row])


def read_segment(path: Path) -> Segment:
    """Open a segment: read its index and check all it claims.

    Raises:
        FileNotFoundError: there is no such segment (any more).
        TraceCorrupt: its index is missing or damaged.
    """
    where = str(path / INDEX / ZARR_JSON)
    if path.is_symlink() or (path / INDEX).is_symlink():
        raise corrupt(str(path), "is a symbolic link; a trace only holds plain folders")
    try:
        index = read_json(path / INDEX / ZARR_JSON, caps.MAX_SEGMENT_JSON)["attributes"]
        return _checked(path, index, where)
    except (FileNotFoundError, NotADirectoryError):
        if path.is_dir():
            raise corrupt(str(path), "has no index") from None
        raise FileNotFoundError(f"{path} is gone") from None
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, SchemaError) as error:
        raise corrupt(where, f"is not the index of a segment ({error!r:.200})") from None


def _checked(path: Path, index: Mapping[str, Any], where: str) -> Segment:
    count = len(index["records"])
    if not 1 <= count <= caps.MAX_SEGMENT_RECORDS:
        raise corrupt(where, f"claims {count} records")
    ids, steps, forwards = (_integers(index[key], count) for key in ("records", "steps", "forwards"))
    if ids[0] < 0 or (np.diff(ids) <= 0).any():
        raise corrupt(where, "lists its records out of order")
    walls = np.array([float(wall) for wall in index["walls"]], np.float64)
    batches = tuple(tuple(int(item) for item in batch) for batch in index["batches"])
    if len(walls) != count or len(batches) != count:
        raise corrupt(where, f"lists {len(walls)} walls and {len(batches)} batches for {count} records")
    lengths = {str(memory): _integers(values, count) for memory, values in index["lengths"].items()}
    fields: dict[str, SealedField] = {}
    memories: dict[str, str] = {}
    for memory, members in index["fields"].items():
        check_memory_name(memory)
        for name, claim in members.items():
            full = f"{memory}/{name}"
            fields[full] = _checked_field(full, claim, lengths.get(memory), where)
            memories[full] = memory
    if len(fields) > caps.MAX_NAMES:
        raise corrupt(where, f"claims {len(fields)} fields")
    return Segment(path, ids, steps, forwards, walls, batches, lengths, fields, memories)


def _checked_field(name: str, claim: Mapping[str, Any], lengths: np.ndarray | None, where: str) -> SealedField:
    if any(part in ("", ".", "..") for part in name.split("/")) or "\\" in name or "\0" in name:
        raise corrupt(where, f"lists a field {name!r:.80} outside the segment")
    dtype = str(claim["dtype"])
    shape = caps.check_shape(claim["shape"], dtypes.numpy_dtype(dtype).itemsize, f"{where} field {name}")
    field = SealedField(dtype, tuple(str(axis) for axis in claim["axes"]), shape)
    if len(field.axes) != len(shape):
        raise corrupt(where, f"gives field {name} {len(shape)} lengths for axes {field.axes}")
    if field.timed and (lengths is None or (lengths < 0).any() or (lengths > shape[0]).any()):
        raise corrupt(where, f"gives field {name} lengths beyond its {shape[0]} times")
    return field


def _integers(values: Any, count: int) -> np.ndarray:
    array = np.array([int(value) for value in values], np.int64)
    if len(array) != count:
        raise ValueError(f"{len(array)} values for {count} records")
    return array


def open_array(segment: Segment, name: str) -> Any:
    """The tensorstore of a field `[record, *axes]`, opened after its metadata was checked.

    Raises:
        TraceCorrupt: the metadata is damaged, or a part of the array is a link out of the trace.
    """
    import tensorstore as ts

    field = segment.fields[name]
    folder = segment.path
    for part in name.split("/"):
        folder = folder / part
        if folder.is_symlink():
            raise corrupt(str(folder), "is a symbolic link; a trace only holds plain folders")
    try:
        _check_plain(folder)
        found = read_json(folder / ZARR_JSON, caps.MAX_SEGMENT_JSON)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise corrupt(str(folder), f"is incomplete ({error})") from None
    shape = (len(segment.ids), *field.shape)
    metadata = zarr3.checked_metadata(found, shape, field.dtype, str(folder / ZARR_JSON))
    spec = {
        "driver": "zarr3",
        "kvstore": {"driver": "file", "path": f"{folder}/"},
        "metadata": metadata,
        "fill_missing_data_reads": False,
        "recheck_cached_data": "open",
    }
    try:
        return ts.open(spec, open=True, assume_metadata=True, context=_context()).result()
    except Exception as error:  # tensorstore raises ValueError for anything it does not like
        raise corrupt(str(folder), f"cannot be opened ({error!s:.200})") from None


def fetch(segment: Segment, name: str, view: Any) -> np.ndarray:
    """The values of a tensorstore view of a field, in the dtype that was recorded.

    Raises:
        TraceCorrupt: the values are damaged or missing.
    """
    try:
        values: np.ndarray = view.read().result()
    except Exception as error:  # DATA_LOSS and NOT_FOUND arrive as ValueError
        raise corrupt(str(segment.path / name), f"holds damaged values ({error!s:.300})") from None
    return dtypes.narrow(values) if segment.fields[name].dtype == dtypes.BFLOAT16 else values


@functools.lru_cache(maxsize=1)
def _context() -> Any:
    import tensorstore as ts

    return ts.Context({"cache_pool": {"total_bytes_limit": _CACHE_BYTES}, "data_copy_concurrency": {"limit": 4}})


def _check_plain(folder: Path) -> None:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink():
                raise corrupt(entry.path, "is a symbolic link; a trace only holds plain files")
            if entry.is_dir(follow_symlinks=False):
                _check_plain(Path(entry.path))
            elif not entry.is_file(follow_symlinks=False):
                raise corrupt(entry.path, "is not a plain file")
