"""A real Visdom server: what it holds is what the trace says, and whatever happens to it, training does not notice."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import memviz
from memviz.dashboards.visdom import Client, launch
from memviz.dashboards.visdom.panes import PREFIX, PROPERTIES, RUN
from memviz.dashboards.visdom.stream import Stream
from memviz.testing.synthetic import write_dnc_run

SEED_PANES = (
    "memory@all",
    "memory",
    "link_matrix:0",
    "precedence_weights:0",
    "read_weights:0",
    "write_weights:0",
    "usage",
)


@pytest.fixture
def server(visdom_server):
    return visdom_server


@pytest.fixture
def stream(server):
    """Begins streams and ends them."""
    running = []

    def begin(path, **options):
        running.append(Stream([path], Client(server.address), interval=0.05, **options).start())
        return running[-1]

    yield begin
    for each in running:
        each.stop()


def until(condition, what, seconds=30):
    """Wait until something holds; the test fails when it does not come about."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"never happened: {what}")


def shown(server, env, key):
    """The content of a window, None when the server has none."""
    pane = server.client.window(env, f"{PREFIX}{key}")
    return pane and pane["content"]


def title(server, env, key):
    content = shown(server, env, key)
    return content["layout"]["title"]["text"] if content else ""


def matrix(server, env, key):
    """What a heatmap shows, NaN where it shows no number."""
    return np.array(shown(server, env, key)["data"][0]["z"], dtype=np.float64).astype(np.float32)


def send(server, env, row, value):
    """What a browser sends when somebody changes a row of the properties pane."""
    import websocket

    socket = websocket.create_connection(f"{server.address.socket_url.removesuffix('vis_socket')}socket", timeout=5)
    data = {"event_type": "PropertyUpdate", "propertyId": row, "value": value, "target": PROPERTIES, "eid": env}
    socket.send(json.dumps({"cmd": "forward_to_vis", "data": data}))
    socket.close()


def close_window(server, env, key):
    """What a browser sends when somebody closes a window."""
    import websocket

    socket = websocket.create_connection(f"{server.address.socket_url.removesuffix('vis_socket')}socket", timeout=5)
    socket.send(json.dumps({"cmd": "close", "data": f"{PREFIX}{key}", "eid": env}))
    socket.close()


def test_what_the_server_holds_is_what_the_trace_says(server, stream, tmp_path):
    run = write_dnc_run(tmp_path / "copy", steps=6)
    record = memviz.open(run.path)[-1]
    stream(run.path)
    until(lambda: f"step {record.step}" in title(server, "copy", "final/memory"), "the last pane is drawn")

    for head in range(2):
        np.testing.assert_array_equal(
            matrix(server, "copy", f"read_weights:{head}"), record["read_weights"][:, 0, head].T
        )
    np.testing.assert_array_equal(matrix(server, "copy", "write_weights:0"), record["write_weights"][:, 0, 0].T)
    np.testing.assert_array_equal(matrix(server, "copy", "usage"), record["usage"][:, 0].T)
    np.testing.assert_array_equal(
        matrix(server, "copy", "precedence_weights:0"), record["precedence_weights"][:, 0, 0].T
    )
    np.testing.assert_array_equal(matrix(server, "copy", "link_matrix:0"), record["link_matrix"][-1, 0, 0])
    np.testing.assert_array_equal(matrix(server, "copy", "memory"), record["memory"][-1, 0])
    np.testing.assert_array_equal(matrix(server, "copy", "write_gate"), record["write_gate"][:, 0].T)
    np.testing.assert_array_equal(matrix(server, "copy", "target"), record["target"][:, 0].T)

    windows = server.client.windows("copy")
    assert set(windows) >= {f"{PREFIX}{key}" for key in SEED_PANES}
    weights = windows[f"{PREFIX}read_weights:1"]
    assert weights["title"] == "read_weights, head 1"
    assert (weights["content"]["data"][0]["zmin"], weights["content"]["data"][0]["zmax"]) == (0, 1)
    assert weights["content"]["layout"]["xaxis"]["title"]["text"] == "time"
    assert weights["content"]["layout"]["yaxis"]["title"]["text"] == "slot"
    assert "loss" in weights["content"]["layout"]["title"]["text"]


def test_windows_are_updated_in_place_while_a_process_writes(server, stream, tmp_path):
    path = tmp_path / "live"
    code = f"from memviz.testing.synthetic import write_dnc_run; write_dnc_run({str(path)!r}, steps=40, sleep=0.05)"
    streaming = stream(tmp_path)
    writer = subprocess.Popen([sys.executable, "-c", code])
    try:
        until(lambda: shown(server, "live", "final/memory"), "the first record is drawn whole")
        first = server.client.windows("live")
        order = {win: pane["i"] for win, pane in first.items()}
        assert writer.wait(timeout=60) == 0
        last = memviz.open(path)[-1].step
        until(lambda: f"step {last} " in title(server, "live", "final/memory"), "the last record is drawn")
    finally:
        writer.kill()
    now = server.client.windows("live")
    assert {win: pane["i"] for win, pane in now.items()} == order
    tally = streaming.sinks["live"].tally
    assert 1 < tally.drawn <= 40 - tally.skipped
    until(lambda: "closed" in shown(server, "live", "run"), "the end of the run is said")


def test_nan_reaches_the_page_as_a_cell_and_as_a_sentence(server, stream, tmp_path):
    run = write_dnc_run(tmp_path / "nan", steps=4, plant_nan=(2, 9))
    record = memviz.open(run.path)[-1]
    stream(run.path)
    until(lambda: shown(server, "nan", "final/memory"), "the record is drawn")
    traces = shown(server, "nan", "write_vectors:0")["data"]
    assert np.isnan(record["write_vectors"]).sum() == 1
    np.testing.assert_array_equal(matrix(server, "nan", "write_vectors:0"), record["write_vectors"][:, 0, 0].T)
    overlay = np.array(traces[1]["z"], dtype=float)
    np.testing.assert_array_equal(~np.isnan(overlay), np.isnan(record["write_vectors"][:, 0, 0].T))
    assert "write_vectors is the first to be not finite at time 9" in shown(server, "nan", "findings")


def test_choices_are_drawn_from_the_trace_and_closed_windows_stay_closed(server, stream, tmp_path):
    run = write_dnc_run(tmp_path / "copy", steps=6, batch=2)
    trace = memviz.open(run.path)
    streaming = stream(run.path)
    until(lambda: shown(server, "copy", "final/memory"), "the record is drawn")
    rows = [row["name"] for row in shown(server, "copy", "properties")]
    at = {name.split(" (")[0]: index for index, name in reversed(list(enumerate(rows)))}

    send(server, "copy", at["step"], str(trace[2].step))
    until(lambda: f"step {trace[2].step} " in title(server, "copy", "usage"), "an earlier record is drawn")
    np.testing.assert_array_equal(matrix(server, "copy", "usage"), trace[2]["usage"][:, 0].T)
    assert shown(server, "copy", "properties")[at["follow live"]]["value"] is False

    send(server, "copy", at["time"], "7")
    until(lambda: "at time 7" in title(server, "copy", "memory"), "an earlier time is drawn")
    np.testing.assert_array_equal(matrix(server, "copy", "memory"), trace[2]["memory"][7, 0])

    send(server, "copy", at["batch item"], "1")
    until(lambda: np.array_equal(matrix(server, "copy", "memory"), trace[2]["memory"][7, 1]), "the other item is drawn")

    send(server, "copy", at["head"], "2")
    until(lambda: not shown(server, "copy", "read_weights:0"), "the other head is gone")
    assert shown(server, "copy", "read_weights:1")

    close_window(server, "copy", "usage")
    until(lambda: f"{PREFIX}usage" not in streaming.sinks["copy"].windows, "the closed window is noticed")
    send(server, "copy", at["follow live"], True)
    until(lambda: f"step {trace[-1].step} " in title(server, "copy", "memory"), "the newest record is drawn")
    assert shown(server, "copy", "usage") is None
    send(server, "copy", at["closed panes"], "clicked")
    until(lambda: shown(server, "copy", "usage"), "the closed window is back")


def test_a_restarted_server_gets_everything_again(server, stream, tmp_path):
    said = []
    with write_dnc_run(tmp_path / "copy", steps=3, live=True) as run:
        streaming = stream(run.path, say=said.append)
        until(lambda: shown(server, "copy", "final/memory"), "the record is drawn")
        before = set(server.client.windows("copy"))
        server.stop()
        run.append(4)
        until(lambda: said, "the loss of the server is said")
        run.append(4)
        server.start()
        last = memviz.open(run.path)[-1].step
        until(lambda: f"step {last} " in title(server, "copy", "final/memory"), "the newest record is drawn")
        assert set(server.client.windows("copy")) == before
        until(lambda: len(said) > 1, "the return of the server is said")
    assert "is not running" in said[0]
    assert "again" in said[1]
    assert streaming.sinks["copy"].tally.skipped >= 3


def test_a_finished_run_is_drawn_again_after_a_restart(server, stream, tmp_path):
    run = write_dnc_run(tmp_path / "copy", steps=3)
    stream(run.path)
    until(lambda: shown(server, "copy", "final/memory"), "the record is drawn")
    before = set(server.client.windows("copy"))
    server.stop()
    server.start()
    until(lambda: set(server.client.windows("copy")) == before, "everything is drawn again")


def test_a_frozen_server_is_given_up_and_caught_up_with(server, tmp_path):
    said = []
    client = Client(server.address, timeout=0.5)
    with write_dnc_run(tmp_path / "copy", steps=2, live=True) as run:
        streaming = Stream([run.path], client, interval=0.05, say=said.append).start()
        try:
            until(lambda: shown(server, "copy", "final/memory"), "the record is drawn")
            server.freeze()
            run.append(3)
            until(lambda: said, "the silence is said")
            run.append(3)
            server.thaw()
            last = memviz.open(run.path)[-1].step
            until(lambda: f"step {last} " in title(server, "copy", "final/memory"), "the newest record is drawn")
        finally:
            server.thaw()
            streaming.stop()
    assert "accepts requests but does not answer" in said[0]


@pytest.mark.slow
def test_training_is_the_same_whatever_happens_to_the_server(server, tmp_path):
    """`memviz demo copy --visdom`, with the server killed, started again and frozen meanwhile, against one without."""

    def train(name, *options):
        command = [sys.executable, "-m", "memviz", "demo", "copy", "--no-serve", "--steps", "240", "--out", name]
        return subprocess.Popen([*command, *options], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    watched = train("watched", "--visdom", server.url)
    try:
        until(lambda: shown(server, "watched", "write_weights:0"), "the run appears", 120)
        server.stop()
        until(lambda: len(memviz.open(tmp_path / "watched")) > 6, "training goes on without a server", 120)
        server.start()
        until(lambda: shown(server, "watched", "write_weights:0"), "the run appears again", 120)
        server.freeze()
        output = watched.communicate(timeout=300)[0].decode()
        assert watched.returncode == 0, output
    finally:
        watched.kill()
        server.thaw()
    alone = train("alone")
    assert alone.wait(timeout=300) == 0
    alone.stdout.close()
    left, right = memviz.open(tmp_path / "watched"), memviz.open(tmp_path / "alone")
    assert left.state == right.state == "closed"
    assert left.steps.tolist() == right.steps.tolist()
    np.testing.assert_array_equal(left.scalars["loss"].values, right.scalars["loss"].values)
    np.testing.assert_array_equal(left[-1]["write_weights"], right[-1]["write_weights"])


@pytest.mark.slow
def test_the_demo_shows_its_last_record_in_visdom(server, tmp_path):
    command = [sys.executable, "-m", "memviz", "demo", "copy", "--no-serve", "--steps", "60", "--out", "copy"]
    done = subprocess.run(
        [*command, "--visdom", server.url], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=True
    )
    assert f"{server.url}/env/copy" in done.stdout
    record = memviz.open(tmp_path / "copy")[-1]
    np.testing.assert_array_equal(matrix(server, "copy", "read_weights:1"), record["read_weights"][:, 0, 1].T)
    np.testing.assert_array_equal(matrix(server, "copy", "link_matrix:0"), record["link_matrix"][-1, 0, 0])
    assert "closed" in shown(server, "copy", "run")


def test_the_child_ends_with_the_program_that_began_it(server, tmp_path):
    run = write_dnc_run(tmp_path / "copy", steps=2)
    code = (
        "import os, sys; from memviz.dashboards.visdom import Client, launch; "
        "child = launch(sys.argv[1], sys.argv[2]); print(child.pid, flush=True); sys.stdin.read(); os._exit(9)"
    )
    command = [sys.executable, "-c", code, str(run.path), server.url]
    parent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    pid = int(parent.stdout.readline())
    until(lambda: shown(server, "copy", "final/memory"), "the record is drawn")
    parent.communicate()
    until(
        lambda: not Path(f"/proc/{pid}").exists() or "State:\tZ" in Path(f"/proc/{pid}/status").read_text(), "it ends"
    )


def test_launch_shows_a_run_and_finishes(server, tmp_path):
    run = write_dnc_run(tmp_path / "my run", steps=2)
    with launch(run.path, server.url) as child:
        assert child.url == f"{server.url}/env/my_run"
        until(lambda: shown(server, "my_run", "final/memory"), "the record is drawn")
    assert not Path(f"/proc/{child.pid}").exists()


def test_a_log_written_offline_replays_with_the_visdom_package(server, tmp_path):
    run = write_dnc_run(tmp_path / "copy", steps=4)
    command = [sys.executable, "-m", "memviz", "replay", str(run.path), "--offline-log", "copy.visdom"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True)
    assert "wrote 4 records" in done.stderr
    assert importlib.util.find_spec("visdom")
    code = "import sys, visdom; visdom.Visdom(port=int(sys.argv[1]), use_incoming_socket=False).replay_log(sys.argv[2])"
    subprocess.run(
        [sys.executable, "-c", code, str(server.address.port), "copy.visdom"],
        cwd=tmp_path,
        capture_output=True,
        timeout=120,
        check=True,
    )
    record = memviz.open(run.path)[-1]
    np.testing.assert_array_equal(matrix(server, "copy", "usage"), record["usage"][:, 0].T)
    assert f"{PREFIX}properties" in server.client.windows("copy")
    assert RUN in server.client.windows("copy")
