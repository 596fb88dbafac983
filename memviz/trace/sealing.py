"""Sealing: live records become a zarr v3 segment, committed by renaming its folder.

A segment holds up to `seal_every` records of one layout: the same fields with the same dtypes and shapes, time left
aside. Where layouts alternate, their segments interleave; each lists its own records.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from memviz.errors import TraceCorrupt
from memviz.fields import FINAL_PREFIX, INITIAL_PREFIX, bare_name, lookup, memory_of
from memviz.trace import dtypes, layout, zarr3
from memviz.trace.files import listing, tree_bytes, write_atomic
from memviz.trace.jsonl import encode, plain
from memviz.trace.live import LiveRecord, read_live
from memviz.trace.schema import FORMAT_VERSION, FieldSchema, Json, TraceHeader
from memviz.trace.segments import ZARR_JSON, SealedField, read_segment

_IN_FLIGHT = 24 * 2**20
"""Bytes handed to tensorstore before waiting for it."""

_BOUNDARY = (INITIAL_PREFIX, FINAL_PREFIX)
_LONG_NAMES = {
    "record": "record id",
    "step": "training step",
    "forward": "forward pass of the recorder",
    "wall": "seconds since the epoch",
    "length": "real length of the time axis; what lies beyond is padding",
}


@dataclass(frozen=True, slots=True)
class Sealed:
    """What sealing did: the records packed, the bytes of the new segments and of the live files that went."""

    records: int
    added: int
    removed: int


def seal(trace: Path, header: TraceHeader, seal_every: int) -> Sealed:
    """Pack all live records of a trace into segments.

    Args:
        trace: directory of the trace, whose lock the caller holds.
        header: its header, for axes and meanings.
        seal_every: largest number of records of one segment.

    Raises:
        TraceCorrupt: live files are damaged; they stay where they are, the others were packed.
        OSError: the disk refused; what was not packed is still live.
    """
    records, damage = live_records(trace)
    sealed = sealed_ids(trace, records[0].id if records else None)
    removed = sum(record.nbytes for record in records if record.id in sealed)
    fit: list[LiveRecord] = []
    for record in records:
        if record.id in sealed:  # a crash came between the rename and this
            _unlink(record)
            continue
        try:
            _layout_of(record, header)
            fit.append(record)
        except TraceCorrupt as error:
            damage.append(error)
    packed = added = 0
    for group in _groups(fit, header, seal_every):
        added += tree_bytes(write_segment(trace, header, group))
        for record in group:
            _unlink(record)
        packed += len(group)
        removed += sum(record.nbytes for record in group)
    if damage:
        raise damage[0]
    return Sealed(packed, added, removed)


def live_records(trace: Path) -> tuple[list[LiveRecord], list[TraceCorrupt]]:
    """The live records of a trace in order, and the errors of those that are damaged."""
    records: list[LiveRecord] = []
    damage: list[TraceCorrupt] = []
    for name in listing(trace / layout.LIVE):
        record = layout.parse_live_name(name)
        if record is not None:
            try:
                records.append(read_live(trace / layout.LIVE, record))
            except TraceCorrupt as error:
                damage.append(error)
    return sorted(records, key=lambda record: record.id), damage


def sealed_ids(trace: Path, oldest: int | None = 0) -> set[int]:
    """The ids of all records in readable segments that reach as far as record `oldest`; none when that is None."""
    ids: set[int] = set()
    for name in listing(trace / layout.SEALED) if oldest is not None else ():
        bounds = layout.parse_segment_name(name)
        if bounds and bounds[1] >= (oldest or 0):
            with contextlib.suppress(TraceCorrupt):
                ids.update(read_segment(trace / layout.SEALED / name).ids.tolist())
    return ids


def remove_partial(trace: Path) -> list[str]:
    """Remove what a crash left half written, never committed; returns the names relative to the trace."""
    removed = []
    for folder in (trace, trace / layout.LIVE, trace / layout.SEALED):
        for name in listing(folder):
            if name.endswith(layout.PARTIAL):
                _remove(folder / name)
                removed.append(str((folder / name).relative_to(trace)))
    return removed


def write_segment(trace: Path, header: TraceHeader, records: Sequence[LiveRecord]) -> Path:
    """Write records of one layout as a segment and commit it; returns its folder. The live files stay.

    Raises:
        OSError: the disk refused; nothing was committed and the partial folder was removed.
    """
    name = layout.segment_name(records[0].id, records[-1].id)
    final, partial = trace / layout.SEALED / name, trace / layout.SEALED / f"{name}{layout.PARTIAL}"
    _remove(partial)
    try:
        partial.mkdir(parents=True)
        _SegmentWriter(partial, header, records).write()
        os.rename(partial, final)
        _sync_folder(final.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            _remove(partial)
        raise
    return final


class _SegmentWriter:
    """Writes the files of one segment into a folder that is not committed yet."""

    def __init__(self, folder: Path, header: TraceHeader, records: Sequence[LiveRecord]) -> None:
        self.folder = folder
        self.header = header
        self.records = records
        self.names = sorted(records[0].tensors)
        self.schemas = {name: _schema(header, name, records[0]) for name in self.names}
        self.lengths: dict[str, list[int]] = {}
        for name in self.names:
            if self.schemas[name].axes[:1] == ("time",):
                self.lengths[memory_of(name)] = [record.tensors[name].shape[0] for record in records]
        self.fields = {name: self._sealed_field(name) for name in self.names}
        self.nodes: dict[str, dict[str, Json]] = {}

    def _sealed_field(self, name: str) -> SealedField:
        tensor, axes = self.records[0].tensors[name], self.schemas[name].axes
        shape = tensor.shape
        if axes[:1] == ("time",):
            shape = (max(self.lengths[memory_of(name)]), *shape[1:])
        return SealedField(tensor.dtype, axes, shape)

    def write(self) -> None:
        memories = sorted({memory_of(name) for name in self.names})
        self._groups_of(memories)
        self._coordinates("", None)
        for memory in memories:
            self._coordinates(memory, self.lengths.get(memory))
        self._values()
        self._metadata(memories)
        self._write_json(layout.INDEX, zarr3.group_metadata(self._index()))

    def _groups_of(self, memories: Sequence[str]) -> None:
        """Every folder above an array is a group; a memory's own says what it is."""
        for name in self.names:
            parts = name.split("/")[:-1]
            for end in range(1, len(parts) + 1):
                self.nodes.setdefault("/".join(parts[:end]), zarr3.group_metadata({}))
        for memory in memories:
            known = self.header.memories.get(memory)
            coordinates = [name for name in layout.COORDINATES[1:] if name != "length" or memory in self.lengths]
            attributes: dict[str, Json] = {"coordinates": " ".join(coordinates)}
            if known is not None:
                attributes |= {"law": known.law, **plain(known.attributes)}
            self.nodes[memory] = zarr3.group_metadata(attributes)

    def _coordinates(self, group: str, lengths: Sequence[int] | None) -> None:
        columns: dict[str, tuple[str, Sequence[int] | Sequence[float]]] = {
            "record": ("int64", [record.id for record in self.records]),
            "step": ("int64", [record.step for record in self.records]),
            "forward": ("int64", [record.forward for record in self.records]),
            "wall": ("float64", [record.wall for record in self.records]),
        }
        if lengths is not None:
            columns["length"] = ("int64", lengths)
        for name, (dtype, values) in columns.items():
            path = f"{group}/{name}" if group else name
            self.nodes[path] = zarr3.coordinate_metadata(len(values), dtype, _LONG_NAMES[name])
            chunk = self.folder / path / "c" / "0"
            chunk.parent.mkdir(parents=True)
            write_atomic(chunk, [np.array(values, f"<{dtype[0]}8").tobytes()], sync=True)

    def _values(self) -> None:
        import tensorstore as ts

        context = ts.Context({"file_io_locking": {"mode": "none"}, "data_copy_concurrency": {"limit": 2}})
        waiting: list[Any] = []
        in_flight = 0
        dimensions = dimension_names(self.fields)
        for name in self.names:
            field = self.fields[name]
            shape = (len(self.records), *field.shape)
            chunk, shard = zarr3.plan(shape, dtypes.numpy_dtype(zarr3.stored_dtype(field.dtype)).itemsize)
            attributes = _attributes(self.schemas[name], field.dtype)
            metadata = zarr3.array_metadata(shape, field.dtype, dimensions[name], chunk, shard, attributes)
            self.nodes[name] = metadata
            if 0 in shape:
                continue
            spec = {
                "driver": "zarr3",
                "kvstore": {"driver": "file", "path": f"{self.folder / name}/"},
                "metadata": metadata,
                "store_data_equal_to_fill_value": True,
            }
            store = _disk(ts.open(spec, create=True, context=context))
            for start, block in self._blocks(name, shard):
                waiting.append(
                    store[start : start + len(block)].write(block, can_reference_source_data_indefinitely=True)
                )
                in_flight += block.nbytes
                if in_flight > _IN_FLIGHT:
                    for write in waiting:
                        _disk(write)
                    waiting.clear()
                    in_flight = 0
        for write in waiting:
            _disk(write)

    def _blocks(self, name: str, shard: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
        """The values of a field, as many records at a time as share a shard, padded along time."""
        field = self.fields[name]
        dtype = dtypes.numpy_dtype(zarr3.stored_dtype(field.dtype))
        padding = np.nan if dtype.kind == "f" else 0
        for start in range(0, len(self.records), shard[0]):
            rows = self.records[start : start + shard[0]]
            block = np.empty((len(rows), *field.shape), dtype)
            for row, record in enumerate(rows):
                values = record.read(name)
                if field.dtype == dtypes.BFLOAT16:
                    values = dtypes.widen(values)
                if field.timed:
                    block[row, : len(values)] = values
                    block[row, len(values) :] = padding
                else:
                    block[row] = values
            yield start, block

    def _metadata(self, memories: Sequence[str]) -> None:
        for path, node in self.nodes.items():
            group = node["node_type"] == "group"
            self._write_json(path, self._with_members(path, node) if group else node)
        labels = {str(record.id): record.labels() for record in self.records if record.labels_json != "{}"}
        root = zarr3.group_metadata(
            {
                "memviz_format": FORMAT_VERSION,
                "run": self.header.run,
                "memories": list(memories),
                "coordinates": "step forward wall",
                "labels": plain(labels),
            }
        )
        self._write_json("", self._with_members("", root))

    def _with_members(self, path: str, node: Mapping[str, Json]) -> dict[str, Json]:
        prefix = f"{path}/" if path else ""
        names = [name for name in self.nodes if name.startswith(prefix)]
        # zarr-python finds the members of a group only where they stand together, its parents before them.
        names.sort(key=lambda name: (name.count("/"), name.split("/")))
        return zarr3.consolidated(node, {name.removeprefix(prefix): self.nodes[name] for name in names})

    def _write_json(self, path: str, content: Mapping[str, Json]) -> None:
        folder = self.folder / path
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / ZARR_JSON, [encode(content)], sync=True)

    def _index(self) -> dict[str, Json]:
        fields: dict[str, dict[str, Json]] = {}
        for name, field in self.fields.items():
            claim = {"dtype": field.dtype, "axes": list(field.axes), "shape": list(field.shape)}
            fields.setdefault(memory_of(name), {})[bare_name(name)] = claim
        return {
            "memviz_format": FORMAT_VERSION,
            "records": [record.id for record in self.records],
            "steps": [record.step for record in self.records],
            "forwards": [record.forward for record in self.records],
            "walls": [record.wall for record in self.records],
            "batches": [list(record.batch) for record in self.records],
            "lengths": self.lengths,
            "fields": fields,
        }


def dimension_names(fields: Mapping[str, SealedField]) -> dict[str, list[str]]:
    """The zarr dimension names of each field by full name, `record` first.

    xarray wants one length per name within a memory. An initial or final state whose axis has length 1, to be
    broadcast, has the axis name followed by `_broadcast`.
    """
    lengths: dict[tuple[str, str], int] = {}
    for name, field in fields.items():
        boundary = bare_name(name).startswith(_BOUNDARY)
        for axis, length in zip(field.axes, field.shape, strict=True):
            if not boundary:
                lengths[memory_of(name), axis] = length
            elif length != 1:
                lengths.setdefault((memory_of(name), axis), length)
    return {
        name: [
            "record",
            *(
                axis if lengths.get((memory_of(name), axis), length) == length else f"{axis}_broadcast"
                for axis, length in zip(field.axes, field.shape, strict=True)
            ),
        ]
        for name, field in fields.items()
    }


def _groups(records: Sequence[LiveRecord], header: TraceHeader, seal_every: int) -> list[list[LiveRecord]]:
    """Records of one layout together, at most `seal_every` in a group, groups ordered by their first record."""
    by_layout: dict[tuple[Any, ...], list[LiveRecord]] = {}
    done: list[list[LiveRecord]] = []
    for record in records:
        key = _layout_of(record, header)
        group = by_layout.setdefault(key, [])
        group.append(record)
        if len(group) == seal_every:
            done.append(by_layout.pop(key))
    return sorted([*done, *by_layout.values()], key=lambda group: group[0].id)


def _layout_of(record: LiveRecord, header: TraceHeader) -> tuple[Any, ...]:
    layout_key = []
    for name, tensor in sorted(record.tensors.items()):
        axes = _schema(header, name, record).axes
        layout_key.append((name, tensor.dtype, axes, tensor.shape[1:] if axes[:1] == ("time",) else tensor.shape))
    return tuple(layout_key)


def _schema(header: TraceHeader, name: str, record: LiveRecord) -> FieldSchema:
    memory = header.memories.get(memory_of(name))
    field = memory.fields.get(bare_name(name)) if memory else None
    tensor = record.tensors[name]
    if field is None or len(field.axes) != len(tensor.shape):
        raise TraceCorrupt(
            f"{record.path}: field {name!r} with shape {tensor.shape} is not declared so in trace.json, and is not "
            "sealed; `memviz repair` sets the file aside"
        )
    return field


def _attributes(field: FieldSchema, dtype: str) -> dict[str, Json]:
    known = lookup(field.name)
    attributes = {"kind": field.kind, "low": field.low, "high": field.high, "simplex": field.simplex}
    if known is not None:
        attributes |= {"long_name": known.title, "symbol": known.symbol}
    if dtype == dtypes.BFLOAT16:
        attributes["memviz_dtype"] = dtype
    return plain({key: value for key, value in attributes.items() if value is not None})  # type: ignore[no-any-return]


def _disk(future: Any) -> Any:
    """The result of a tensorstore future; what goes wrong while writing is the disk."""
    try:
        return future.result()
    except Exception as error:  # tensorstore raises ValueError, with the reason in its text
        raise OSError(f"sealing failed: {error}") from error


def _unlink(record: LiveRecord) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(record.path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # some file systems do not sync folders
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
