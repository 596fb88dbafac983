"""Spans, their order and their bound, against a client that works in this process; errors of connecting."""

from __future__ import annotations

import sys
from itertools import islice

import pytest

import memviz
from memviz.analysis import cluster
from memviz.analysis.cluster import Cluster, connect
from memviz.analysis.each import in_turn
from memviz.errors import ClusterError, MemvizError
from memviz.testing.synthetic import write_dnc_run


class Client:
    """Runs a task when its result is asked for, and keeps count of those under way."""

    def __init__(self):
        self.spans, self.waiting, self.most, self.cancelled = [], 0, 0, 0

    def submit(self, function, reference, ids, *rest, pure):
        self.spans.append(ids)
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        client = self

        class Future:
            def result(self):
                client.waiting -= 1
                return function(reference, ids, *rest)

        return Future()

    def cancel(self, futures):
        self.cancelled += len(futures)


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    return memviz.open(write_dnc_run(tmp_path_factory.mktemp("runs") / "copy", steps=70).path)


def step(record):
    return record.step


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("positions", [range(70), [0, 3, 4, 50, 69], [], range(69, 70)])
def test_every_record_once_in_order_in_contiguous_spans(trace, threads, positions):
    client = Client()
    found = list(Cluster(client, threads).each(trace, positions, step))
    assert found == list(in_turn(trace, positions, step)) == [20 * position for position in positions]
    assert [record for span in client.spans for record in span] == list(positions)
    assert all(len(span) <= cluster.SPAN for span in client.spans)
    assert client.most <= 3 * threads


def test_a_long_run_is_not_submitted_at_once(trace):
    client = Client()
    found = Cluster(client, 2).each(trace, range(70), step)
    assert list(islice(found, 1)) == [0]
    assert len(client.spans) == 6 < 8
    found.close()
    assert client.cancelled == 5
    assert len(client.spans) == 6


def test_side_by_side_keeps_the_order_and_passes_errors_on():
    def work(item):
        if item == 30:
            raise ClusterError("lost")
        return item * 2

    found = Cluster(None, 4).side_by_side(work, iter(range(100)))
    assert list(islice(found, 30)) == [2 * item for item in range(30)]
    with pytest.raises(ClusterError, match="lost"):
        next(found)


@pytest.mark.parametrize("address", ["local:0", "local:x", "local:-1", "local:"])
def test_a_number_of_processes_must_be_one(address):
    with pytest.raises(ClusterError, match="local:N"), connect(address):
        pass


@pytest.mark.parametrize("address", ["127.0.0.1:9", "nonsense", "nothing://127.0.0.1:80"])
def test_a_scheduler_that_is_not_there_is_said_in_time(address):
    with pytest.raises(ClusterError, match=f"expected a Dask scheduler at '{address}'"), connect(address, timeout=0.5):
        pass


def test_without_dask_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MemvizError, match=r"pip install 'memviz\[dask\]'"), connect("local:1"):
        pass
