"""The page in the dashboard: its routes behind the guard, its assets, its settings, and no torch in the server."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import entry_points

import pytest

from memviz.dashboards.app import close_app, create_app
from memviz.dashboards.guard import TOKEN_COOKIE, make_guard
from memviz.dashboards.source import Source
from memviz.demos.playground import limits, page

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
