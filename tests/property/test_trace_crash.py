"""Real processes: killed at random moments, and read while they write and seal."""

from __future__ import annotations

import importlib.util
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from memviz.trace.reader import open_trace
from memviz.trace.repair import repair

WRITER = Path(__file__).with_name("writing_process.py")


def values(record: int):
    spec = importlib.util.spec_from_file_location("writing_process", WRITER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.values(record)


def start(trace: Path, acknowledged: Path, count: int, seal_every: int, pause: float = 0.0) -> subprocess.Popen:
    arguments = [trace, acknowledged, count, seal_every, pause]
    return subprocess.Popen([sys.executable, str(WRITER), *map(str, arguments)], stderr=subprocess.PIPE)


def assert_record(record) -> None:
    expected = values(record.id)
    assert (record.step, record.forward, record.labels) == (record.id * 10, record.id, {"record": record.id})
    assert set(record.stored) == set(expected)
    for name, array in expected.items():
        found = record[name]
        assert (found.dtype, found.shape, found.tobytes()) == (array.dtype, array.shape, array.tobytes()), name


def snapshot_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def kill_and_check(folder: Path, kills: int, seed: int) -> None:
    """Kill a writer again and again at random moments; what it acknowledged must be there each time."""
    chance = random.Random(seed)
    trace, acknowledged = folder / "run", folder / "acknowledged"
    for _ in range(kills):
        process = start(trace, acknowledged, 100_000, chance.choice([3, 8, 20]))
        before = acknowledged.stat().st_size if acknowledged.exists() else 0
        while not acknowledged.exists() or acknowledged.stat().st_size == before:
            assert process.poll() is None, process.stderr.read().decode()
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.25))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stderr.close()
        told = acknowledged.read_bytes().split(b"\n")[:-1]
        view = open_trace(trace)
        assert view.state == "interrupted"
        # One record may be committed whose acknowledgement was not written any more.
        assert len(told) <= len(view) <= max(len(told) + 1, int(told[-1]) + 2)
        assert view.ids.tolist() == list(range(len(view)))
        for record in view:
            assert_record(record)
        assert len(view.scalars["loss"]) >= len(told)
        if chance.random() < 0.5:
            assert repair(trace).records == len(view)
            files = snapshot_of(trace)
            assert not repair(trace).changed
            assert snapshot_of(trace) == files
            for record in open_trace(trace):
                assert_record(record)


def test_kill_9_loses_nothing_acknowledged(tmp_path):
    kill_and_check(tmp_path, kills=5, seed=1)


@pytest.mark.slow
def test_kill_9_loses_nothing_acknowledged_fifty_times(tmp_path):
    for round_ in range(10):
        kill_and_check(tmp_path / str(round_), kills=5, seed=100 + round_)


def test_a_reader_misses_nothing_while_a_process_writes_and_seals(tmp_path):
    process = start(tmp_path / "run", tmp_path / "acknowledged", 400, 16)
    while not (tmp_path / "run" / "trace.json").exists():
        assert process.poll() is None, process.stderr.read().decode()
        time.sleep(0.002)
    trace = open_trace(tmp_path / "run")
    held, state = [], "live"
    while state == "live":
        state = trace.state
        seen = len(trace)
        assert seen + trace.refresh() == len(trace)
        assert trace.ids.tolist() == list(range(len(trace)))
        fresh = [trace[i] for i in range(len(held), len(trace))]
        held += fresh
        for record in [*fresh, *random.sample(held, min(len(held), 5))]:
            assert_record(record)  # records held from when they were live are read after they were sealed, too
    assert process.wait() == 0
    process.stderr.close()
    assert state == "closed"
    assert len(held) == 400
    assert not trace.notes
    for record in [*held, *open_trace(tmp_path / "run")]:
        assert_record(record)


def test_tail_yields_every_record_once_and_ends_at_close(tmp_path):
    process = start(tmp_path / "run", tmp_path / "acknowledged", 120, 16, pause=0.002)
    while not (tmp_path / "run" / "trace.json").exists():
        assert process.poll() is None, process.stderr.read().decode()
        time.sleep(0.002)
    assert [record.id for record in open_trace(tmp_path / "run").tail()] == list(range(120))
    assert process.wait() == 0
    process.stderr.close()


def test_tail_ends_after_its_timeout_and_when_the_writer_is_killed(tmp_path):
    process = start(tmp_path / "run", tmp_path / "acknowledged", 3, 16, pause=30)
    acknowledged = tmp_path / "acknowledged"
    while not acknowledged.exists() or not acknowledged.stat().st_size:
        assert process.poll() is None, process.stderr.read().decode()
        time.sleep(0.002)
    trace = open_trace(tmp_path / "run")
    assert [record.id for record in trace.tail(timeout=0.1)] == [0]
    assert trace.state == "live"
    process.kill()
    process.wait()
    process.stderr.close()
    assert [record.id for record in trace.tail()] == [0]
    assert trace.state == "interrupted"
