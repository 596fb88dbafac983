"""All runs under some paths: which are followed, and that nothing that goes wrong ends the stream or goes unsaid."""

from __future__ import annotations

import os

import pytest

from memviz.dashboards.visdom import stream as module
from memviz.dashboards.visdom.client import Address, VisdomUnavailable
from memviz.dashboards.visdom.feedback import Event, Feedback
from memviz.dashboards.visdom.panes import PREFIX, PROPERTIES, RUN
from memviz.dashboards.visdom.stream import MAX_FINISHED, RETRY_SECONDS, Stream
from memviz.testing.synthetic import write_dnc_run


class Server:
    """A client whose server goes away, and forgets, when told to."""

    def __init__(self):
        self.address = Address("http", "127.0.0.1", 1)
        self.timeout = 5.0
        self.cookie = ""
        self.up = True
        self.windows = {}
        self.fault = None

    def draw(self, env, pane):
        self._answer()
        if self.fault is not None:
            raise self.fault
        self.windows[env, pane.win] = pane

    def close(self, env, win):
        self._answer()
        self.windows.pop((env, win), None)

    def exists(self, env, win):
        self._answer()
        return (env, win) in self.windows

    def disconnect(self):
        pass

    def _answer(self):
        if not self.up:
            raise VisdomUnavailable("Visdom is not running")


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def said():
    return []


@pytest.fixture
def make(server, said, monkeypatch):
    """A stream that a test turns by hand, without waiting between two looks."""
    for name in ("SEARCH_SECONDS", "PROBE_SECONDS", "FINISHED_SECONDS"):
        monkeypatch.setattr(module, name, 0.0)
    monkeypatch.setattr("memviz.dashboards.source.SCAN_SECONDS", 0.0)
    monkeypatch.setattr("memviz.dashboards.source.REFRESH_SECONDS", 0.0)

    def build(*paths, listens=True):
        monkeypatch.setattr(Feedback, "available", staticmethod(lambda: listens))
        return Stream(paths, server, say=said.append, interval=0.0)

    return build


def test_runs_are_found_also_later(make, server, tmp_path):
    write_dnc_run(tmp_path / "runs" / "a", steps=2)
    stream = make(tmp_path / "runs")
    stream._turn()
    assert {env for env, _ in server.windows} == {"a"}
    write_dnc_run(tmp_path / "runs" / "sweep" / "b", steps=2)
    stream._turn()
    assert {env for env, _ in server.windows} == {"a", "sweep_b"}


def test_of_many_finished_runs_the_newest_are_drawn_and_the_rest_is_named(make, server, said, tmp_path):
    for index in range(MAX_FINISHED + 2):
        run = write_dnc_run(tmp_path / f"run{index:02d}", steps=1)
        os.utime(run.path, (1000 + index, 1000 + index))
    stream = make(tmp_path)
    stream._turn()
    stream._turn()
    assert sorted({env for env, _ in server.windows}) == [f"run{index:02d}" for index in range(2, MAX_FINISHED + 2)]
    assert len(said) == 1
    assert "2 older runs are not drawn" in said[0]
    assert "run00" in said[0]


def test_a_server_that_goes_away_is_said_once_and_everything_is_drawn_when_it_is_back(make, server, said, tmp_path):
    with write_dnc_run(tmp_path / "run", steps=2, live=True) as run:
        stream = make(run.path)
        stream._turn()
        drawn = set(server.windows)
        server.up = False
        server.windows.clear()
        run.append(3)
        waits = [stream._turn() for _ in range(6)]
        assert waits == [*RETRY_SECONDS, RETRY_SECONDS[-1], RETRY_SECONDS[-1]]
        assert len(said) == 1
        assert "not running" in said[0]
        run.append(3)
        server.up = True
        assert stream._turn() < RETRY_SECONDS[0]
    assert set(server.windows) == drawn
    assert len(said) == 2
    assert "5 records were passed over" in said[1]
    assert (stream.sinks["run"].tally.drawn, stream.sinks["run"].tally.skipped) == (2, 5)


def test_an_error_that_nobody_thought_of_does_not_end_the_stream(make, server, said, tmp_path, caplog):
    run = write_dnc_run(tmp_path / "run", steps=2)
    stream = make(run.path)
    server.fault = RuntimeError("surprise")
    stream._turn()
    stream._turn()
    assert "surprise" in said[0]
    assert [record.exc_info[1].args for record in caplog.records] == [("surprise",)]
    server.fault = None
    stream._turn()
    assert ("run", RUN) in server.windows


def test_a_viewers_choice_reaches_the_run_of_its_environment(make, server, tmp_path):
    for name in ("a", "b"):
        write_dnc_run(tmp_path / name, steps=3)
    stream = make(tmp_path)
    stream._turn()
    stream._feedback.events.put(Event("property", "b", PROPERTIES, 1, "0"))
    stream._turn()
    assert "step 0 " in server.windows["b", f"{PREFIX}usage"].layout["title"]["text"]
    assert "step 0 " not in server.windows["a", f"{PREFIX}usage"].layout["title"]["text"]


def test_a_server_that_comes_back_to_the_socket_gets_everything_again(make, server, tmp_path):
    run = write_dnc_run(tmp_path / "run", steps=2)
    stream = make(run.path)
    stream._turn()
    drawn = set(server.windows)
    stream._feedback.events.put(Event("connected"))
    stream._turn()
    server.windows.clear()
    stream._feedback.events.put(Event("connected"))
    stream._turn()
    assert set(server.windows) == drawn


def test_without_a_socket_a_lost_environment_is_noticed(make, server, tmp_path):
    run = write_dnc_run(tmp_path / "run", steps=2)
    stream = make(run.path, listens=False)
    stream._turn()
    drawn = set(server.windows)
    server.windows.clear()
    stream._turn()
    stream._turn()
    assert set(server.windows) == drawn


def test_without_a_socket_that_is_said_with_what_to_install(make, server, said, tmp_path):
    stream = make(tmp_path, listens=False).start()
    stream.stop()
    assert "websocket-client" in said[0]


def test_the_last_record_is_drawn_at_the_end_and_a_lost_server_is_not_waited_for(make, server, said, tmp_path):
    with write_dnc_run(tmp_path / "run", steps=2, live=True) as run:
        stream = make(run.path, listens=False).start()
        run.append()
        stream.stop()
    assert "step 40 " in server.windows["run", f"{PREFIX}usage"].layout["title"]["text"]
    server.up = False
    gone = make(run.path, listens=False)
    gone._turn()
    gone.start()
    gone.stop()
    assert server.timeout == module.LAST_SECONDS
