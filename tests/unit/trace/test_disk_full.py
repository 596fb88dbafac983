"""When the disk refuses, what was committed stays whole, nothing half written stays, and writing can go on later."""

from __future__ import annotations

import errno
import os
import subprocess

import numpy as np
import pytest

from memviz.trace.reader import open_trace
from memviz.trace.schema import Event


class FaultyDisk:
    """Accepts `room` bytes through os.writev, then fails as a full or broken disk does, mid-write."""

    def __init__(self, monkeypatch, code=errno.ENOSPC):
        self.room = None
        self.code = code
        self._real = os.writev
        monkeypatch.setattr(os, "writev", self._writev)

    def _writev(self, fd, buffers):
        if self.room is None:
            return self._real(fd, buffers)
        if self.room <= 0:
            raise OSError(self.code, os.strerror(self.code))
        # A short write first, as the kernel does when only a part fits.
        data = b"".join(buffers)[: self.room]
        self.room -= len(data)
        return os.write(fd, data)


def files(path):
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
@pytest.mark.parametrize("room", [0, 1, 200, 400])
def test_a_refused_append_leaves_the_trace_as_it_was(tmp_path, make, monkeypatch, code, room):
    disk = FaultyDisk(monkeypatch, code)
    writer = make.writer(tmp_path / "run")
    for i in range(3):
        writer.append(make.sample(i))
    before = files(writer.path)
    disk.room = room
    with pytest.raises(OSError, match=os.strerror(code)):
        writer.append(make.sample(3))
    assert files(writer.path) == before
    assert [record["final/count"] for record in open_trace(writer.path)] == [0, 1, 2]
    disk.room = None
    assert writer.append(make.sample(3)) == 3
    writer.close()
    assert len(open_trace(writer.path)) == 4


@pytest.mark.parametrize("room", [0, 5])
def test_a_refused_line_leaves_no_part_of_it(tmp_path, make, monkeypatch, room):
    disk = FaultyDisk(monkeypatch)
    with make.writer(tmp_path / "run") as writer:
        writer.log(0, {"loss": 1.0})
        disk.room = room
        with pytest.raises(OSError, match="No space"):
            writer.log(1, {"loss": 2.0})
        with pytest.raises(OSError, match="No space"):
            writer.event(Event("note", "text", 0.0))
        disk.room = None
        writer.log(2, {"loss": 3.0})
    trace = open_trace(writer.path)
    assert trace.scalars["loss"].steps.tolist() == [0, 2]
    assert not trace.notes


def test_a_refused_declaration_keeps_the_old_header(tmp_path, make, monkeypatch):
    disk = FaultyDisk(monkeypatch)
    with make.writer(tmp_path / "run") as writer:
        before = files(writer.path)
        disk.room = 10
        with pytest.raises(OSError, match="No space"):
            writer.declare(make.memory("other"))
        assert files(writer.path) == before
        disk.room = None
        assert "other" not in writer.header.memories
        writer.declare(make.memory("other"))
        assert "other" in open_trace(writer.path).memories


def test_a_seal_that_is_refused_keeps_the_records_live_and_says_so(tmp_path, make, monkeypatch):
    disk = FaultyDisk(monkeypatch)
    writer = make.writer(tmp_path / "run", seal_every=3)
    writer.append(make.sample(0))
    writer.append(make.sample(1))
    disk.room = 2000  # enough for the record, not for the segment
    assert writer.append(make.sample(2)) == 2
    disk.room = None
    assert list((writer.path / "sealed").iterdir()) == []
    assert len(list((writer.path / "live").iterdir())) == 3
    disk.room = 100
    with pytest.raises(OSError, match="No space"):
        writer.seal()
    disk.room = None
    assert list((writer.path / "sealed").iterdir()) == []
    trace = open_trace(writer.path)
    assert [record.labels for record in trace] == [{"number": i} for i in range(3)]
    writer.close()
    trace.refresh()
    assert not list((writer.path / "live").iterdir())
    assert [record.labels for record in trace] == [{"number": i} for i in range(3)]


def test_create_that_is_refused_lets_go_of_the_lock(tmp_path, make, monkeypatch):
    disk = FaultyDisk(monkeypatch)
    disk.room = 20
    with pytest.raises(OSError, match="No space"):
        make.writer(tmp_path / "run")
    disk.room = None
    with make.writer(tmp_path / "run") as writer:
        assert writer.path.name == "run"


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of 600 KB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(folder)], check=False)
    if mount.returncode:
        pytest.skip("needs root to mount a tmpfs")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_real_disk_that_fills_up(small_disk, make):
    memory = make.memory("memory", make.field("usage", "slot"))
    writer = make.writer(small_disk / "run", memory, seal_every=10)

    def values(i):
        return np.random.default_rng(i).random(5_000, np.float32)

    def fill():
        for i in range(1000):
            writer.append(make.record(i, usage=values(i)))

    with pytest.raises(OSError, match="No space left"):
        fill()
    written = writer.records
    assert written > 15
    trace = open_trace(writer.path)
    assert len(trace) == written
    for record in trace:
        np.testing.assert_array_equal(record["usage"], values(record.id))
    assert not list(writer.path.rglob("*.partial"))
    writer._close_files()
    for record in range(written - 1, written - 6, -1):  # make room again
        (writer.path / "live" / f"r{record:08d}.safetensors").unlink(missing_ok=True)
    left = len(open_trace(writer.path))
    assert left < written
    with make.writer(writer.path, memory, resume=True) as resumed:
        resumed.append(make.record(0, usage=values(0)))
        assert len(open_trace(writer.path)) == left + 1
