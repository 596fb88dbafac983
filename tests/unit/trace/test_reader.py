from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import memviz
from memviz.errors import RecordError, TraceCorrupt, TraceNotFound, TraceVersionError
from memviz.trace import lock
from memviz.trace.reader import open_trace
from memviz.trace.schema import Event


def test_a_path_without_a_trace_says_what_was_expected(tmp_path, make):
    with pytest.raises(TraceNotFound, match="does not exist"):
        open_trace(tmp_path / "nowhere")
    with pytest.raises(TraceNotFound, match="holds no trace"):
        open_trace(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(TraceNotFound, match="holds no trace"):
        open_trace(tmp_path / "file")
    path = make.trace(tmp_path / "run", count=1)
    (path / "trace.json").unlink()
    with pytest.raises(TraceCorrupt, match=r"holds records but no trace\.json"):
        open_trace(path)


def test_a_newer_format_is_refused_by_name(tmp_path, make):
    path = make.trace(tmp_path / "run", count=1)
    header = json.loads((path / "trace.json").read_text())
    (path / "trace.json").write_text(json.dumps({**header, "format_version": 2, "memviz_version": "3.0"}))
    with pytest.raises(TraceVersionError, match=r"format version 2, written by memviz '3.0'; this memviz reads up to"):
        open_trace(path)


def test_memviz_open_is_this(tmp_path, make):
    assert len(memviz.open(str(make.trace(tmp_path / "run", count=3)))) == 3


def test_it_is_a_sequence_of_records(tmp_path, make):
    trace = open_trace(make.trace(tmp_path / "run", count=6, seal_every=4))
    assert [record.id for record in trace] == list(range(6))
    assert trace[-1].id == trace[5].id == trace[np.int64(5)].id == 5
    for position in (6, -7):
        with pytest.raises(RecordError, match=f"6 records, so there is none at position {position}"):
            trace[position]
    with pytest.raises(TypeError, match="indexed by one position"):
        trace[1:3]
    assert trace.steps.tolist() == [0, 10, 20, 30, 40, 50]
    assert trace.walls.tolist() == [1e9 + i for i in range(6)]


def test_at_finds_the_last_record_at_or_before_a_step(tmp_path, make):
    trace = open_trace(make.trace(tmp_path / "run", count=4))
    assert [trace.at(step).id for step in (0, 5, 10, 29, 30, 10**9)] == [0, 0, 1, 2, 3, 3]
    with pytest.raises(RecordError, match="no record at or before step -1; its first one is of step 0"):
        trace.at(-1)
    with pytest.raises(RecordError, match="it has none yet"):
        open_trace(make.trace(tmp_path / "empty", count=0)).at(3)


def test_at_prefers_the_later_record_of_a_step_that_was_trained_twice(tmp_path, make):
    with make.writer(tmp_path / "run", seal_every=2) as writer:
        for step in (0, 10, 20, 10, 20, 30):  # resumed from the checkpoint of step 10
            writer.append(make.record(step))
    trace = open_trace(writer.path)
    assert [trace.at(step).id for step in (9, 10, 15, 20, 30)] == [0, 3, 3, 4, 5]


def test_state_follows_the_life_of_the_writer(tmp_path, make):
    writer = make.writer(tmp_path / "run")
    trace = open_trace(writer.path)
    assert trace.state == "live"
    writer._close_files()
    assert trace.state == "interrupted"
    writer = make.writer(tmp_path / "run", resume=True)
    assert trace.state == "live"
    writer.close()
    assert trace.state == "closed"
    make.writer(tmp_path / "run", resume=True)._close_files()
    assert trace.state == "interrupted"


def test_asking_for_the_state_never_keeps_a_writer_out(tmp_path, make):
    """Readers hold the lock for a moment to find out; a writer that starts then must wait, not give up."""
    path = make.trace(tmp_path / "run", count=1)
    stop = threading.Event()

    def ask():
        trace = open_trace(path)
        while not stop.is_set():
            assert trace.state in ("live", "closed", "interrupted")

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(30):
            make.writer(path, resume=True).close()
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_without_flock_reading_works_and_the_process_id_guards(tmp_path, make, monkeypatch):
    def unsupported(fd, operation):
        raise OSError(lock.errno.ENOLCK, "no locks here")

    monkeypatch.setattr(lock.fcntl, "flock", unsupported)
    writer = make.writer(tmp_path / "run")
    writer.append(make.sample(0))
    trace = open_trace(writer.path)
    assert trace.state == "live"
    with pytest.raises(memviz.MemvizError, match="is being written by process"):
        make.writer(tmp_path / "run", resume=True)
    writer.close()
    assert trace.state == "closed"
    assert trace[0].labels == {"number": 0}
    make.writer(tmp_path / "run", resume=True)._close_files()
    (writer.path / "writer.lock").write_text(json.dumps({"pid": 2**22 + 1, "host": lock.socket.gethostname()}))
    assert trace.state == "interrupted"  # that process is gone
    (writer.path / "writer.lock").write_text(json.dumps({"pid": 1, "host": "elsewhere"}))
    assert trace.state == "live"  # cannot be known, and something was written a moment ago
    for name in ("trace.json", "scalars.jsonl", "events.jsonl", "live", "sealed"):
        os.utime(writer.path / name, (1, 1))
    assert trace.state == "interrupted"


def test_refresh_counts_new_records_and_sees_new_scalars_events_and_fields(tmp_path, make):
    writer = make.writer(tmp_path / "run", seal_every=3)
    trace = open_trace(writer.path)
    assert (trace.refresh(), len(trace), len(trace.scalars), trace.dropped) == (0, 0, 0, 0)
    for i in range(4):
        writer.append(make.sample(i))
    writer.log(5, {"loss": 1.5})
    writer.event(Event("gap", "two lost", 0.0, data={"dropped": 2}))
    writer.event(Event("gap", "three lost", 0.0, data={"dropped": 3, "reason": "queue full"}))
    assert len(trace) == 0
    assert trace.refresh() == 4
    assert trace.scalars["loss"].values.tolist() == [1.5]
    assert trace.dropped == 5
    assert [event.kind for event in trace.events] == ["opened", "gap", "gap"]
    before = trace.scalars["loss"]
    writer.log(6, {"loss": 2.5, "accuracy": 0.5})
    trace.refresh()
    assert trace.scalars["loss"].steps.tolist() == [5, 6]
    assert before.steps.tolist() == [5]
    assert set(trace.scalars) == {"loss", "accuracy"}
    assert trace.refresh() == 0
    writer.close()


def test_a_header_that_breaks_later_is_told_and_the_old_one_kept(tmp_path, make):
    path = make.trace(tmp_path / "run", count=2)
    trace = open_trace(path)
    good = (path / "trace.json").read_bytes()
    (path / "trace.json").write_bytes(b"{")
    trace.refresh()
    assert any("going on with what it said before" in note for note in trace.notes)
    assert trace[0]["final/count"] == 0
    (path / "trace.json").write_bytes(good)
    trace.refresh()
    assert not trace.notes


def test_notes_tell_of_a_torn_line_once_nobody_writes(tmp_path, make):
    writer = make.writer(tmp_path / "run")
    writer.log(0, {"loss": 1.0})
    trace = open_trace(writer.path)
    with (writer.path / "scalars.jsonl").open("ab") as file:
        file.write(b'{"step":1,"wal')
    assert trace.scalars["loss"].values.tolist() == [1.0]
    assert not trace.notes  # the rest of the line may come
    writer._close_files()
    assert trace.notes == ["scalars.jsonl: 14 bytes of a torn last line left out"]


def test_sizes_and_times(tmp_path, make):
    before = time.time()
    path = make.trace(tmp_path / "run", count=5, seal_every=4)
    trace = open_trace(path)
    assert before - 1 <= trace.last_write <= time.time() + 1
    on_disk = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    assert trace.nbytes == on_disk - (path / "writer.lock").stat().st_size
    assert "5 records of memory, closed" in repr(trace)


def test_many_threads_may_read_one_trace_while_it_is_written(tmp_path, make):
    writer = make.writer(tmp_path / "run", seal_every=5)
    trace = open_trace(writer.path)
    failures, stop = [], threading.Event()

    def read():
        rng = np.random.default_rng()
        while not stop.is_set():
            trace.refresh()
            if len(trace):
                i = int(rng.integers(len(trace)))
                found, expected = trace[i]["read_weights"], make.sample(i).fields["memory/read_weights"]
                if found.tobytes() != expected.tobytes():
                    failures.append(i)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for i in range(60):
        writer.append(make.sample(i))
    writer.close()
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures
    trace.refresh()
    assert len(trace) == 60


def test_reading_holds_no_file_open(tmp_path, make):
    path = make.trace(tmp_path / "run", count=9, seal_every=4, close=False)
    trace = open_trace(path)
    for record in trace:
        record["read_weights"]
    # tensorstore closes a file on a thread of its own, which may run a moment after it has answered.
    deadline = time.monotonic() + 10
    while (still_open := _open_files_below(path)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not still_open


def _open_files_below(path):
    found = []
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # closed since it was listed
            found.append(os.readlink(f"/proc/self/fd/{fd}"))
    return [name for name in found if str(path) in name]


def test_listing_a_sealed_trace_reads_no_array_and_loads_no_library(tmp_path, make):
    path = make.trace(tmp_path / "run", count=9, seal_every=4)
    for file in path.glob("sealed/*/memory/**/*"):
        if file.is_file():
            file.write_bytes(b"")  # whoever read this would fail
    code = (
        "import sys; from memviz.trace.reader import open_trace; trace = open_trace(sys.argv[1]); "
        "print(len(trace), trace.steps[-1], trace[8].lengths, trace[0].shape('read_weights'), "
        "{'tensorstore', 'torch', 'xarray', 'zarr'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert done.stdout == "9 80 {'memory': 4} (2, 2, 3) set()\n"
