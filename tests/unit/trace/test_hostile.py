"""A trace may come from anywhere: whatever a file claims, nothing but that file is lost, and it is named."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import struct
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memviz.errors import FieldError, RecordError, TraceCorrupt, TraceError
from memviz.trace import caps
from memviz.trace.reader import open_trace
from memviz.trace.repair import repair

SEGMENT = "r00000000-r00000003"


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda fd: None)


@pytest.fixture
def path(tmp_path, make):
    """Records 0 to 3 sealed, 4 to 6 live."""
    return make.trace(tmp_path / "run", count=7, seal_every=4, close=False)


def live(path, record):
    return path / "live" / f"r{record:08d}.safetensors"


def header_of(file: Path) -> tuple[dict, bytes]:
    data = file.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def rewrite(file: Path, change) -> None:
    """Change the header of a live file, its values kept."""
    header, values = header_of(file)
    change(header)
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + values)


def change_json(file: Path, change) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def assert_only_lost(path, make, lost, named) -> None:
    """All records but those lost read right; the notes name the file and the remedy, and so do errors of reading."""
    trace = open_trace(path)
    notes = list(trace.notes)
    read = set()
    for record in trace:
        try:
            for name, array in make.sample(record.id).fields.items():
                assert record[name].tobytes() == array.tobytes()
            assert record.labels == {"number": record.id}
            read.add(record.id)
        except TraceCorrupt as error:
            notes.append(str(error))
    assert read == set(range(7)) - set(lost)
    assert any(named in note and "memviz repair" in note for note in notes), notes
    repair(path)
    assert repair(path).changed is False
    trace = open_trace(path)
    assert not trace.notes
    for record in trace:
        for name in record.stored:
            assert record[name].tobytes() == make.sample(record.id).fields[name].tobytes()
    assert set(range(7)) - set(lost) <= set(trace.ids.tolist())


def damage_live(**entry):
    def change(header):
        header["memory/read_weights"] |= entry

    return lambda file: rewrite(file, change)


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(b"\x01\x02\x03"),
        lambda file: file.write_bytes(os.urandom(500)),
        lambda file: file.write_bytes(struct.pack("<Q", 2**63) + b"{}"),
        lambda file: file.write_bytes(struct.pack("<Q", 2) + b"[]"),
        lambda file: file.write_bytes(struct.pack("<Q", 40_000) + b"[" * 40_000),
        lambda file: file.write_bytes(file.read_bytes()[:-1]),
        lambda file: file.write_bytes(file.read_bytes() + b"more"),
        lambda file: rewrite(file, lambda header: header.pop("__metadata__")),
        lambda file: rewrite(file, lambda header: header["__metadata__"].update(step="1e400")),
        lambda file: rewrite(file, lambda header: header["__metadata__"].update(step=str(2**70))),
        lambda file: rewrite(file, lambda header: header["__metadata__"].update(batch="7")),
        damage_live(shape=[2**40, 2**40]),
        damage_live(shape=[2**62, 0]),
        damage_live(shape=[-1, 2]),
        damage_live(shape=[True] * 40),
        damage_live(shape="3"),
        damage_live(dtype="O"),
        damage_live(dtype=["F32"]),
        damage_live(data_offsets=[0, 2**60]),
        damage_live(data_offsets=[-8, 40]),
        damage_live(data_offsets=[0.0, 48.0]),
        damage_live(data_offsets=None),
    ],
)
def test_a_damaged_live_file_costs_that_record_only(path, make, damage):
    damage(live(path, 5))
    assert_only_lost(path, make, {5}, "r00000005.safetensors")
    assert (path / "quarantine" / "r00000005.safetensors").exists()


def test_labels_that_are_no_json_cost_the_labels_until_repaired(path, make):
    rewrite(live(path, 5), lambda header: header["__metadata__"].update(labels="{"))
    trace = open_trace(path)
    with pytest.raises(TraceCorrupt, match=r"r00000005\.safetensors labels"):
        _ = trace[5].labels
    assert_only_lost(path, make, {5}, "r00000005.safetensors")


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_a_live_file_that_is_no_file_is_not_followed(path, make, tmp_path, kind):
    file = live(path, 5)
    shutil.move(file, tmp_path / "outside.safetensors")
    {
        "link": lambda: file.symlink_to(tmp_path / "outside.safetensors"),
        "pipe": lambda: os.mkfifo(file),
        "folder": lambda: file.mkdir(),
    }[kind]()
    assert_only_lost(path, make, {5}, "r00000005.safetensors")


def test_a_record_damaged_after_it_was_listed_says_so_when_it_is_read(path):
    trace = open_trace(path)
    live(path, 5).write_bytes(live(path, 5).read_bytes()[:-20])
    with pytest.raises(TraceCorrupt, match=r"r00000005\.safetensors: ends at byte .* `memviz repair`"):
        trace[5]["final/count"], trace[5]["read_weights"], trace[5]["usage"]
    live(path, 6).unlink()
    with pytest.raises(TraceCorrupt, match="record 6 is gone"):
        trace[6]["usage"]


def test_fields_that_were_never_declared_are_read_by_name_and_never_become_paths(path, make, tmp_path):
    def escape(header):
        header["../../../escaped/read_weights"] = header.pop("memory/read_weights")

    rewrite(live(path, 5), escape)
    trace = open_trace(path)
    assert "../../../escaped/read_weights" in trace[5].stored
    repair(path)
    assert not list(tmp_path.rglob("escaped"))
    assert (path / "quarantine" / "r00000005.safetensors").exists()
    assert open_trace(path).ids.tolist() == [0, 1, 2, 3, 4, 6]


def index_change(change):
    return lambda folder: change_json(folder / "_index" / "zarr.json", lambda content: change(content["attributes"]))


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "_index" / "zarr.json").unlink(),
        lambda folder: (folder / "_index" / "zarr.json").write_bytes(b"{"),
        lambda folder: (folder / "_index" / "zarr.json").write_bytes(b"[" * 100_000),
        lambda folder: (folder / "_index" / "zarr.json").write_bytes(b"[1]"),
        index_change(lambda index: index.clear()),
        index_change(lambda index: index.update(records=[])),
        index_change(lambda index: index.update(records=[3, 2, 1, 0])),
        index_change(lambda index: index.update(records=[-1, 0, 1, 2])),
        index_change(lambda index: index.update(records=list(range(100_000)))),
        index_change(lambda index: index.update(steps=[2**70] * 4)),
        index_change(lambda index: index.update(steps=[1])),
        index_change(lambda index: index.update(walls=[1])),
        index_change(lambda index: index.update(batches=5)),
        index_change(lambda index: index.update(fields={"../../x": {}})),
        index_change(
            lambda index: index["fields"]["memory"].update({"../../../x": index["fields"]["memory"]["usage"]})
        ),
        index_change(lambda index: index["fields"]["memory"]["usage"].update(shape=[2**50, 1, 1])),
        index_change(lambda index: index["fields"]["memory"]["usage"].update(shape=[4, 2])),
        index_change(lambda index: index["fields"]["memory"]["usage"].update(dtype="object")),
        index_change(lambda index: index.update(lengths={"memory": [9, 9, 9, 9]})),
        index_change(lambda index: index.update(lengths={})),
    ],
)
def test_a_damaged_index_costs_that_segment_only(path, make, damage):
    damage(path / "sealed" / SEGMENT)
    assert_only_lost(path, make, {0, 1, 2, 3}, SEGMENT)
    assert (path / "quarantine" / SEGMENT).is_dir()


def test_live_files_that_a_damaged_segment_holds_too_count_again(path, make, tmp_path):
    for i in range(4):
        shutil.copy(live(path, 4), live(path, i))
        rewrite(live(path, i), lambda header, i=i: header["__metadata__"].update(step=str(i)))
    assert open_trace(path).steps.tolist() == [0, 10, 20, 30, 40, 50, 60]
    (path / "sealed" / SEGMENT / "_index" / "zarr.json").write_text("{}")
    assert open_trace(path).steps.tolist() == [0, 1, 2, 3, 40, 50, 60]


def array_change(change):
    return lambda folder: change_json(folder / "memory" / "read_weights" / "zarr.json", change)


def sharding(content):
    return content["codecs"][0]["configuration"]


def shards(folder):
    return [file for file in (folder / "memory" / "read_weights" / "c").rglob("*") if file.is_file()]


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: shutil.rmtree(folder / "memory" / "read_weights"),
        lambda folder: shutil.rmtree(folder / "memory" / "read_weights" / "c"),
        lambda folder: (folder / "memory" / "read_weights" / "zarr.json").write_bytes(b"{}"),
        lambda folder: shards(folder)[0].write_bytes(b""),
        lambda folder: shards(folder)[0].write_bytes(os.urandom(400)),
        lambda folder: shards(folder)[0].write_bytes(shards(folder)[0].read_bytes()[:-30]),
        array_change(lambda content: content.update(shape=[2**40, 2**40, 4, 4])),
        array_change(lambda content: content.update(shape=[4, 5, 2, 3])),
        array_change(lambda content: content.update(data_type="int32")),
        array_change(lambda content: content.update(codecs=[{"name": "bytes"}])),
        array_change(lambda content: content.update(chunk_key_encoding={"name": "v2"})),
        array_change(lambda content: content["chunk_grid"]["configuration"].update(chunk_shape=[2**40] * 4)),
        array_change(lambda content: content["chunk_grid"]["configuration"].update(chunk_shape=[0] * 4)),
        array_change(lambda content: sharding(content).update(chunk_shape=[2**20] * 4)),
        array_change(lambda content: sharding(content).update(chunk_shape=["1"] * 4)),
    ],
)
def test_a_damaged_field_costs_that_field_only_and_repair_keeps_the_others(path, make, damage):
    damage(path / "sealed" / SEGMENT)
    assert_only_lost(path, make, {0, 1, 2, 3}, "read_weights")
    trace = open_trace(path)
    assert trace.ids.tolist() == list(range(7))
    for record in trace:
        kept = {"memory/usage", "memory/final/count"} | ({"memory/read_weights"} if record.id > 3 else set())
        assert set(record.stored) == kept
        assert record["usage"].tobytes() == make.sample(record.id).fields["memory/usage"].tobytes()
        assert record.labels == {"number": record.id}


def test_one_flipped_bit_costs_one_field_of_one_record(path, make):
    (shard,) = shards(path / "sealed" / SEGMENT)
    data = bytearray(shard.read_bytes())
    data[40] ^= 1  # in the first chunk, behind its blosc header
    shard.write_bytes(data)
    trace = open_trace(path)
    with pytest.raises(TraceCorrupt, match=r"memory/read_weights: holds damaged values .*`memviz repair`"):
        trace[0]["read_weights"]
    for i in range(1, 7):
        assert trace[i]["read_weights"].tobytes() == make.sample(i).fields["memory/read_weights"].tobytes()
    report = repair(path)
    assert (report.rescued, report.lost) == ([0, 1, 2, 3], {0: ["memory/read_weights"]})
    trace = open_trace(path)
    assert "read_weights" not in trace[0]
    assert trace[1]["read_weights"].tobytes() == make.sample(1).fields["memory/read_weights"].tobytes()


@pytest.mark.parametrize("inside", ["memory", "memory/read_weights", "memory/read_weights/c", "shard"])
def test_links_out_of_a_segment_are_not_followed(path, make, tmp_path, inside):
    folder = path / "sealed" / SEGMENT
    place = shards(folder)[0] if inside == "shard" else folder / inside
    shutil.move(place, tmp_path / "outside")
    place.symlink_to(tmp_path / "outside")
    trace = open_trace(path)
    with pytest.raises(TraceCorrupt, match="is a symbolic link"):
        trace[0]["read_weights"]
    assert trace[5]["read_weights"].size
    report = repair(path)
    assert report.quarantined
    assert (tmp_path / "outside").exists()


@pytest.mark.parametrize("name", ["live", "sealed", f"sealed/{SEGMENT}"])
def test_folders_that_are_links_are_not_followed(path, tmp_path, name):
    shutil.move(path / name, tmp_path / "outside")
    (path / name).symlink_to(tmp_path / "outside")
    trace = open_trace(path)
    assert trace.ids.tolist() == ([4, 5, 6] if "sealed" in name else [0, 1, 2, 3])
    assert any(str(path / name) in note for note in trace.notes)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        b'{"format_version": "1"}',
        b'{"format_version": true}',
        b'{"format_version": 1}',
        b'{"format_version": 1, "memviz_version": "", "created": 1e999, "run": "", "memories": []}',
        b'{"format_version": 1, "memviz_version": "", "created": 0, "run": "", "memories": {"a": {"name": "b"}}}',
        b'{"format_version": 1, "memviz_version": "", "created": 0, "run": "", "memories": {"..": {"name": ".."}}}',
        b'{"format_version": 1, "memviz_version": "", "created": 0, "run": "", "rank": "x"}',
        b'{"format_version": 1, "memviz_version": "", "created": 0, "run": "", "memories": {"a": {"name": "a", '
        b'"fields": {"x": {"name": "x", "axes": [], "low": "0"}}}}}',
        b" " * (caps.MAX_TRACE_JSON + 1),
        b"\xff\xfe\x00",
        b"1" * 10_000,
    ],
)
def test_a_damaged_header_is_named(path, content):
    (path / "trace.json").write_bytes(content)
    with pytest.raises(TraceCorrupt, match=r"trace\.json"):
        open_trace(path)


def test_lines_that_are_no_lines_are_left_out_and_told(path):
    with (path / "scalars.jsonl").open("ab") as file:
        file.write(b"\xff\xfe\n[1]\n\n" + b"x" * (3 * caps.MAX_LINE) + b'\n{"step":1}\n{"step":9e999,"wall":0}\n')
        file.write(b'{"step":' + b"9" * 5000 + b',"wall":0}\n' + b"[" * 90_000 + b"\n")
        file.write(b'{"step":70,"wall":1,"loss":0.125}\n{"step":71,"wall":1,"loss":{}}\n')
    with (path / "events.jsonl").open("ab") as file:
        file.write(b'{"kind":"note","data":5}\n{"message":"x"}\n{"kind":"gap","data":{"dropped":"many"}}\n')
    trace = open_trace(path)
    assert trace.scalars["loss"].values[-1] == 0.125
    assert len(trace.scalars["loss"]) == 8
    assert [event.kind for event in trace.events] == ["opened", "gap"]
    assert trace.dropped == 0
    for expected in (
        "scalars.jsonl line 8: not a JSON object",
        "line 11: longer than",
        "no event",
        "without sound step",
    ):
        assert any(expected in note for note in trace.notes), (expected, trace.notes)


def test_claims_allocate_nothing(path):
    """A file of a few bytes that claims gigabytes is refused before memory is asked for."""
    live(path, 5).write_bytes(struct.pack("<Q", 2**40) + b"{}")
    rewrite(live(path, 6), lambda header: header["memory/usage"].update(shape=[2**30]))
    array_change(lambda content: sharding(content).update(chunk_shape=[2**10] * 4))(path / "sealed" / SEGMENT)
    with (path / "scalars.jsonl").open("ab") as file:
        file.write(b"x" * (20 * caps.MAX_LINE))
    tracemalloc.start()
    trace = open_trace(path)
    assert len(trace.scalars) == 1
    with pytest.raises(TraceCorrupt):
        trace[0]["read_weights"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * 2**20


@settings(deadline=None, max_examples=50, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_damage_to_any_file_is_an_error_of_ours_or_nothing(path, tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("damaged") / "run"
    shutil.copytree(path, folder)
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.name != "writer.lock")
    for _ in range(data.draw(st.integers(1, 3))):
        file = data.draw(st.sampled_from(files))
        content = bytearray(file.read_bytes())
        at = data.draw(st.integers(0, max(0, len(content) - 1)))
        match data.draw(st.sampled_from(["cut", "set", "insert", "digits"])):
            case "cut":
                del content[at:]
            case "set":
                content[at : at + 1] = data.draw(st.binary(min_size=1, max_size=1))
            case "insert":
                content[at:at] = data.draw(st.binary(max_size=20))
            case "digits":
                content[at : at + 1] = b"99999999999"
        file.write_bytes(content)
    for round_ in range(2):
        try:
            trace = open_trace(folder)
            _ = trace.scalars, trace.events, trace.dropped, trace.notes, trace.state, trace.nbytes, repr(trace)
            for record in trace:
                for read in (lambda record=record: record.labels, lambda record=record: record.lengths):
                    with_ours(read)
                for name in record.stored:
                    with_ours(lambda record=record, name=name: record.read(name))
                    with_ours(lambda record=record, name=name: record.read(name, slice(0, 1)))
            with_ours(lambda trace=trace: trace.series("memory/read_weights", (0, 0, 0)))
            with_ours(lambda trace=trace: trace.at(20))
            if round_ == 0:
                repair(folder)
                assert not repair(folder).changed
        except TraceError:
            break  # the header itself
    shutil.rmtree(folder)


def with_ours(call) -> None:
    with contextlib.suppress(TraceError, FieldError, RecordError):
        call()
