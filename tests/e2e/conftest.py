"""A real browser that fails the test on any error in its log, failed request, or request that leaves this machine."""

from __future__ import annotations

import os
import re
import socket
from urllib.parse import urlsplit

import pytest

from memviz.dashboards.server import start_server
from memviz.errors import MemvizError
from memviz.testing.browser import launch_options

LOCAL = {"127.0.0.1", "localhost", "::1"}
TRAFFIC = ("data:", "blob:", "about:")


@pytest.fixture(scope="session")
def chromium():
    """The system's Chromium under Playwright; a missing one is a skip, or a failure where a browser is required."""
    try:
        options = launch_options()
    except MemvizError as error:
        if os.environ.get("MEMVIZ_REQUIRE_BROWSER") == "1":
            pytest.fail(str(error))
        pytest.skip(str(error))
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**options)
        yield browser
        browser.close()


@pytest.fixture
def forgiven():
    """Patterns of faults that a test causes on purpose; it appends them before it does."""
    return []


@pytest.fixture
def new_page(chromium, forgiven):
    """Make pages that are watched; arguments go to the browser context, e.g. `color_scheme="dark"`."""
    pages = []

    def make(**options):
        options = {"viewport": {"width": 1440, "height": 960}, "reduced_motion": "reduce", **options}
        context = chromium.new_context(**options)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = context.new_page()
        page.set_default_timeout(60_000)  # a busy machine is no fault of the page
        page.faults = []
        watch(page)
        pages.append(page)
        return page

    yield make
    faults = [
        fault for page in pages for fault in page.faults if not any(re.search(pattern, fault) for pattern in forgiven)
    ]
    for page in pages:
        page.context.close()
    assert not faults, "\n".join(faults)


def watch(page):
    """Collect whatever the browser complains about in `page.faults`."""

    def on_console(message):
        if message.type in ("error", "warning"):
            page.faults.append(f"the browser log says ({message.type}): {message.text}")

    def on_request(request):
        if not request.url.startswith(TRAFFIC) and urlsplit(request.url).hostname not in LOCAL:
            page.faults.append(f"a request leaves this machine: {request.url}")

    def on_response(response):
        if response.status >= 400:
            page.faults.append(f"status {response.status} for {response.url}")

    page.on("console", on_console)
    page.on("request", on_request)
    page.on("response", on_response)
    page.on("pageerror", lambda error: page.faults.append(f"a script failed: {error}"))


@pytest.fixture
def page(new_page):
    """One watched page, 1440 × 960, light."""
    return new_page(color_scheme="light")


@pytest.fixture
def serve():
    """Start servers over some paths; they end with the test."""
    handles = []

    def start(*paths, **options):
        handles.append(start_server([os.fspath(path) for path in paths], **{"port": 0, **options}))
        return handles[-1]

    yield start
    for handle in handles:
        handle.close()


@pytest.fixture
def free_port():
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
