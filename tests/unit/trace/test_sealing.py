"""Sealed segments are plain zarr v3: other tools open them without memviz, and see what was recorded."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import xarray
import zarr
from hypothesis import assume, given
from hypothesis import strategies as st

from memviz.trace import caps, sealing, zarr3
from memviz.trace.reader import open_trace
from memviz.trace.segments import SealedField


@pytest.fixture
def segment(tmp_path, make):
    path = make.trace(tmp_path / "run", count=6)
    (folder,) = (path / "sealed").iterdir()
    return folder


def test_a_memory_opens_in_plain_xarray(segment, make):
    dataset = xarray.open_zarr(segment, group="memory")
    assert dataset.read_weights.dims == ("record", "time", "batch", "slot")
    assert dataset.record.values.tolist() == list(range(6))
    assert dataset.step.values.tolist() == [0, 10, 20, 30, 40, 50]
    assert dataset.wall.values.tolist() == [1e9 + i for i in range(6)]
    assert dataset.length.values.tolist() == [2, 3, 4, 2, 3, 4]
    assert set(dataset.coords) == {"record", "step", "forward", "wall", "length"}
    for i in range(6):
        expected = make.sample(i).fields["memory/read_weights"]
        values = dataset.read_weights.sel(record=i).values
        np.testing.assert_array_equal(values[: len(expected)], expected)
        assert np.isnan(values[len(expected) :]).all()
    assert dataset.usage.attrs["memviz_dtype"] == "bfloat16"
    np.testing.assert_array_equal(dataset.usage.values[2], make.sample(2).fields["memory/usage"].astype(np.float32))


def test_the_root_and_the_whole_tree_open_in_plain_xarray(segment):
    root = xarray.open_zarr(segment)
    assert root.attrs["labels"] == {str(i): {"number": i} for i in range(6)}
    assert root.attrs["run"] == "run"
    tree = xarray.open_datatree(segment, engine="zarr")
    assert tree["memory/final/count"].values.tolist() == list(range(6))
    assert xarray.open_zarr(segment, group="memory/final").attrs == {}


def test_memories_and_prefixes_at_any_depth_open_in_plain_xarray(tmp_path, make):
    names = ("b", "initial/b", "grad/b", "a", "grad/a", "final/a")
    memories = [make.memory(name, *(make.field(n, "slot") for n in names)) for name in ("x", "x/y", "a", "x/y/z")]
    with make.writer(tmp_path / "run", *memories) as writer:
        values = {
            f"{memory.name}/{n}": np.full(2, i + 10 * j)
            for j, memory in enumerate(memories)
            for i, n in enumerate(names)
        }
        data = make.record(0)
        writer.append(replace(data, fields={name: array.astype(np.float32) for name, array in values.items()}))
    (folder,) = (writer.path / "sealed").iterdir()
    tree = xarray.open_datatree(folder, engine="zarr")
    for name, array in values.items():
        group, _, field = name.rpartition("/")
        for found in (tree[name], xarray.open_zarr(folder, group=group)[field]):
            np.testing.assert_array_equal(found.values, [array])


def test_zarr_finds_every_array_without_the_consolidated_metadata(segment):
    group = zarr.open_group(segment, mode="r", use_consolidated=False)
    arrays = {name for name, member in group.members(max_depth=None) if isinstance(member, zarr.Array)}
    fields = {"memory/read_weights", "memory/usage", "memory/final/count"}
    coordinates = {"record", "step", "forward", "wall"}
    assert arrays == fields | coordinates | {f"memory/{name}" for name in (*coordinates, "length")}


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "float16", "float32", "float64", "bfloat16"])
def test_every_kind_of_dtype_reads_the_same_in_zarr(tmp_path, make, dtype):
    from memviz.trace.dtypes import numpy_dtype

    memory = make.memory("memory", make.field("values", "time slot", dtype))
    values = np.arange(12).reshape(3, 4).astype(numpy_dtype(dtype))
    with make.writer(tmp_path / "run", memory) as writer:
        for times in (3, 2):
            writer.append(make.record(0, values=values[:times]))
    (folder,) = (writer.path / "sealed").iterdir()
    found = zarr.open_group(folder, mode="r")["memory/values"][:]
    padding = np.nan if dtype.startswith(("float", "bfloat")) else 0
    np.testing.assert_array_equal(found[0].astype(float), values.astype(float))
    np.testing.assert_array_equal(found[1, :2].astype(float), values[:2].astype(float))
    np.testing.assert_array_equal(found[1, 2].astype(float), np.full(4, padding))


def test_an_initial_state_that_broadcasts_has_dimensions_of_its_own():
    def field(axes, shape):
        return SealedField("float32", tuple(axes.split()), shape)

    fields = {
        "memory/usage": field("time batch slot", (5, 1, 7)),
        "memory/initial/memory": field("batch slot word", (1, 1, 4)),
        "memory/final/memory": field("batch slot word", (1, 7, 4)),
        "other/initial/memory": field("batch slot word", (1, 1, 4)),
    }
    assert sealing.dimension_names(fields) == {
        "memory/usage": ["record", "time", "batch", "slot"],
        "memory/initial/memory": ["record", "batch", "slot_broadcast", "word"],
        "memory/final/memory": ["record", "batch", "slot", "word"],
        "other/initial/memory": ["record", "batch", "slot", "word"],
    }


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=6), st.sampled_from([1, 2, 4, 8]))
def test_chunks_fit_shards_and_readers_accept_them(shape, itemsize):
    assume(math.prod(max(1, length) for length in shape[1:]) * itemsize <= caps.MAX_FIELD_BYTES)
    chunk, shard = zarr3.plan(shape, itemsize)
    assert len(chunk) == len(shard) == len(shape)
    assert chunk[0] == 1  # a record is read without its neighbours
    assert all(outer % inner == 0 for outer, inner in zip(shard, chunk, strict=True))
    assert math.prod(chunk) * itemsize <= caps.MAX_CHUNK_BYTES
    dtype = {1: "uint8", 2: "float16", 4: "float32", 8: "float64"}[itemsize]
    metadata = zarr3.array_metadata(shape, dtype, [f"axis{i}" for i in range(len(shape))], chunk, shard, {"a": 1})
    checked = zarr3.checked_metadata(json.loads(json.dumps(metadata)), shape, dtype, "here")
    assert checked == {**metadata, "attributes": {}}


def test_a_record_larger_than_a_shard_is_split_along_time(tmp_path, make):
    """One record of 80 MB: no chunk of it is large, and a part is read without the rest."""
    memory = make.memory("memory", make.field("link_matrix", "time slot_to slot_from"))
    with make.writer(tmp_path / "run", memory) as writer:
        values = np.arange(80 * 512 * 512, dtype=np.float32).reshape(80, 512, 512)
        writer.append(make.record(0, link_matrix=values))
    record = open_trace(writer.path)[0]
    np.testing.assert_array_equal(record["link_matrix"], values)
    np.testing.assert_array_equal(record.read("link_matrix", slice(41, 43)), values[41:43])
    (folder,) = (writer.path / "sealed").iterdir()
    assert len(list((folder / "memory" / "link_matrix" / "c").rglob("*"))) > 2


def test_sealing_skips_a_damaged_live_file_and_packs_the_others(tmp_path, make):
    writer = make.writer(tmp_path / "run")
    for i in range(4):
        writer.append(make.sample(i))
    damaged = writer.path / "live" / "r00000001.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-3])
    with pytest.raises(OSError, match=r"r00000001\.safetensors"):
        writer.seal()
    assert [path.name for path in (writer.path / "live").iterdir()] == [damaged.name]
    writer.close()
    trace = open_trace(writer.path)
    assert trace.ids.tolist() == [0, 2, 3]
    assert any("r00000001.safetensors" in note and "memviz repair" in note for note in trace.notes)
    assert [event.kind for event in trace.events] == ["opened", "note", "closed"]
