"""`memviz.show` in a notebook: the frame of a cell scrubs and shows lineage, and reaches nothing around it."""

from __future__ import annotations

import http.server
import threading

import pytest

import memviz
from memviz.testing.synthetic import write_dnc_run

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    return memviz.open(write_dnc_run(tmp_path_factory.mktemp("notebook") / "copy", steps=2))


@pytest.fixture
def notebook(tmp_path):
    """Serve what a cell would hold on another port, as a notebook server does; gives the address."""
    servers = []

    def serve(cell):
        head = "<!DOCTYPE html><meta charset=utf-8><title>notebook</title><link rel=icon href='data:,'>"
        body = f"{head}{cell}".encode()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://localhost:{server.server_address[1]}/"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_record_in_a_cell_scrubs_and_shows_lineage(page, notebook, trace):
    shown = memviz.show(trace[1], time=14, slot=3)
    page.goto(notebook(shown._repr_html_()))
    frame = page.frame_locator("iframe")
    frame.locator("#scope-root[data-state=ready][data-time='14']").wait_for()
    frame.locator("#scope-root .sc-panel[data-field='memory/read_weights']").first.focus()
    page.keyboard.press("ArrowRight")
    frame.locator("#scope-root[data-time='15']").wait_for()
    page.keyboard.press("g")
    frame.locator("#lineage-root[data-state=ready][data-time='15']").wait_for()
    expected = memviz.lineage(trace[1], 15, 0).text()
    assert expected in frame.locator("#lineage-root .ln-arcs canvas").get_attribute("aria-label")
    # Opaque to the page around it, and the other way round.
    assert page.evaluate("document.querySelector('iframe').contentDocument") is None
    assert page.title() == "notebook"


def test_a_live_page_may_be_shown_by_a_notebook_on_this_machine(page, notebook, trace):
    shown = memviz.show(trace[1], time=3, live=True)
    try:
        page.goto(notebook(shown._repr_html_()))
        frame = page.frame_locator("iframe")
        frame.locator("#scope-root[data-state=ready][data-time='3']").wait_for()
    finally:
        page.goto("about:blank")
        shown.close()
