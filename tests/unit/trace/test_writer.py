from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from memviz.errors import SchemaError, TraceClosed, TraceError, TraceFull, TraceLocked, TraceVersionError
from memviz.trace.reader import open_trace
from memviz.trace.schema import Event
from memviz.trace.writer import TraceWriter


def test_a_path_that_holds_a_trace_is_never_written_over(tmp_path, make):
    first = make.trace(tmp_path / "copy", count=2)
    before = {path: path.read_bytes() for path in first.rglob("*") if path.is_file()}
    second = make.trace(tmp_path / "copy", count=3)
    third = make.trace(tmp_path / "copy", count=1)
    assert [path.name for path in (first, second, third)] == ["copy", "copy-2", "copy-3"]
    assert [len(open_trace(path)) for path in (first, second, third)] == [2, 3, 1]
    assert {path: path.read_bytes() for path in first.rglob("*") if path.is_file()} == before


def test_a_trace_without_its_header_is_not_written_over_either(tmp_path, make):
    path = make.trace(tmp_path / "copy", count=2)
    (path / "trace.json").unlink()
    assert make.trace(tmp_path / "copy", count=1).name == "copy-2"


def test_an_empty_folder_is_used_as_it_is(tmp_path, make):
    (tmp_path / "copy").mkdir()
    assert make.trace(tmp_path / "copy", count=1).name == "copy"


def test_two_writers_at_once_start_beside_each_other(tmp_path, make):
    with make.writer(tmp_path / "copy") as first, make.writer(tmp_path / "copy") as second:
        assert [first.path.name, second.path.name] == ["copy", "copy-2"]


def test_resume_goes_on_with_the_next_id_and_keeps_what_was_declared(tmp_path, make):
    path = make.trace(tmp_path / "run", count=5, seal_every=2)
    added = make.memory("other", make.field("gate", "time"))
    with make.writer(path, added, resume=True) as writer:
        assert writer.path == path
        assert writer.append(make.sample(5)) == 5
    trace = open_trace(path)
    assert trace.ids.tolist() == [0, 1, 2, 3, 4, 5]
    assert set(trace.memories) == {"memory", "other"}
    assert trace.header.created == 1e9
    assert [event.kind for event in trace.events] == ["opened", "closed", "opened", "closed"]


def test_resume_after_a_crash_cuts_the_torn_line_and_the_partial_files(tmp_path, make):
    path = make.trace(tmp_path / "run", count=3, close=False)
    with (path / "scalars.jsonl").open("ab") as file:
        file.write(b'{"step": 30, "wa')
    (path / "live" / "r00000003.safetensors.partial").write_bytes(b"half")
    (path / "sealed" / "r00000000-r00000002.partial").mkdir()
    with make.writer(path, resume=True) as writer:
        assert writer.append(make.sample(3)) == 3
        writer.log(30, {"loss": 0.25})
    trace = open_trace(path)
    assert trace.scalars["loss"].steps.tolist() == [0, 10, 20, 30]
    assert not trace.notes
    assert not list(path.rglob("*.partial"))


def test_resume_does_not_reuse_the_id_of_a_quarantined_record(tmp_path, make):
    path = make.trace(tmp_path / "run", count=3, close=False)
    (path / "quarantine").mkdir()
    (path / "live" / "r00000002.safetensors").rename(path / "quarantine" / "r00000002.safetensors")
    with make.writer(path, resume=True) as writer:
        assert writer.append(make.sample(3)) == 3


def test_resume_where_nothing_is_starts_a_trace(tmp_path, make):
    with make.writer(tmp_path / "run", resume=True) as writer:
        assert writer.append(make.sample(0)) == 0


def test_resume_refuses_a_newer_format(tmp_path, make):
    path = make.trace(tmp_path / "run", count=1)
    header = json.loads((path / "trace.json").read_text())
    (path / "trace.json").write_text(json.dumps({**header, "format_version": 2, "memviz_version": "9.9"}))
    with pytest.raises(TraceVersionError, match=r"format version 2, written by memviz '9.9'"):
        make.writer(path, resume=True)
    make.writer(tmp_path / "elsewhere").close()


def test_a_second_writer_is_refused_naming_the_first(tmp_path, make):
    with make.writer(tmp_path / "run") as writer:
        with pytest.raises(TraceLocked, match=rf"process {os.getpid()} on "):
            make.writer(tmp_path / "run", resume=True)
        code = (
            "import sys; from memviz.trace.writer import TraceWriter; from memviz.trace.schema import TraceHeader\n"
            "TraceWriter.create(sys.argv[1], TraceHeader('', 1.0, 'run'), resume=True)"
        )
        other = subprocess.run([sys.executable, "-c", code, writer.path], capture_output=True, text=True, check=False)
        assert "TraceLocked" in other.stderr
    make.writer(tmp_path / "run", resume=True).close()


def test_ranks_write_side_by_side_and_a_second_run_starts_beside_the_first(tmp_path, make):
    paths = []
    for _ in range(2):
        for rank in range(2):
            header = make.header(make.sample_memory, rank=rank, world_size=2)
            with TraceWriter.create(tmp_path / "run", header) as writer:
                writer.append(make.sample(rank))
            paths.append(str(writer.path.relative_to(tmp_path)))
    assert paths == ["run/rank-00000", "run/rank-00001", "run-2/rank-00000", "run-2/rank-00001"]
    trace = open_trace(tmp_path / "run")
    assert (trace.header.rank, trace.name) == (0, "run/rank-00000")
    assert trace.ranks == {1: tmp_path / "run" / "rank-00001"}
    assert open_trace(trace.ranks[1])[0].labels == {"number": 1}


def test_an_error_of_a_record_writes_nothing_and_the_next_one_gets_its_id(tmp_path, make):
    with make.writer(tmp_path / "run") as writer:
        writer.append(make.sample(0))
        before = sorted(path.name for path in (writer.path / "live").iterdir())
        with pytest.raises(SchemaError):
            writer.append(make.record(1, read_weights=np.zeros((2, 2), np.float32)))
        assert sorted(path.name for path in (writer.path / "live").iterdir()) == before
        assert writer.append(make.sample(1)) == 1


def test_declare_is_on_disk_at_once_and_declaring_again_writes_nothing(tmp_path, make):
    with make.writer(tmp_path / "run") as writer:
        trace = open_trace(writer.path)
        writer.declare(make.memory("memory", make.field("extra", "time"), law="dnc", attributes={"layer": 1}))
        trace.refresh()
        assert set(trace.memories["memory"].fields) == {"read_weights", "usage", "final/count", "extra"}
        assert (trace.memories["memory"].law, trace.memories["memory"].attributes) == ("dnc", {"layer": 1})
        stamp = (writer.path / "trace.json").stat()
        writer.declare(make.memory("memory", make.field("extra", "time")))
        assert (writer.path / "trace.json").stat().st_ino == stamp.st_ino
        with pytest.raises(SchemaError, match="axes cannot change"):
            writer.declare(make.memory("memory", make.field("extra", "time slot")))


def test_a_field_may_change_dtype_and_shape_and_records_keep_their_own(tmp_path, make):
    values = [np.full((2, 3), i, np.float32) for i in range(3)] + [np.full((2, 5), i, np.float64) for i in range(3)]
    with make.writer(tmp_path / "run", make.memory("memory", make.field("usage", "time slot"))) as writer:
        for array in values[:3]:
            writer.append(make.record(0, usage=array))
        with pytest.raises(SchemaError, match="declared as float32, got float64"):
            writer.append(make.record(0, usage=values[3]))
        writer.declare(make.memory("memory", make.field("usage", "time slot", "float64")))
        for array in values[3:]:
            writer.append(make.record(0, usage=array))
    trace = open_trace(writer.path)
    assert sorted(path.name for path in (writer.path / "sealed").iterdir()) == [
        "r00000000-r00000002",
        "r00000003-r00000005",
    ]
    for record, array in zip(trace, values, strict=True):
        assert record["usage"].dtype == array.dtype
        assert record.schema("usage").dtype == array.dtype.name
        np.testing.assert_array_equal(record["usage"], array)


def test_records_of_alternating_layouts_share_segments_that_interleave(tmp_path, make):
    with make.writer(tmp_path / "run", make.memory("memory", make.field("usage", "slot")), seal_every=8) as writer:
        for i in range(8):
            writer.append(make.record(i, usage=np.full(3 + i % 2, i, np.float32)))
    assert sorted(path.name for path in (writer.path / "sealed").iterdir()) == [
        "r00000000-r00000006",
        "r00000001-r00000007",
    ]
    trace = open_trace(writer.path)
    assert trace.steps.tolist() == list(range(8))
    assert [float(record["usage"][0]) for record in trace] == list(range(8))


def test_it_seals_every_so_many_records(tmp_path, make):
    with make.writer(tmp_path / "run", seal_every=4) as writer:
        counts = []
        for i in range(9):
            writer.append(make.sample(i))
            counts.append(len(list((writer.path / "live").iterdir())))
        assert counts == [1, 2, 3, 0, 1, 2, 3, 0, 1]
    with pytest.raises(SchemaError, match="seal_every counts records"):
        make.writer(tmp_path / "other", seal_every=0)


def test_large_records_are_sealed_sooner(tmp_path, make, monkeypatch):
    monkeypatch.setattr("memviz.trace.writer._SEAL_BYTES", 2500)
    memory = make.memory("memory", make.field("usage", "slot"))
    with make.writer(tmp_path / "run", memory) as writer:
        for i in range(5):
            writer.append(make.record(i, usage=np.zeros(200, np.float32)))
        assert sorted(path.name for path in (writer.path / "sealed").iterdir()) == ["r00000000-r00000002"]
        assert len(list((writer.path / "live").iterdir())) == 2


def test_the_size_limit_refuses_a_record_and_keeps_the_trace_whole(tmp_path, make):
    with make.writer(tmp_path / "run", limit=40_000) as writer:
        half_seen = None

        def fill():
            nonlocal half_seen
            for i in range(1000):
                writer.append(make.sample(i))
                if half_seen is None and writer.over_half:
                    half_seen = writer.nbytes

        with pytest.raises(TraceFull, match=r"exceed its limit of 40000"):
            fill()
        assert 20_000 < half_seen < 22_000
        assert writer.nbytes <= 40_000
        assert issubclass(TraceFull, TraceError)
        written = writer.records
        writer.event(Event("stopped", "the trace is full", 0.0))
    trace = open_trace(writer.path)
    assert len(trace) == written > 20
    assert [event.kind for event in trace.events][-2:] == ["stopped", "closed"]


def test_nbytes_follows_what_is_on_disk(tmp_path, make):
    with make.writer(tmp_path / "run", seal_every=4) as writer:
        for i in range(7):
            writer.append(make.sample(i))
            writer.log(i, {"loss": 0.5})
        on_disk = sum(path.stat().st_size for path in writer.path.rglob("*") if path.is_file())
        assert abs(writer.nbytes - on_disk) <= 200  # the owner in the lock file is counted once or twice
        assert open_trace(writer.path).nbytes <= on_disk


@pytest.mark.parametrize(
    ("scalars", "message"),
    [
        ({"step": 1.0}, "may not be named 'step'"),
        ({"wall": 1.0}, "may not be named 'wall'"),
        ({"loss": "low"}, "not a number"),
        ({"loss": np.zeros(3)}, "not a number"),
    ],
)
def test_scalars_are_checked(tmp_path, make, scalars, message):
    with make.writer(tmp_path / "run") as writer:
        with pytest.raises(SchemaError, match=message):
            writer.log(1, scalars)
        writer.log(1, {"loss": np.float32(0.5), "count": 3, "flag": True})
        assert {name: float(series.values[0]) for name, series in open_trace(writer.path).scalars.items()} == {
            "loss": 0.5,
            "count": 3.0,
            "flag": 1.0,
        }


def test_a_line_too_long_for_readers_is_refused(tmp_path, make):
    with make.writer(tmp_path / "run") as writer:
        with pytest.raises(SchemaError, match="at most 1048576 fit"):
            writer.event(Event("note", "x" * 2**20, 0.0))
        with pytest.raises(SchemaError, match="cannot be written as JSON"):
            writer.event(Event("note", "x", 0.0, data={"what": object()}))
        writer.event(Event("note", "short", 0.0))
        assert [event.message for event in open_trace(writer.path).events][-1] == "short"


def test_a_closed_writer_says_so(tmp_path, make):
    writer = make.writer(tmp_path / "run")
    writer.close()
    writer.close()
    for call in (lambda: writer.append(make.sample(0)), lambda: writer.log(0, {}), writer.seal, writer.flush):
        with pytest.raises(TraceClosed, match="resume=True"):
            call()


def test_flush_syncs_the_records_that_were_not_synced_yet(tmp_path, make, monkeypatch):
    synced = []
    with make.writer(tmp_path / "run") as writer:
        writer.append(make.sample(0))
        real = os.fsync
        monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(os.readlink(f"/proc/self/fd/{fd}")), real(fd)))
        writer.flush()
        writer.flush()
        names = [os.path.basename(name) for name in synced]
        assert names == ["r00000000.safetensors", "scalars.jsonl", "events.jsonl", "scalars.jsonl", "events.jsonl"]


def test_a_forked_child_does_not_keep_the_lock_of_its_parent(tmp_path, make):
    """A data loader worker that outlives a killed training must not make its trace look alive."""
    code = f"""
import os, sys, time
sys.path[:0] = {sys.path!r}
from memviz.trace.writer import TraceWriter
from memviz.trace.schema import TraceHeader
writer = TraceWriter.create(sys.argv[1], TraceHeader('', 1.0, 'run'))
child = os.fork()
if child == 0:
    os.close(1); time.sleep(30); os._exit(0)
print(child, flush=True)
os.kill(os.getpid(), 9)
"""
    process = subprocess.run([sys.executable, "-c", code, tmp_path / "run"], stdout=subprocess.PIPE, check=False)
    child = int(process.stdout)
    try:
        assert open_trace(tmp_path / "run").state == "interrupted"
    finally:
        os.kill(child, 9)
