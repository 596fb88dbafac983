"""Segments in a store, with fsspec's own file systems standing in for S3: whole, openable without memviz, and late."""

from __future__ import annotations

import threading
import time

import fsspec
import pytest

import memviz
from memviz.errors import RemoteError
from memviz.trace.destination import open_writer
from memviz.trace.remote import mirror
from memviz.trace.remote.sending import push_left


@pytest.fixture(autouse=True)
def spools(tmp_path, monkeypatch):
    monkeypatch.setenv("MEMVIZ_SPOOL", str(tmp_path / "spools"))
    return tmp_path / "spools"


def record_run(url, make, count=6, **options):
    writer = open_writer(url, make.header(make.sample_memory), limit=2**30, **options)
    writer.begin()
    for i in range(count):
        writer.append(make.sample(i))
        writer.log(i, {"loss": float(i)})
    return writer


def test_a_run_is_uploaded_whole_and_the_spool_is_gone(tmp_path, make, spools):
    url = (tmp_path / "store" / "copy").as_uri()
    record_run(url, make).close()
    trace = memviz.open(tmp_path / "store" / "copy")
    assert len(trace) == 6
    assert (trace.state, trace.notes) == ("closed", [])
    assert trace[2]["usage"].tobytes() == make.sample(2).fields["memory/usage"].tobytes()
    assert len(trace.scalars["loss"].values) == 6
    assert list(spools.iterdir()) == []
    record_run(url, make, 1).close()
    assert len(memviz.open(tmp_path / "store" / "copy-2")) == 1


def test_any_store_of_fsspec_will_do(make):
    store = fsspec.filesystem("memory")
    record_run("memory://bucket/copy", make).close()
    names = store.find("/bucket/copy")
    assert "/bucket/copy/trace.json" in names
    assert any(name.endswith("/zarr.json") and "/sealed/" in name for name in names)
    store.rm("/bucket", recursive=True)


def test_segments_go_up_while_the_run_lasts(tmp_path, make):
    writer = record_run((tmp_path / "store" / "copy").as_uri(), make, 0)
    writer.seal_every = 2
    for _ in range(4):
        writer.append(make.sample(0))
    deadline = time.monotonic() + 30
    while len(list(tmp_path.glob("store/copy/sealed/*/zarr.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(memviz.open(tmp_path / "store" / "copy")) == 4
    writer.close()


def test_a_store_that_refuses_is_told_once_and_what_waits_can_be_pushed(tmp_path, make, spools, monkeypatch):
    monkeypatch.setattr(mirror, "CLOSE_SECONDS", 0.2)
    monkeypatch.setattr(mirror.Uploader.finish, "__defaults__", (0.2,))
    blocked = tmp_path / "store"
    blocked.write_text("a file where the folder should be")
    said = []
    writer = record_run((blocked / "copy").as_uri(), make, say=said.append)
    writer.close()
    assert [line for line in said if "cannot be written" in line] == said[:1]
    assert "memviz push" in said[-1]
    blocked.unlink()
    (spool,) = spools.iterdir()
    assert "uploaded to" in push_left(spool)
    assert len(memviz.open(blocked / "copy")) == 6
    assert not spool.exists()
    assert not [thread for thread in threading.enumerate() if thread.name == "memviz-upload" and not thread.daemon]


def test_an_unknown_kind_of_store_is_one_sentence(make):
    with pytest.raises(RemoteError, match="cannot be opened"):
        record_run("nosuchstore://bucket/copy", make)
    with pytest.raises(RemoteError, match="resume=True"):
        record_run("memory://bucket/copy", make, resume=True)
