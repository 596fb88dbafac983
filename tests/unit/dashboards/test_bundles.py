"""Assets of a page of another package: loaded after the dashboard's own, in order; only the folder is served."""

from __future__ import annotations

import os
import re

import pytest
from dash import html

from memviz import plugins
from memviz.dashboards.app import create_app
from memviz.dashboards.bundles import tags
from memviz.dashboards.guard import make_guard
from memviz.dashboards.page import Page
from memviz.dashboards.source import Source


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "secret.js").write_text("secret")
    folder = tmp_path / "assets"
    (folder / "parts").mkdir(parents=True)
    for name in ("20_b.js", "10_a.js", "look & feel.css", "parts/00_c.js", "picture.svg", "notes.txt"):
        (folder / name).write_text(f"/* {name} */")
    return folder


@pytest.fixture
def client(folder, monkeypatch):
    page = Page("mine", "Mine", lambda _: html.P(), assets=folder)
    monkeypatch.setattr(plugins, "load", lambda group: iter([("mine", page)]))
    return create_app(Source(["runs"]), make_guard("127.0.0.1")).server.test_client()


def test_scripts_come_in_order_after_our_own_and_before_the_page_starts(client):
    text = client.get("/").text
    scripts = re.findall(r'<script src="([^"?]+)', text)
    mine = [src for src in scripts if src.startswith("/pages/")]
    assert mine == ["/pages/mine/10_a.js", "/pages/mine/20_b.js", "/pages/mine/parts/00_c.js"]
    assert max(at for at, src in enumerate(scripts) if src.startswith("/assets/")) < scripts.index(mine[0])
    assert text.index(mine[-1]) < text.index('id="_dash-renderer"')
    styles = re.findall(r'<link rel="stylesheet" href="([^"?]+)', text)
    assert styles[-1] == "/pages/mine/look%20%26%20feel.css"


def test_every_file_is_sent_with_its_type(client):
    for address in re.findall(r'(?:src|href)="(/pages/[^"]+)"', client.get("/").text):
        answer = client.get(address.replace("&amp;", "&"), buffered=True)
        assert answer.status_code == 200
        assert answer.mimetype in ("text/javascript", "application/javascript", "text/css")
    assert client.get("/pages/mine/picture.svg", buffered=True).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["mine/../secret.js", "mine/%2e%2e/secret.js", "mine/..%2fsecret.js", "mine/none.js", "other/10_a.js"],
)
def test_nothing_else_is_served(client, path):
    answer = client.get(f"/pages/{path}", buffered=True)
    assert "secret" not in answer.text.replace("secret.js", "")
    assert answer.status_code == 404


def test_an_address_changes_with_its_file(folder):
    page = Page("mine", "Mine", lambda _: html.P(), assets=folder)
    before = tags([page]).scripts
    assert tags([page]).scripts == before
    os.utime(folder / "10_a.js", (1, 1))
    assert tags([page]).scripts != before


def test_a_page_without_assets_brings_none():
    found = tags([Page("mine", "Mine", lambda _: html.P())])
    assert (found.styles, found.scripts) == ("", "")
