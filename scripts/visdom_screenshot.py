"""Draw the picture of docs/visdom.md: train the demo, stream it to a Visdom server, photograph the server's page.

make screenshots
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from memviz.dashboards.visdom import launch
from memviz.dashboards.visdom.server import LocalServer
from memviz.testing.browser import launch_options

IMAGE = Path(__file__).parents[1] / "docs" / "images" / "visdom.png"
VIEWPORT = {"width": 1560, "height": 1250}
LAST_PANE = "Memory after the last time"


def main() -> None:
    IMAGE.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        run = Path(scratch) / "copy"
        subprocess.run([sys.executable, "-m", "memviz", "demo", "copy", "--no-serve", "--out", str(run)], check=True)
        with LocalServer(Path(scratch) / "visdom") as server, launch(run, server.url) as stream, sync_playwright() as p:
            browser = p.chromium.launch(**launch_options())
            page = browser.new_page(viewport=VIEWPORT)
            page.goto(stream.url)
            page.get_by_text(LAST_PANE).first.wait_for()
            page.wait_for_timeout(2000)
            page.screenshot(path=str(IMAGE))
            browser.close()
    print(IMAGE)


if __name__ == "__main__":
    main()
