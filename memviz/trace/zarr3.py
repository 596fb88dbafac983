"""The zarr v3 metadata of a segment: built when sealing, held against the same rules when reading.

Specification: https://zarr-specs.readthedocs.io/en/latest/v3/core/index.html. One inner chunk holds (a part of) one
record, so that a record is read without its neighbours; a shard holds many chunks in one file. Every chunk is
compressed (blosc with zstd after a byte shuffle) and carries a checksum.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from memviz.trace import caps, dtypes
from memviz.trace.caps import corrupt
from memviz.trace.schema import Json

_CHUNK_TARGET = 2**20
_CHUNK_LIMIT = 16 * 2**20
_SHARD_TARGET = 16 * 2**20
_MAX_CHUNKS_PER_SHARD = 2**20

_LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}
_CHECKSUM = {"name": "crc32c"}


def stored_dtype(dtype: str) -> str:
    """The zarr data type for one of our dtypes: bfloat16 is widened to float32, which loses nothing."""
    return "float32" if dtype == dtypes.BFLOAT16 else dtype


def fill_value(dtype: str) -> Json:
    """What stands where a record is shorter than the longest of its segment, as zarr metadata writes it."""
    stored = stored_dtype(dtype)
    return "NaN" if stored.startswith("float") else False if stored == "bool" else 0


def plan(shape: Sequence[int], itemsize: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Inner chunk and shard shape for an array `[record, *axes]`.

    A chunk is one record, split along time (the first axis of the record) beyond 1 MiB and along the axes after it
    beyond 16 MiB. A shard is as many whole records as fit into 16 MiB, and at least one chunk row.
    """
    records, *axes = (max(1, length) for length in shape)
    chunk = list(axes)
    if chunk:
        per_time = math.prod(chunk[1:]) * itemsize
        chunk[0] = max(1, min(chunk[0], _CHUNK_TARGET // per_time))
    for axis in range(1, len(chunk)):
        while math.prod(chunk) * itemsize > _CHUNK_LIMIT and chunk[axis] > 1:
            chunk[axis] = -(-chunk[axis] // 2)
    whole = [-(-length // part) * part for length, part in zip(axes, chunk, strict=True)]
    record_bytes = math.prod(whole) * itemsize
    if whole and record_bytes > _SHARD_TARGET:
        row = math.prod(whole[1:]) * chunk[0] * itemsize
        whole[0] = min(whole[0], chunk[0] * max(1, _SHARD_TARGET // row))
        record_bytes = math.prod(whole) * itemsize
    count = max(1, min(records, _SHARD_TARGET // max(1, record_bytes)))
    return (1, *chunk), (count, *whole)


def array_metadata(
    shape: Sequence[int],
    dtype: str,
    dimensions: Sequence[str],
    chunk: Sequence[int],
    shard: Sequence[int],
    attributes: Mapping[str, Json],
) -> dict[str, Json]:
    """zarr.json of a field `[record, *axes]` whose values have one of our dtypes."""
    inner = [_bytes_codec(dtype), _blosc(dtype), _CHECKSUM]
    sharding = {"chunk_shape": list(chunk), "codecs": inner, "index_codecs": [_LITTLE, _CHECKSUM]}
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(shape),
        "data_type": stored_dtype(dtype),
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(shard)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": fill_value(dtype),
        "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
        "attributes": dict(attributes),
        "dimension_names": list(dimensions),
    }


def coordinate_metadata(length: int, dtype: str, long_name: str) -> dict[str, Json]:
    """zarr.json of a coordinate `[record]`: one plain, uncompressed chunk."""
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [length],
        "data_type": dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [max(1, length)]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": fill_value(dtype),
        "codecs": [_LITTLE],
        "attributes": {"long_name": long_name},
        "dimension_names": ["record"],
    }


def group_metadata(attributes: Mapping[str, Json]) -> dict[str, Json]:
    """zarr.json of a group."""
    return {"zarr_format": 3, "node_type": "group", "attributes": dict(attributes)}


def consolidated(group: Mapping[str, Json], members: Mapping[str, Json]) -> dict[str, Json]:
    """The metadata of a group with that of all its members inside, so that one file opens all of it."""
    inline = {"kind": "inline", "must_understand": False, "metadata": dict(members)}
    return {**group, "consolidated_metadata": inline}


def checked_metadata(found: Mapping[str, Any], shape: Sequence[int], dtype: str, where: str) -> dict[str, Json]:
    """Metadata that may be handed to tensorstore, made from what a zarr.json claims.

    Args:
        found: the content of zarr.json; anything may be in there.
        shape: the shape that the index of the segment promises.
        dtype: the dtype that the index promises.
        where: the file, for messages.

    Raises:
        TraceCorrupt: it is not what the writer writes for such an array.
    """
    try:
        shard = found["chunk_grid"]["configuration"]["chunk_shape"]
        chunk = found["codecs"][0]["configuration"]["chunk_shape"]
        dimensions = [str(name) for name in found["dimension_names"]]
        lengths = [*shard, *chunk]
        sound = all(type(length) is int and length > 0 for length in lengths)
        if not sound or not len(shard) == len(chunk) == len(dimensions) == len(shape):
            raise ValueError("chunks do not fit the shape")
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise corrupt(where, f"is not the metadata of a field ({error!r:.120})") from None
    expected = array_metadata(shape, dtype, dimensions, chunk, shard, {})
    differing = [key for key in expected if key != "attributes" and found.get(key) != expected[key]]
    if differing:
        raise corrupt(where, f"claims another {differing[0]} than the index of its segment implies")
    itemsize = dtypes.numpy_dtype(stored_dtype(dtype)).itemsize
    if math.prod(chunk) * itemsize > caps.MAX_CHUNK_BYTES:
        raise corrupt(where, f"claims chunks of {math.prod(chunk) * itemsize} bytes")
    if any(outer % inner for outer, inner in zip(shard, chunk, strict=True)):
        raise corrupt(where, "claims shards that are no multiple of their chunks")
    if math.prod(shard) // math.prod(chunk) > _MAX_CHUNKS_PER_SHARD:
        raise corrupt(where, "claims more chunks in a file than are allowed")
    return expected


def _bytes_codec(dtype: str) -> dict[str, Json]:
    # The specification lets one-byte types go without an order of bytes, and tensorstore insists on that.
    single = dtypes.numpy_dtype(stored_dtype(dtype)).itemsize == 1
    return {"name": "bytes"} if single else _LITTLE


def _blosc(dtype: str) -> dict[str, Json]:
    size = dtypes.numpy_dtype(stored_dtype(dtype)).itemsize
    return {
        "name": "blosc",
        "configuration": {
            "cname": "zstd",
            "clevel": 1,
            "shuffle": "noshuffle" if size == 1 else "shuffle",
            "typesize": size,
            "blocksize": 0,
        },
    }
