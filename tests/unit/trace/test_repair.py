from __future__ import annotations

import json
import shutil

import pytest

from memviz.errors import TraceCorrupt, TraceLocked, TraceNotFound
from memviz.trace.reader import open_trace
from memviz.trace.repair import repair
from memviz.trace.writer import TraceWriter


def test_a_sound_trace_is_left_as_it_is(tmp_path, make):
    path = make.trace(tmp_path / "run", count=5)
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    report = repair(path)
    assert not report.changed
    assert report.records == 5
    assert str(report) == f"nothing to repair\n{path}: 5 records"
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before


def test_what_a_crash_left_is_brought_in_order(tmp_path, make):
    path = make.trace(tmp_path / "run", count=7, seal_every=4, close=False)
    (path / "trace.json.partial").write_text("{")
    (path / "live" / "r00000007.safetensors.partial").write_bytes(b"half")
    (path / "sealed" / "r00000004-r00000006.partial" / "memory").mkdir(parents=True)
    with (path / "scalars.jsonl").open("ab") as file:
        file.write(b'{"step": 70')
    (path / "live" / "r00000005.safetensors").write_bytes(b"nothing")
    report = repair(path)
    assert report.removed == [
        "trace.json.partial",
        "live/r00000007.safetensors.partial",
        "sealed/r00000004-r00000006.partial",
    ]
    assert list(report.quarantined) == ["live/r00000005.safetensors"]
    assert report.trimmed == {"scalars.jsonl": 11}
    assert (report.sealed, report.records) == (2, 6)
    text = str(report)
    for part in ("removed trace.json.partial", "to quarantine/", "cut 11 bytes", "sealed 2 records", "6 records"):
        assert part in text
    assert (path / "quarantine" / "r00000005.safetensors").read_bytes() == b"nothing"
    trace = open_trace(path)
    assert trace.ids.tolist() == [0, 1, 2, 3, 4, 6]
    assert trace.state == "interrupted"
    assert not trace.notes
    assert not repair(path).changed


def test_nothing_in_quarantine_is_written_over(tmp_path, make):
    path = make.trace(tmp_path / "run", count=2, close=False)
    (path / "quarantine").mkdir()
    (path / "quarantine" / "r00000001.safetensors").write_bytes(b"older")
    (path / "live" / "r00000001.safetensors").write_bytes(b"newer")
    repair(path)
    assert (path / "quarantine" / "r00000001.safetensors").read_bytes() == b"older"
    assert (path / "quarantine" / "r00000001.safetensors.1").read_bytes() == b"newer"


def test_a_live_trace_is_refused(tmp_path, make):
    with make.writer(tmp_path / "run") as writer:
        writer.append(make.sample(0))
        with pytest.raises(TraceLocked, match=r"is being written by process .* needs no repair"):
            repair(writer.path)
        assert len(list((writer.path / "live").iterdir())) == 1


def test_records_sealed_and_still_live_count_once(tmp_path, make):
    path = make.trace(tmp_path / "run", count=3, close=False)
    held = tmp_path / "held"
    shutil.copytree(path / "live", held)
    repair(path)
    for file in held.iterdir():
        shutil.copy(file, path / "live")
    assert len(open_trace(path)) == 3
    assert repair(path).records == 3
    assert not list((path / "live").iterdir())


def test_a_rescue_cut_short_is_finished_by_the_next_one(tmp_path, make, monkeypatch):
    """Killed between the rescue and setting the damaged segment aside: nothing doubles, nothing is lost."""
    from memviz.trace import repair as module

    path = make.trace(tmp_path / "run", count=4)
    (segment,) = (path / "sealed").iterdir()
    shutil.rmtree(segment / "memory" / "usage" / "c")

    def killed(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "_quarantine", killed)
        with pytest.raises(KeyboardInterrupt):
            repair(path)
    assert len(list((path / "live").iterdir())) == 4
    assert len(open_trace(path)) == 4
    report = repair(path)
    assert report.records == 4
    for i, record in enumerate(open_trace(path)):
        assert record["read_weights"].tobytes() == make.sample(i).fields["memory/read_weights"].tobytes()
        assert "usage" not in record
    assert not repair(path).changed


def test_a_missing_or_broken_header_cannot_be_repaired(tmp_path, make):
    with pytest.raises(TraceNotFound):
        repair(tmp_path)
    path = make.trace(tmp_path / "run", count=1)
    (path / "trace.json").write_text(json.dumps({"format_version": 1}))
    with pytest.raises(TraceCorrupt, match="restore it from a copy"):
        repair(path)


def test_a_run_of_several_processes_is_repaired_as_a_whole(tmp_path, make):
    for rank in range(2):
        writer = TraceWriter.create(tmp_path / "run", make.header(make.sample_memory, rank=rank, world_size=2))
        for i in range(3):
            writer.append(make.sample(i))
        writer._close_files()
    report = repair(tmp_path / "run")
    assert report.changed
    assert report.records == 6
    assert [rank.sealed for rank in report.ranks.values()] == [3, 3]
    assert str(report).count("sealed 3 records") == 2
    assert not repair(tmp_path / "run").changed
