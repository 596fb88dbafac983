"""The commands: what runs beside what, and what is refused before anything is begun."""

from __future__ import annotations

import importlib.util
import json
import socket

import pytest
from click.testing import CliRunner

from memviz.cli import main
from memviz.dashboards.visdom import serve_beside
from memviz.dashboards.visdom.server import LocalServer
from memviz.errors import ServerError


def call(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def nobody():
    """The address of a server that is not there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def test_a_page_that_cannot_be_served_does_not_end_the_stream(run, nobody, monkeypatch):
    waited = []

    def interrupted(self):
        waited.append(True)
        raise KeyboardInterrupt

    monkeypatch.setattr("memviz.dashboards.visdom.session.Session.wait", interrupted)
    said = []

    def page():
        raise ServerError("port 8321 is taken.")

    serve_beside(page, [run.path], visdom=nobody, say=said.append)
    assert waited == [True]
    assert any("port 8321 is taken. The stream to Visdom goes on" in text for text in said)


def test_without_a_stream_a_page_that_cannot_be_served_is_an_error(run, tmp_path):
    def page():
        raise ServerError("port 8321 is taken.")

    with pytest.raises(ServerError):
        serve_beside(page, [run.path], offline_log=tmp_path / "log", say=lambda text: None)


def test_a_server_that_is_not_there_is_said_and_the_page_is_served(run, nobody):
    said, served = [], []
    serve_beside(lambda: served.append(True), [run.path], visdom=nobody, say=said.append)
    assert served == [True]
    assert any("is not running" in text and "memviz[visdom]" in text for text in said)


def test_replay_writes_a_log_and_serves_nothing(run, tmp_path):
    result = call("replay", run.path, "--offline-log", tmp_path / "log")
    assert result.exit_code == 0, result.output
    assert "wrote 5 records" in result.output
    assert json.loads((tmp_path / "log").read_text().splitlines()[0])[0] == "events"


def test_serve_keeps_a_log_while_the_page_is_served(run, tmp_path, monkeypatch):
    monkeypatch.setattr("memviz.dashboards.server.serve", lambda *arguments, **options: None)
    result = call("serve", run.path, "--offline-log", tmp_path / "log")
    assert result.exit_code == 0, result.output
    assert '"memviz:usage"' in (tmp_path / "log").read_text()


def test_a_speed_without_visdom_is_refused(run):
    result = call("replay", run.path, "--speed", "2")
    assert result.exit_code == 2
    assert "needs --visdom" in result.output


@pytest.mark.parametrize("command", [["serve"], ["replay"]])
def test_a_wrong_address_is_refused_in_words(run, command):
    result = call(*command, run.path, "--visdom", "ftp://host")
    assert result.exit_code == 1
    assert "is not the address of a Visdom server" in result.output


def test_the_demo_refuses_a_wrong_address_before_it_records(tmp_path):
    result = call("demo", "copy", "--no-serve", "--out", tmp_path / "copy", "--visdom", "ftp://host")
    assert result.exit_code == 1
    assert "is not the address of a Visdom server" in result.output
    assert not (tmp_path / "copy").exists()


def test_a_server_of_ones_own_needs_the_package(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ServerError, match=r"PIP_BUILD_CONSTRAINT.*memviz\[visdom\].*setuptools<82"):
        LocalServer(tmp_path)
