"""Synthetic runs, a board that remembers what it was sent, and a clock that stands still until it is moved."""

from __future__ import annotations

import json

import pytest

from memviz.dashboards.fieldview import Values
from memviz.dashboards.source import ArrayCache, Source
from memviz.dashboards.visdom.place import Place, offer
from memviz.dashboards.visdom.sink import Sink
from memviz.testing.synthetic import write_dnc_run


class Board:
    """Takes panes as a server does; fails when told to."""

    def __init__(self):
        self.windows = {}
        self.log = []
        self.fail_after = None

    def draw(self, env, pane):
        if self.fail_after is not None and len(self.log) >= self.fail_after:
            raise OSError("gone")
        # Through JSON, as on the wire.
        message = json.loads(pane.body(env), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
        self.windows[pane.win] = message
        self.log.append(pane.win)

    def close(self, env, win):
        del self.windows[win]


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def board():
    return Board()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def sink_of(board, clock):
    """A sink over the run in a folder."""

    def make(run, **options):
        # The source looks at the disk again each time it is asked.
        ticks = iter(range(10**9))
        source = Source([run.path], clock=lambda: float(next(ticks)))
        return Sink(source.runs()[0].id, source, board, interval=1.0, clock=clock, **options)

    return make


@pytest.fixture(scope="package")
def run(tmp_path_factory):
    """A finished run of 5 records with two items each."""
    return write_dnc_run(tmp_path_factory.mktemp("runs") / "copy", steps=5, batch=2)


@pytest.fixture
def show():
    """The values of a record and what is offered around it."""

    def look(trace, index=-1, place=None):
        record = trace[index]
        values = Values(record, ("test", record.id), ArrayCache())
        return values, offer(trace, record, place or Place(), len(trace) - 1)

    return look
