from __future__ import annotations

import pytest

from memviz.errors import MemvizError
from memviz.testing import browser


def test_the_first_browser_on_the_path_is_taken(monkeypatch):
    monkeypatch.setattr(browser.shutil, "which", lambda name: "/opt/chrome" if name == "google-chrome" else None)
    assert browser.launch_options()["executable_path"] == "/opt/chrome"


def test_no_browser_says_how_to_get_one(monkeypatch):
    monkeypatch.setattr(browser.shutil, "which", lambda name: None)
    assert browser.find_chromium() is None
    with pytest.raises(MemvizError, match="install_chromium"):
        browser.launch_options()


@pytest.mark.parametrize(("uid", "expected"), [(0, True), (1000, False)])
def test_only_root_goes_without_the_sandbox(monkeypatch, uid, expected):
    monkeypatch.setattr(browser.shutil, "which", lambda name: "/usr/bin/chromium")
    monkeypatch.setattr(browser.os, "geteuid", lambda: uid)
    assert ("--no-sandbox" in browser.launch_options()["args"]) is expected
