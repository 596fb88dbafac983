"""What a replica takes, what it refuses, and that sending twice changes nothing."""

from __future__ import annotations

import json

import numpy as np
import pytest

import memviz
from memviz.errors import SchemaError, TraceCorrupt, TraceFull, TraceLocked, TraceVersionError
from memviz.trace import layout
from memviz.trace.live import encode_record
from memviz.trace.remote.replica import OutOfPlace, Replica

SESSION = "0123456789abcdef" * 2


@pytest.fixture
def header(make):
    return json.loads(json.dumps(make.header(make.sample_memory).to_json()))


def body(data):
    return b"".join(encode_record(data)[0])


def opened(tmp_path, header, session=SESSION, run="copy", **options):
    return Replica.open(tmp_path, run, session, header, **options)


def test_what_is_sent_becomes_a_trace(tmp_path, header, make):
    replica = opened(tmp_path, header)
    for i in range(5):
        assert replica.put_record(i, body(make.sample(i))).records == i + 1
    replica.put_lines("scalars", 0, b'{"step":0,"wall":1.0,"loss":0.5}\n')
    replica.close()
    trace = memviz.open(tmp_path / "copy")
    assert len(trace) == 5
    assert trace[3]["usage"].tobytes() == make.sample(3).fields["memory/usage"].tobytes()
    assert trace.scalars["loss"].values.tolist() == [0.5]
    assert trace.notes == []
    assert not (tmp_path / "copy" / "incoming").exists()


def test_sending_twice_changes_nothing_and_a_session_is_gone_on_with(tmp_path, header, make):
    first = opened(tmp_path, header)
    first.put_record(0, body(make.sample(0)))
    line = b'{"step":0,"wall":1.0,"loss":0.5}\n'
    first.put_lines("scalars", 0, line)
    with pytest.raises(TraceLocked):
        opened(tmp_path, header)
    first.close()
    again = opened(tmp_path, header)
    assert again.path == tmp_path / "copy"
    assert again.state.to_json() == {"records": 1, "scalars": len(line), "events": 0}
    again.put_record(0, body(make.sample(4)))  # not taken: record 0 is there
    again.put_lines("scalars", 0, line + line)  # only the second is new
    again.put_record(1, body(make.sample(1)))
    again.close()
    trace = memviz.open(tmp_path / "copy")
    assert [record.step for record in trace] == [0, 10]
    assert len(trace.scalars["loss"].values) == 2


def test_another_session_goes_beside(tmp_path, header, make):
    opened(tmp_path, header).close()
    other = opened(tmp_path, header, session="f" * 32)
    assert other.path == tmp_path / "copy-2"
    other.close()
    ranked = {**header, "rank": 1, "world_size": 2}
    rank = opened(tmp_path, ranked, run="many")
    assert rank.path == tmp_path / "many" / "rank-00001"
    with pytest.raises(SchemaError, match="rank"):
        rank.put_header({**ranked, "rank": 0})
    rank.close()


@pytest.mark.parametrize("run", ["", "..", "a/b", "/etc", ".hidden", "a\nb", "x" * 200])
def test_a_run_cannot_be_named_out_of_its_folder(tmp_path, header, run):
    with pytest.raises(SchemaError, match="cannot name a run"):
        opened(tmp_path / "runs", header, run=run)
    assert not (tmp_path / "runs").exists()


def test_what_is_no_header_is_refused(tmp_path, header):
    with pytest.raises(SchemaError, match="32 hexadecimal"):
        opened(tmp_path, header, session="../" * 4)
    with pytest.raises(TraceVersionError):
        opened(tmp_path, {**header, "format_version": 99})
    for wrong in ({"created": "x"}, {"memories": []}, {"memories": {"a": {"name": "b"}}}, {"rank": 4}):
        with pytest.raises(SchemaError):
            opened(tmp_path, {**header, **wrong})


def test_a_record_is_checked_before_it_is_one(tmp_path, header, make):
    replica = opened(tmp_path, header, limit=200_000)
    good = body(make.sample(0))
    for bad in (b"", b"x" * 100, good[:-1], good + b"0", b"\xff" * 8 + good[8:]):
        with pytest.raises(TraceCorrupt):
            replica.put_record(0, bad)
    undeclared = make.record(0, read_weights=np.zeros((2, 2, 3), np.float32), other=np.zeros(2, np.float32))
    with pytest.raises(SchemaError, match="declares no field"):
        replica.put_record(0, body(undeclared))
    with pytest.raises(SchemaError, match="axes"):
        replica.put_record(0, body(make.record(0, read_weights=np.zeros(3, np.float32))))
    with pytest.raises(TraceFull):
        replica.put_record(0, body(make.record(0, read_weights=np.zeros((100, 10, 100), np.float32))))
    assert list((replica.path / layout.LIVE).iterdir()) == []
    assert replica.put_record(0, good).records == 1
    replica.close()


def test_lines_are_checked_before_they_are_kept(tmp_path, header):
    replica = opened(tmp_path, header)
    with pytest.raises(OutOfPlace) as missed:
        replica.put_lines("events", 10, b"{}\n")
    assert missed.value.state.events == 0
    for bad in (b"{", b"[]\n", b"{}", b'{"a":' + b"1" * 2**21 + b"}\n"):
        with pytest.raises(TraceCorrupt):
            replica.put_lines("events", 0, bad)
    with pytest.raises(SchemaError):
        replica.put_lines("trace.json", 0, b"{}\n")
    assert replica.put_lines("events", 0, b'{"kind":"note"}\n').events == 16
    replica.close()
    assert (tmp_path / "copy" / "events.jsonl").read_bytes() == b'{"kind":"note"}\n'


def test_many_records_are_packed_while_they_come(tmp_path, header, make, monkeypatch):
    monkeypatch.setattr("memviz.trace.remote.replica._SEAL_EVERY", 4)
    replica = opened(tmp_path, header)
    for i in range(9):
        replica.put_record(i, body(make.sample(i % 3)))
    assert len(list((replica.path / layout.LIVE).iterdir())) == 1
    replica.close()
    assert len(memviz.open(tmp_path / "copy")) == 9
