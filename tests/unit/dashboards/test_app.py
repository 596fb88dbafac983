"""The page itself: complete without any other server, one container per page, and room for pages of others."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest
from dash import html

from memviz import plugins
from memviz.dashboards import app as app_module
from memviz.dashboards.app import create_app, pages
from memviz.dashboards.guard import make_guard
from memviz.dashboards.page import Page
from memviz.dashboards.source import Source

ASSETS = Path(app_module.__file__).parent / "assets"


def client_of(*paths):
    return create_app(Source(paths or ["runs"]), make_guard("127.0.0.1")).server.test_client()


def components(node):
    """All components of a layout, as Dash sends it."""
    if isinstance(node, list):
        for child in node:
            yield from components(child)
    elif isinstance(node, dict) and "props" in node:
        yield node
        yield from components(node["props"].get("children"))


def by_id(client):
    layout = client.get("/_dash-layout").json
    return {node["props"]["id"]: node["props"] for node in components(layout) if "id" in node["props"]}


def test_the_page_needs_nothing_from_elsewhere():
    client = client_of()
    text = client.get("/").text
    links = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert any("assets/shell.js" in link for link in links)
    assert any("assets/theme.css" in link for link in links)
    assert all(link.startswith("/") and not link.startswith("//") for link in links), links
    for link in links:
        assert client.get(link, buffered=True).status_code == 200, link


def test_inline_scripts_are_the_only_ones_the_policy_names():
    answer = client_of().get("/")
    inline = [
        body
        for kind, body in re.findall(r"<script([^>]*)>(.*?)</script>", answer.text, re.S)
        if body and "json" not in kind
    ]
    hashes = {f"'sha256-{b64encode(sha256(body.encode()).digest()).decode()}'" for body in inline}
    policy = answer.headers["Content-Security-Policy"]
    assert hashes
    assert set(re.findall(r"'sha256-[^']+'", policy)) == hashes


@pytest.mark.parametrize(
    "name", sorted(path.name for path in ASSETS.glob("*.*") if path.suffix in (".css", ".js", ".svg"))
)
def test_assets_refer_to_nothing_outside(name):
    text = (ASSETS / name).read_text()
    outside = [url for url in re.findall(r"https?://[^\s\"')]+", text) if "www.w3.org" not in url]
    assert outside == []
    assert "@import" not in text


def test_there_is_a_container_for_each_page_and_the_scope_has_its_root():
    found = by_id(client_of())
    assert {"runs-page", "scope-page", "scope-root", "crumbs", "theme-toggle", "help-button", "announcer"} <= set(found)
    assert {"compare-page", "compare-root", "film-page", "film-root"} <= set(found)
    assert found["runs-page"]["hidden"]
    assert found["scope-root"].get("children") is None


def test_an_empty_page_says_how_to_fill_the_folder_that_is_served(tmp_path):
    found = by_id(client_of(tmp_path / "experiments"))
    text = json.dumps(found["runs-empty"])
    assert f"{(tmp_path / 'experiments').as_posix()}/copy" in text
    assert "memviz.attach" in text
    assert found["memviz-shell"]["data-root"] == str(tmp_path / "experiments")


def test_both_themes_define_every_token():
    text = (ASSETS / "theme.css").read_text()
    light, dark = text.split(':root[data-theme="dark"]')
    tokens = [set(re.findall(r"--([\w-]+):", part)) for part in (light, dark)]
    same_in_both = {"font", "mono", "plot-bg"}
    assert tokens[0] - tokens[1] == same_in_both
    used = set()
    for path in ASSETS.glob("*.css"):
        used |= set(re.findall(r"var\(--([\w-]+)", path.read_text()))
    assert used <= tokens[0], used - tokens[0]


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    "ink", ["ink", "ink2", "ink3", "accent-ink", "warn", "error", "nan", "write", "read0", "read1"]
)
@pytest.mark.parametrize("ground", ["bg", "surface", "sunken"])
def test_text_can_be_read_on_every_ground(theme, ink, ground):
    parts = (ASSETS / "theme.css").read_text().split(':root[data-theme="dark"]')
    tokens = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", parts[theme]))
    pair = sorted((luminance(tokens[ink]), luminance(tokens[ground])))
    assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5


def test_a_page_of_another_package_gets_a_container_and_a_link(monkeypatch):
    registered = []
    page = Page(
        "notes", "Notes", lambda source: html.P(f"over {source.root}"), lambda app, source: registered.append(app)
    )
    monkeypatch.setattr(plugins, "load", lambda group: iter([("notes", page)] if group == "memviz.pages" else []))
    app = create_app(Source(["runs"]), make_guard("127.0.0.1"))
    assert registered == [app]
    assert "over runs" in json.dumps(by_id(app.server.test_client())["notes-page"])


def test_a_page_that_is_none_or_takes_a_name_is_left_out_with_a_warning(monkeypatch):
    mine = Page("runs", "Mine", lambda source: html.P())
    monkeypatch.setattr(plugins, "load", lambda group: iter([("a", mine), ("b", object())]))
    with pytest.warns(UserWarning, match="two pages named 'runs'"), pytest.warns(UserWarning, match="'b' is no memviz"):
        names = [page.name for page in pages()]
    assert names[:4] == ["runs", "scope", "lineage", "story"]
    assert len(names) == len(set(names))


def test_settings_reach_pages_and_what_a_page_holds_is_let_go_of_once(monkeypatch):
    said = []

    def register(app, source):
        said.append(app.server.config["MEMVIZ_MODELS"])
        return lambda: said.append("closed")

    def broken(app, source):
        return lambda: 1 / 0

    known = [("a", Page("a", "A", lambda _: html.P(), broken)), ("b", Page("b", "B", lambda _: html.P(), register))]
    monkeypatch.setattr(plugins, "load", lambda group: iter(known))
    app = create_app(Source(["runs"]), make_guard("127.0.0.1"), {"MEMVIZ_MODELS": ["networks"]})
    assert said == [["networks"]]
    app_module.close_app(app)
    app_module.close_app(app)
    assert said == [["networks"], "closed"]
