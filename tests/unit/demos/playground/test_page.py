"""The page in the dashboard: its routes behind the guard, its assets, its settings, and no torch in the server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from memviz.dashboards import app as app_module
from memviz.dashboards.app import close_app, create_app
from memviz.dashboards.guard import TOKEN_COOKIE, make_guard
from memviz.dashboards.server import start_server
from memviz.dashboards.source import Source
from memviz.demos.playground import limits, page
from memviz.demos.playground.process import Worker

PREDICT = "/api/v1/networks/dmn_plus/models/plus-1/_predict"


@pytest.fixture
def app(networks, tmp_path):
    made = create_app(Source([tmp_path]), make_guard("127.0.0.1"), {"MEMVIZ_MODELS": [str(networks)]})
    yield made
    close_app(made)


def test_it_comes_in_by_an_entry_point():
    (point,) = entry_points(group="memviz.pages", name="playground")
    assert point.load() is page.PAGE


def test_it_is_a_page_with_its_scripts_and_styles(app):
    client = app.server.test_client()
    layout = client.get("/_dash-layout").text
    assert "playground-root" in layout
    limit = json.loads(page.layout(Source([])).to_plotly_json()["props"]["data-limits"])
    assert limit["story"] == limits.STORY
    text = client.get("/").text
    for asset in page.PAGE.assets.iterdir():
        assert f"/pages/playground/{asset.name}?m=" in text
    assert any(asset.suffix == ".js" for asset in page.PAGE.assets.iterdir())
    assert any(asset.suffix == ".css" for asset in page.PAGE.assets.iterdir())


def test_networks_of_the_settings_are_listed(app):
    client = app.server.test_client()
    assert "dmn_batch" in {network["id"] for network in client.get("/api/v1/networks").json}


def test_the_post_goes_through_the_guard_and_nothing_else_does(app):
    client = app.server.test_client()
    empty = {"story": "", "question": ""}
    # The guard lets it through to the route, which says what is wrong with it.
    assert client.post(PREDICT, json={"story": 3}).status_code == 400
    for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "evil.example"}):
        assert client.post(PREDICT, json=empty, headers=headers).status_code == 403
    assert client.post(PREDICT, data="{}", content_type="text/plain").status_code == 415
    for path in ("/api/v1/networks", "/api/v1/networks/dmn_plus/models/plus-1", "/api/v1/runs", f"{PREDICT}/x"):
        assert client.post(path, json=empty).status_code == 405
    assert client.get(PREDICT).status_code in (404, 405)
    assert client.put(PREDICT, json=empty).status_code == 405


def test_beyond_loopback_the_token_is_needed(networks):
    app = create_app(Source(["runs"]), make_guard("0.0.0.0", token="s3cret"), {"MEMVIZ_MODELS": [str(networks)]})
    client = app.server.test_client()
    assert client.post(PREDICT, json={"story": 3}).status_code == 403
    assert client.get("/api/v1/networks").status_code == 403
    client.set_cookie(TOKEN_COOKIE, "s3cret")
    assert client.post(PREDICT, json={"story": 3}).status_code == 400
    close_app(app)


def test_the_server_does_not_import_torch():
    code = (
        "import sys\n"
        "from memviz.dashboards.app import create_app\n"
        "from memviz.dashboards.guard import make_guard\n"
        "from memviz.dashboards.source import Source\n"
        "client = create_app(Source(['runs']), make_guard('127.0.0.1')).server.test_client()\n"
        "assert client.get('/api/v1/networks').status_code == 200\n"
        "print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "False\n"


class Stuck:
    """A worker that answers nothing until it is told to."""

    def __init__(self):
        self.go, self.busy = threading.Event(), threading.Semaphore(0)

    def ask(self, message):
        self.busy.release()
        self.go.wait(60)
        return {"status": 500, "error": {"what": "told", "expected": "", "remedy": ""}}

    def close(self):
        self.go.set()


def test_the_dashboards_answer_while_predictions_run(networks, tmp_path, monkeypatch):
    """More questions than the server has threads, none of which is answered: pages and data routes go on."""
    worker = Stuck()
    monkeypatch.setattr(page, "Worker", lambda: worker)
    body = json.dumps({"story": "Mary moved to the garden.", "question": "Where is Mary?"}).encode()
    codes = []

    def predict(url):
        asked = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(asked, timeout=60)
        codes.append(refused.value.code)
        refused.value.close()

    with start_server([tmp_path], port=0, settings={"MEMVIZ_MODELS": [str(networks)]}) as handle:
        url = handle.url.rstrip("/") + PREDICT
        waiting = [threading.Thread(target=predict, args=(url,)) for _ in range(limits.WAITING)]
        for thread in waiting:
            thread.start()
            worker.busy.acquire()
        for _ in range(12):
            predict(url)
        for path in ("healthz", "api/v1/runs", "api/v1/networks", "_dash-layout", "assets/shell.js"):
            with urllib.request.urlopen(handle.url + path, timeout=60) as answer:
                assert answer.status == 200
        worker.go.set()
        for thread in waiting:
            thread.join()
    assert sorted(codes) == [429] * 12 + [500] * limits.WAITING


def test_the_process_ends_with_the_server(networks, tmp_path, monkeypatch):
    """Whatever the process is: this one answers every question with its id."""
    script = (
        "import json, os, sys\n"
        "for line in sys.stdin:\n"
        "    print(json.dumps({'status': 418, 'error': {'what': os.getpid()}}), flush=True)"
    )
    monkeypatch.setattr(page, "Worker", lambda: Worker([sys.executable, "-S", "-c", script]))
    with start_server([tmp_path], port=0, settings={"MEMVIZ_MODELS": [str(networks)]}) as handle:
        with pytest.raises(urllib.error.HTTPError, match="418") as answered:
            urllib.request.urlopen(f"{handle.url}api/v1/networks/dmn_plus/models/plus-1", timeout=60)
        pid = json.load(answered.value)["error"]["what"]
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_assets_refer_to_nothing_outside_and_use_the_tokens_of_the_themes():
    theme = (Path(app_module.__file__).parent / "assets" / "theme.css").read_text()
    known = set(re.findall(r"--([\w-]+):", theme))
    for asset in page.PAGE.assets.iterdir():
        text = asset.read_text()
        assert not re.findall(r"https?://", text), asset.name
        assert "@import" not in text
        assert not re.findall(r"innerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", text), asset.name
        assert set(re.findall(r"var\(--([\w-]+)", text)) <= known, asset.name
