"""Live files: one record each, in the safetensors format, so that every torch user can open one.

The format (https://github.com/huggingface/safetensors#format): eight bytes with the length of the header, a JSON
header, the values of all arrays one after another. It is written and read here rather than through the library, so
that a write goes out in one system call without a copy, a part of a field is read without the rest, and every claim
of the header is checked against the caps and the size of the file first.
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from memviz.trace import caps, dtypes
from memviz.trace.caps import corrupt
from memviz.trace.files import open_regular, parse_json, read_exact, write_atomic
from memviz.trace.jsonl import encode
from memviz.trace.layout import live_name
from memviz.trace.schema import FORMAT_VERSION, RecordData

_ALIGN = 8
_compact = json.JSONEncoder(separators=(",", ":")).encode
_INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class Tensor:
    """Where one array lies in a live file: its values are the bytes `start` to `stop`."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class LiveRecord:
    """The header of one live file, its claims checked. `tensors` is keyed by full names."""

    path: Path
    id: int
    step: int
    forward: int
    wall: float
    nbytes: int
    batch: tuple[int, ...]
    labels_json: str
    tensors: Mapping[str, Tensor]

    def read(self, name: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """The values of a field, or positions `start` to `stop` of its first axis.

        Raises:
            FileNotFoundError: the file has been sealed since.
            TraceCorrupt: the file is shorter than it was.
        """
        tensor = self.tensors[name]
        dtype = dtypes.numpy_dtype(tensor.dtype)
        shape, offset = tensor.shape, tensor.start
        if shape and (start, stop) != (0, None):
            stop = shape[0] if stop is None else stop
            offset += start * dtype.itemsize * math.prod(shape[1:])
            shape = (stop - start, *shape[1:])
        fd = open_regular(self.path)
        try:
            data = read_exact(fd, math.prod(shape) * dtype.itemsize, offset, str(self.path))
        finally:
            os.close(fd)
        return np.frombuffer(data, dtype.newbyteorder("<")).astype(dtype, copy=False).reshape(shape)

    def labels(self) -> dict[str, Any]:
        """What the user said about this record."""
        return parse_json(self.labels_json, f"{self.path} labels")


Signature: TypeAlias = tuple[tuple[str, np.dtype, tuple[int, ...]], ...]
"""Names, dtypes and shapes of the fields of a record: records with the same one have the same header."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What the live files of all records with one signature share.

    `order` is the order of the arrays in the file, `entries` their part of the JSON header, `nbytes` their size.
    """

    order: tuple[str, ...]
    entries: str
    nbytes: int


def signature_of(fields: Mapping[str, np.ndarray]) -> Signature:
    """The signature of the fields of a record; something that is no array fails with AttributeError."""
    return tuple((name, array.dtype, array.shape) for name, array in fields.items())


def frame_of(fields: Mapping[str, np.ndarray]) -> Frame:
    """The frame for these fields.

    Raises:
        SchemaError: a dtype cannot be stored.
    """
    # Largest items first keeps every array aligned to its item size, as the library does.
    order = sorted(fields, key=lambda name: (-fields[name].dtype.itemsize, name))
    entries: dict[str, Any] = {}
    end = 0
    for name in order:
        array = fields[name]
        start, end = end, end + array.nbytes
        code = dtypes.SAFETENSORS[dtypes.dtype_name(array)]
        entries[name] = {"dtype": code, "shape": list(array.shape), "data_offsets": [start, end]}
    return Frame(tuple(order), _compact(entries)[1:-1], end)


def encode_record(data: RecordData, frame: Frame | None = None) -> tuple[list[bytes | memoryview], int]:
    """The bytes of a live file, in pieces, and their number; `frame` is made when it is not given.

    Raises:
        SchemaError: the labels cannot be written as JSON, or a dtype cannot be stored.
    """
    frame = frame or frame_of(data.fields)
    metadata = {
        "memviz_format": str(FORMAT_VERSION),
        "step": str(int(data.step)),
        "forward": str(int(data.forward)),
        "wall": repr(float(data.wall)),
        "batch": str([int(item) for item in data.batch]),
        "labels": encode(data.labels).decode() if data.labels else "{}",
    }
    opening = '{"__metadata__":' + _compact(metadata)
    text = (f"{opening},{frame.entries}}}" if frame.entries else f"{opening}}}").encode()
    text += b" " * (-len(text) % _ALIGN)
    pieces: list[bytes | memoryview] = [struct.pack("<Q", len(text)), text]
    pieces += [dtypes.as_bytes(data.fields[name]) for name in frame.order]
    return pieces, 8 + len(text) + frame.nbytes


def write_live(folder: Path, record: int, pieces: list[bytes | memoryview]) -> int:
    """Commit the bytes of encode_record as the live file of a record; returns their number."""
    return write_atomic(f"{folder}/{live_name(record)}", pieces)


def read_live(folder: Path, record: int) -> LiveRecord:
    """Open a live file: read its header and check all it claims.

    Raises:
        FileNotFoundError: there is no such file (any more).
        TraceCorrupt: the file is not a whole, sound live record.
    """
    path = folder / live_name(record)
    fd = open_regular(path)
    try:
        size = os.fstat(fd).st_size
        if size < 8:
            raise corrupt(str(path), f"holds {size} bytes, less than the header of a record")
        (length,) = struct.unpack("<Q", read_exact(fd, 8, 0, str(path)))
        if length > min(caps.MAX_LIVE_HEADER, size - 8):
            raise corrupt(str(path), f"claims a header of {length} bytes in a file of {size}")
        header = parse_json(read_exact(fd, length, 8, str(path)), str(path))
    finally:
        os.close(fd)
    return _checked(path, record, header, 8 + length, size)


def _checked(path: Path, record: int, header: dict[str, Any], begin: int, size: int) -> LiveRecord:
    metadata = header.pop("__metadata__", None)
    try:
        step, forward = int(metadata["step"]), int(metadata["forward"])
        wall = float(metadata["wall"])
        batch = tuple(int(item) for item in json.loads(metadata["batch"]))
        labels = str(metadata["labels"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise corrupt(str(path), f"lacks sound metadata ({error!r:.120})") from None
    if step not in _INT64 or forward not in _INT64:
        raise corrupt(str(path), f"claims step {step!r:.40}, forward {forward!r:.40}")
    if len(header) > caps.MAX_NAMES:
        raise corrupt(str(path), f"claims {len(header)} fields")
    tensors: dict[str, Tensor] = {}
    total = begin
    for name, claim in header.items():
        tensors[name] = tensor = _checked_tensor(path, name, claim, begin, size)
        total += tensor.stop - tensor.start
    if total != size:
        raise corrupt(str(path), f"holds {size} bytes; its header accounts for {total}")
    return LiveRecord(path, record, step, forward, wall, size, batch, labels, tensors)


def _checked_tensor(path: Path, name: str, claim: Any, begin: int, size: int) -> Tensor:
    where = f"{path} field {name!r:.80}"
    try:
        dtype = dtypes.FROM_SAFETENSORS[claim["dtype"]]
        start, stop = claim["data_offsets"]
        shape = claim["shape"]
        if not all(type(value) is int for value in (start, stop)) or not isinstance(shape, list):
            raise TypeError("offsets and shape must be whole numbers")
    except (KeyError, TypeError, ValueError) as error:
        raise corrupt(where, f"has an unreadable entry in the header ({error!r:.120})") from None
    itemsize = dtypes.numpy_dtype(dtype).itemsize
    lengths = caps.check_shape(shape, itemsize, where)
    if not 0 <= start <= stop <= size - begin or stop - start != math.prod(lengths) * itemsize:
        raise corrupt(where, f"claims bytes {start} to {stop} of {size - begin} for shape {lengths} of {dtype}")
    return Tensor(dtype, lengths, begin + start, begin + stop)
