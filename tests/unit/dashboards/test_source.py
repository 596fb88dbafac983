"""The source: finds runs as they come and go, stays within bounds, and never crosses paths."""

from __future__ import annotations

import shutil
import threading

import numpy as np
import pytest

import memviz.dashboards.source as source_module
from memviz.dashboards.source import ArrayCache, Source
from memviz.errors import TraceNotFound
from memviz.testing.synthetic import write_dnc_run


class Clock:
    """Seconds that pass when told to."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def names(source):
    return [run.id for run in source.runs()]


def test_runs_appear_and_vanish_without_restart(tmp_path, clock):
    source = Source([tmp_path / "runs"], clock=clock)
    assert names(source) == []
    run = write_dnc_run(tmp_path / "runs" / "copy", steps=1)
    assert names(source) == [], "not searched again within half a second"
    clock.now += 1
    assert names(source) == ["copy"]
    assert len(source.trace("copy")) == 1
    shutil.rmtree(run.path)
    clock.now += 1
    assert names(source) == []
    with pytest.raises(TraceNotFound, match="no run 'copy'"):
        source.trace("copy")


def test_new_records_are_seen_at_the_next_refresh(tmp_path, clock):
    with write_dnc_run(tmp_path / "copy", steps=1, live=True) as run:
        source = Source([tmp_path], clock=clock)
        source.runs()
        assert len(source.trace("copy")) == 1
        run.append()
        assert len(source.trace("copy")) == 1
        clock.now += 1
        assert len(source.trace("copy")) == 2


def test_a_run_made_anew_is_another_run(tmp_path, clock):
    run = write_dnc_run(tmp_path / "copy", steps=3)
    source = Source([tmp_path], clock=clock)
    source.runs()
    before = source.identity("copy")
    assert len(source.trace("copy")) == 3
    shutil.rmtree(run.path)
    write_dnc_run(tmp_path / "copy", steps=1, seed=9)
    assert source.identity("copy") != before
    assert len(source.trace("copy")) == 1


@pytest.mark.parametrize("run", ["..", "../secret", "/etc", "copy/../../secret", "", ".", "copy/"])
def test_an_id_is_looked_up_and_never_a_path(tmp_path, run):
    write_dnc_run(tmp_path / "secret", steps=1)
    write_dnc_run(tmp_path / "runs" / "copy", steps=1)
    with pytest.raises(TraceNotFound):
        Source([tmp_path / "runs"]).trace(run)


def test_few_traces_stay_open(tmp_path, monkeypatch):
    monkeypatch.setattr(source_module, "MAX_OPEN", 2)
    for number in range(4):
        write_dnc_run(tmp_path / f"copy-{number}", steps=1)
    source = Source([tmp_path])
    first = source.trace("copy-0")
    assert source.trace("copy-0") is first
    for run in names(source):
        assert len(source.trace(run)) == 1
    assert source.trace("copy-0") is not first


def test_threads_share_a_source(tmp_path):
    with write_dnc_run(tmp_path / "copy", steps=2, live=True) as run:
        source, errors, counts = Source([tmp_path]), [], set()

        def look():
            try:
                for _ in range(40):
                    trace = source.trace("copy")
                    counts.add(len(trace))
                    np.testing.assert_allclose(trace[0]["usage"], run.arrays(0)["usage"], atol=1e-5)
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=look) for _ in range(6)]
        for thread in threads:
            thread.start()
        run.append(3)
        for thread in threads:
            thread.join()
        assert not errors
        assert counts <= {2, 3, 4, 5}


def test_the_cache_makes_once_keeps_what_was_used_last_and_stays_within_its_bytes():
    cache, made = ArrayCache(1000), []

    def get(key, size=50):
        return cache.get(key, lambda: made.append(key) or np.zeros(size))

    for key in "ab":
        get(key)
    assert (made, cache.nbytes) == (["a", "b"], 800)
    get("a")
    get("c")
    assert cache.nbytes <= 1000
    made.clear()
    get("a")
    get("b")
    assert made == ["b"], "a was used after b"
    get("huge", 10_000)
    get("huge", 10_000)
    assert made[-2:] == ["huge", "huge"]
    assert cache.nbytes <= 1000


def test_what_the_cache_holds_cannot_be_changed_by_one_request():
    values = ArrayCache().get("a", lambda: np.zeros(3))
    with pytest.raises(ValueError, match="read-only"):
        values[0] = 1
