"""Training here, a server there: what arrives is what was recorded, whatever happens to the link in between."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
import torch

import memviz
from memviz.cli import main
from memviz.dashboards.listen import Listener
from memviz.dashboards.server import start_server
from memviz.demos.models import DNC
from memviz.errors import RemoteError, ServerError
from memviz.trace.remote import push as pushing

TOKEN = "a-token-for-tests"


@pytest.fixture(autouse=True)
def quick(tmp_path, monkeypatch):
    monkeypatch.setenv("MEMVIZ_SPOOL", str(tmp_path / "spools"))
    monkeypatch.setenv("MEMVIZ_TOKEN", TOKEN)
    monkeypatch.setattr(pushing, "PATIENCE", (0.05, 0.2))
    monkeypatch.setattr(pushing, "HEARTBEAT", 0.2)


def serving(tmp_path, port=0):
    return start_server([tmp_path / "runs"], port=port, token=TOKEN, listen=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def small_dnc():
    torch.manual_seed(0)
    return DNC(3, 8, nr_cells=4, cell_size=3)


def train(path, between=lambda step: None, steps=12, **options):
    """Train a little, recording each step; returns the losses."""
    model = small_dnc()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(1))
    losses = []
    with memviz.attach(model, path, every=1, fields="all", **options) as recorder:
        for step in range(steps):
            between(step)
            loss = (model(x)[0] - x).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            recorder.log(loss=loss)
            losses.append(loss.item())
    return losses


def assert_same(there, here, count):
    assert len(there) == len(here) == count
    for one, other in zip(there, here, strict=True):
        assert one.step == other.step
        assert set(one.stored) == set(other.stored)
        for name in one.stored:
            assert one[name].tobytes() == other[name].tobytes()
    np.testing.assert_array_equal(there.scalars["loss"].values, here.scalars["loss"].values)
    assert there.dropped == 0


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_what_arrives_is_what_was_recorded(tmp_path):
    losses = train(tmp_path / "here")
    with serving(tmp_path) as server:
        assert train(f"memviz://127.0.0.1:{server.port}/copy") == losses
        there = memviz.open(tmp_path / "runs" / "copy")
        assert_same(there, memviz.open(tmp_path / "here"), 12)
        assert (there.state, there.notes, there.name) == ("closed", [], "copy")
        assert [event.kind for event in there.events] == ["opened", "closed"]
    assert list((tmp_path / "spools").iterdir()) == []


def test_a_server_that_comes_late_and_restarts_misses_nothing(tmp_path, caplog):
    losses, port, servers = train(tmp_path / "here"), free_port(), []

    def disturb(step):
        if step == 3:
            servers.append(serving(tmp_path, port))
        elif step == 6:
            wait_for(lambda: "is up again" in caplog.text)
            servers.pop().close()
        elif step == 9:
            servers.append(serving(tmp_path, port))

    assert train(f"memviz://127.0.0.1:{port}/copy", disturb) == losses
    servers.pop().close()
    there = memviz.open(tmp_path / "runs" / "copy")
    assert_same(there, memviz.open(tmp_path / "here"), 12)
    assert not (tmp_path / "runs" / "copy-2").exists()
    assert "cannot be reached" in caplog.text
    assert "the link to" in next(event.message for event in there.events if "is up again" in event.message)


def test_a_link_that_is_cut_in_the_middle_of_requests_misses_nothing(tmp_path, monkeypatch):
    cuts = iter([3, 5, 6, 9, 13, 14, 20])
    count, next_cut = 0, next(cuts)
    real = http.client.HTTPConnection.getresponse

    def cut(connection):
        nonlocal count, next_cut
        count += 1
        response = real(connection)  # the server has done it; the answer is lost
        if count == next_cut:
            next_cut = next(cuts, -1)
            raise ConnectionResetError("cut")
        return response

    monkeypatch.setattr(http.client.HTTPConnection, "getresponse", cut)
    losses = train(tmp_path / "here")
    with serving(tmp_path) as server:
        assert train(f"memviz://127.0.0.1:{server.port}/copy") == losses
    assert_same(memviz.open(tmp_path / "runs" / "copy"), memviz.open(tmp_path / "here"), 12)


def test_what_never_arrived_is_kept_and_pushed_later(tmp_path, monkeypatch, runner):
    monkeypatch.setattr(pushing.Pusher.finish, "__defaults__", (0.2,))
    port = free_port()
    losses = train(tmp_path / "here")
    assert train(f"memviz://127.0.0.1:{port}/copy") == losses
    (spool,) = (tmp_path / "spools").iterdir()
    assert len(memviz.open(spool)) == 12
    refused = runner.invoke(main, ["push", str(spool)])
    assert (refused.exit_code, "cannot be reached" in refused.output) == (1, True)
    with serving(tmp_path, port):
        done = runner.invoke(main, ["push", str(spool)])
    assert "12 records sent to" in done.output, done.output
    assert_same(memviz.open(tmp_path / "runs" / "copy"), memviz.open(tmp_path / "here"), 12)
    assert not spool.exists()
    assert "nothing that was to be sent" in runner.invoke(main, ["push", str(tmp_path / "here")]).output


def test_a_killed_training_is_an_interrupted_run_with_all_that_was_committed(tmp_path):
    script = """
        import os, signal, sys, torch, memviz
        from memviz.demos.models import DNC
        model = DNC(3, 8, nr_cells=4, cell_size=3)
        recorder = memviz.attach(model, sys.argv[1], every=1)
        for step in range(5):
            with torch.no_grad():
                model.eval()
                model(torch.zeros(1, 4, 3))
        recorder.flush()
        print("flushed", flush=True)
        signal.pause()
    """
    listener = {}
    with serving(tmp_path) as server:
        listener["it"] = server._listener
        url = f"memviz://127.0.0.1:{server.port}/copy"
        child = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script), url], stdout=subprocess.PIPE, text=True
        )
        try:
            assert child.stdout.readline() == "flushed\n"
            wait_for(
                lambda: (tmp_path / "runs" / "copy").exists() and len(memviz.open(tmp_path / "runs" / "copy")) == 5
            )
            assert memviz.open(tmp_path / "runs" / "copy").state == "live"
        finally:
            child.kill()
            child.wait()
            child.stdout.close()
        listener["it"]._clock = lambda: time.monotonic() + 3600  # as if nothing had been heard for an hour
        listener["it"].let_go_of_silent_ones()
        assert memviz.open(tmp_path / "runs" / "copy").state == "interrupted"


def request(port, method, path, body=b"", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, json.loads(data) if data[:1] == b"{" else data


def test_only_recorders_with_the_token_may_push(tmp_path):
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    with serving(tmp_path) as server:
        path = "/api/v1/push/open"
        assert request(server.port, "POST", path)[0] == 401
        assert request(server.port, "POST", path, Authorization="Bearer wrong")[0] == 401
        assert request(server.port, "POST", path, Authorization=f"Basic {TOKEN}")[0] == 401
        assert request(server.port, "POST", path, **bearer, Origin="http://127.0.0.1")[0] == 403
        assert request(server.port, "POST", path, **bearer, Host="evil.example")[0] == 403
        assert request(server.port, "DELETE", path, **bearer)[0] == 405
        assert request(server.port, "POST", path, b"{}", **bearer)[0] == 422
        assert request(server.port, "POST", path, b"\xff", **bearer)[0] == 422
        assert request(server.port, "POST", f"/api/v1/push/{'0' * 32}/state", **bearer)[0] == 425
        assert request(server.port, "POST", "/api/v1/runs", **bearer)[0] in (403, 405)
    with start_server([tmp_path / "runs"], port=0) as closed:
        assert request(closed.port, "POST", path, **bearer)[0] in (403, 405)


def test_a_wrong_token_is_said_and_training_goes_on(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(pushing.Pusher.finish, "__defaults__", (0.2,))
    losses = train(tmp_path / "here")
    with serving(tmp_path) as server:
        assert train(f"memviz://127.0.0.1:{server.port}/copy", token="wrong") == losses
    (spool,) = (tmp_path / "spools").iterdir()
    assert len(memviz.open(spool)) == 12
    assert "refuses: no token to push with, or a wrong one" in caplog.text


def test_an_address_that_is_none_is_refused_before_training(tmp_path):
    with pytest.raises(RemoteError, match="expected memviz://host:port/run"):
        memviz.attach(small_dnc(), "memviz://host:port/copy")


def test_a_trace_cannot_be_the_folder_that_traces_go_into(tmp_path):
    train(tmp_path / "here")
    with pytest.raises(ServerError, match="give its parent"):
        start_server([tmp_path / "here"], port=0, listen=True)


def test_a_listener_ends_its_threads(tmp_path):
    before = threading.active_count()
    listener = Listener(tmp_path)
    listener.close()
    wait_for(lambda: threading.active_count() <= before)


@pytest.fixture
def runner():
    from click.testing import CliRunner

    return CliRunner()
