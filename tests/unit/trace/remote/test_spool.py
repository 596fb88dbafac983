from __future__ import annotations

import json

import numpy as np
import pytest

import memviz
from memviz.errors import SpoolFull
from memviz.trace.remote.spool import SPOOL_FILE, SpoolWriter, spool_folder


def started(folder, make, limit=2**20):
    header = make.header(make.sample_memory)
    return SpoolWriter.start(folder, header, {"url": "memviz://host:1/copy", "session": "0" * 32}, limit)


def test_a_spool_is_a_trace_of_what_has_not_arrived(tmp_path, make):
    seen = []
    writer = started(tmp_path / "spool", make)
    writer.on_change = lambda: seen.append(1)
    for i in range(300):
        writer.append(make.sample(i % 3))
    writer.log(0, {"loss": 1.0})
    assert len(seen) == 301
    for record in range(298):
        writer.release(record)
    writer.release(5)  # gone already
    writer.close()
    assert len(memviz.open(tmp_path / "spool")) == 2
    assert json.loads((tmp_path / "spool" / SPOOL_FILE).read_text())["url"] == "memviz://host:1/copy"


def test_a_full_spool_takes_records_again_when_some_have_arrived(tmp_path, make):
    writer = started(tmp_path / "spool", make, limit=60_000)
    record = make.record(0, read_weights=np.zeros((10, 10, 100), np.float32))
    assert writer.append(record) == 0
    with pytest.raises(SpoolFull, match=r"wait in .* is the server up"):
        writer.append(record)
    writer.release(0)
    assert writer.append(record) == 1
    writer.close()


def test_where_spools_go_can_be_said(tmp_path, monkeypatch):
    monkeypatch.setenv("MEMVIZ_SPOOL", str(tmp_path))
    assert spool_folder("copy", "0123456789") == tmp_path / "copy-01234567"
