"""A trace as an xarray DataTree, read lazily: what is not used is never read.

Nodes: `/<memory>` with its fields, `/<memory>/initial`, `/<memory>/final` and `/<memory>/grad` with those that have
such a prefix. Every node has the coordinates `record` (id), `step`, `forward`, `wall`, and `length` where there is
time. Records that are shorter than the longest, or lack a field, are filled with NaN; whole numbers and truth values
become float64 where that is needed.

With `chunks` the fields are Dask arrays, one chunk per span of records. Their tasks carry the path of the trace, not
its values, so a cluster computes with them wherever its workers see that path.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from memviz.errors import MemvizError
from memviz.fields import FINAL_PREFIX, INITIAL_PREFIX, bare_name, lookup, memory_of
from memviz.trace.contents import Snapshot
from memviz.trace.schema import FieldSchema
from memviz.trace.segments import Segment

if TYPE_CHECKING:
    import xarray

    from memviz.trace.reader import Trace


@dataclass
class _Extent:
    """What is known of a field over all records: its schema, largest lengths, and whether anything is missing."""

    schema: FieldSchema
    shape: tuple[int, ...]
    records: int = 0
    even: bool = True

    def add(self, shape: tuple[int, ...], records: int, even: bool) -> None:
        self.even = self.even and even and (not self.records or shape == self.shape)
        self.shape = tuple(map(max, shape, self.shape))
        self.records += records


def to_xarray(trace: Trace, fields: Sequence[str] | None = None, chunks: int | None = None) -> xarray.DataTree:
    """What Trace.to_xarray promises.

    Raises:
        MemvizError: xarray, or Dask where chunks are asked for, is not installed; or a chunk has no record.
        FieldError: a field asked for is in no record.
    """
    try:
        import xarray
    except ImportError:
        raise MemvizError(
            "trace.to_xarray() needs xarray, which is not installed; get it with: pip install 'memviz[xarray]'"
        ) from None
    _check_chunks(chunks)
    from xarray.core.indexing import LazilyIndexedArray

    from memviz.trace.xarray_field import FieldArray

    snapshot = trace.snapshot
    extents, lengths = _extents(trace, snapshot, fields)
    dimensions = _dimensions(extents)
    nodes: dict[str, dict[str, Any]] = {}
    for full, extent in extents.items():
        node, _, name = full.rpartition("/")
        filled = not extent.even or extent.records < len(snapshot.ids)
        array = FieldArray(trace, snapshot, full, extent.schema, extent.shape, filled)
        variable = xarray.Variable(dimensions[full], LazilyIndexedArray(array), _attributes(extent.schema))
        nodes.setdefault(node, {})[name] = variable if chunks is None else variable.chunk({"record": chunks})
    coordinates = {
        "record": ("record", snapshot.ids, {"long_name": "record id"}),
        "step": ("record", snapshot.steps, {"long_name": "training step"}),
        "forward": ("record", snapshot.forwards, {"long_name": "forward pass of the recorder"}),
        "wall": ("record", snapshot.walls, {"long_name": "seconds since the epoch"}),
    }
    header = trace.header
    about = {"run": header.run, "memviz_version": header.memviz_version, "model": dict(header.model)}
    tree = {"/": xarray.Dataset(coords=coordinates, attrs={**about, **header.attributes})}
    for node, variables in nodes.items():
        memory = memory_of(f"{node}/x") if node not in lengths else node
        length = {"length": ("record", lengths[memory], {"long_name": "real length of the time axis"})}
        tree[f"/{node}"] = xarray.Dataset(variables, coords={**coordinates, **length})
    return xarray.DataTree.from_dict(tree, name=trace.name)


def _check_chunks(chunks: int | None) -> None:
    if chunks is None:
        return
    if chunks < 1:
        raise MemvizError(f"chunks is the number of records in a chunk, from 1 on, got {chunks}")
    try:
        import dask.array  # noqa: F401
    except ImportError:
        raise MemvizError(
            "trace.to_xarray(chunks=...) needs Dask, which is not installed; get it with: pip install 'memviz[dask]'"
        ) from None


def _extents(
    trace: Trace, snapshot: Snapshot, wanted: Iterable[str] | None
) -> tuple[dict[str, _Extent], dict[str, np.ndarray]]:
    """The extent of each field by full name, and the number of times per record, int64 [record], by memory."""
    extents: dict[str, _Extent] = {}
    lengths: dict[str, np.ndarray] = {}
    for owner, source in enumerate(snapshot.sources):
        positions = np.flatnonzero(snapshot.owners == owner)
        if not len(positions):
            continue
        sample = trace.record_at(snapshot, int(positions[0]))
        times: dict[str, np.ndarray] = {}
        for memory, length in sample.lengths.items():
            rows = snapshot.rows[positions]
            known = source.lengths.get(memory) if isinstance(source, Segment) else None
            times[memory] = np.full(len(positions), length) if known is None else known[rows]
            lengths.setdefault(memory, np.zeros(len(snapshot.ids), np.int64))[positions] = times[memory]
        names = sample.stored if wanted is None else [sample.full_name(name) for name in wanted if name in sample]
        for full in names:
            schema, shape = sample.schema(full), sample.shape(full)
            even = True
            if schema.axes[:1] == ("time",):
                span = times[memory_of(full)]
                shape, even = (int(span.max()), *shape[1:]), bool((span == span[0]).all())
            extents.setdefault(full, _Extent(schema, shape)).add(shape, len(positions), even)
    for name in wanted or ():
        if len(snapshot.ids) and not any(name in (full, bare_name(full)) for full in extents):
            trace.record_at(snapshot, len(snapshot.ids) - 1).full_name(name)  # raises what there is to say
    return extents, lengths


def _dimensions(extents: dict[str, _Extent]) -> dict[str, tuple[str, ...]]:
    lengths: dict[tuple[str, str], int] = {}
    for full, extent in extents.items():
        if not bare_name(full).startswith((INITIAL_PREFIX, FINAL_PREFIX)):
            for axis, length in zip(extent.schema.axes, extent.shape, strict=True):
                key = (memory_of(full), axis)
                lengths[key] = max(length, lengths.get(key, 0))
    named = {}
    for full, extent in extents.items():
        axes = []
        shape = []
        for axis, length in zip(extent.schema.axes, extent.shape, strict=True):
            common = lengths.setdefault((memory_of(full), axis), length)
            broadcast = length == 1 and common != 1
            axes.append(f"{axis}_broadcast" if broadcast else axis)
            shape.append(length if broadcast else common)
        # Where fields of a memory grew at different times, all are padded to the same length.
        extent.even = extent.even and extent.shape == tuple(shape)
        extent.shape = tuple(shape)
        named[full] = ("record", *axes)
    return named


def _attributes(schema: FieldSchema) -> dict[str, Any]:
    known = lookup(schema.name)
    attributes = {"kind": schema.kind, "low": schema.low, "high": schema.high, "simplex": schema.simplex}
    if known is not None:
        attributes |= {"long_name": known.title, "symbol": known.symbol}
    return {key: value for key, value in attributes.items() if value is not None}
