"""Draw the pictures of README and docs from real runs: train the demos, serve them, photograph the pages.

    make screenshots

Writes docs/images/*.png. Nothing in them is set by hand: the runs are those of `memviz demo`, seeds as given here.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Page, sync_playwright

from memviz.dashboards.server import start_server
from memviz.demos.playground.samples import sample
from memviz.demos.tasks.babi.families import family
from memviz.testing.browser import launch_options

IMAGES = Path(__file__).parents[1] / "docs" / "images"

RUNS = {
    "copy-s0": ["copy", "--seed", "0"],
    "copy-s1": ["copy", "--seed", "1"],
    "theirs": ["copy", "--package", "dnc"],
}
"""Name of the trace and the arguments of `memviz demo` that make it."""


def story_place(model: str, task: int, seed: int) -> str:
    """A sampled story in the Playground, answered by a network that comes with memviz."""
    story = sample([family(task)], seed, 130).story
    asked = {"network": "dmn_plus", "model": model, "story": "\n".join(story.facts), "question": story.question}
    return "#/playground?" + urlencode(asked | {"task": task, "seed": seed})


PICTURES = {
    "scope-light": ("light", "#/run/copy-s0?t=16&slot=11"),
    "scope-dark": ("dark", "#/run/copy-s0?t=13&slot=6&step=330"),
    "scope-dnc-package": ("light", "#/run/theirs?t=16&slot=15"),
    "runs": ("light", "#/runs"),
    "compare": ("light", "#/run/copy-s0?view=compare&cmp=copy-s1&t=8&slot=3"),
    "film": ("light", "#/run/copy-s0?view=film&t=16&slot=3"),
    "playground": ("light", story_place("babi-2", 2, 10)),
}
"""Name of the picture, the colour scheme, and the place that it shows."""

HEIGHTS = {"runs": 340}
"""Pictures that are lower than a window, because there is nothing below."""


def record(folder: Path) -> None:
    for name, arguments in RUNS.items():
        command = [sys.executable, "-m", "memviz", "demo", *arguments, "--no-serve", "--out", str(folder / name)]
        subprocess.run(command, check=True)


def photograph(page: Page, url: str, path: Path) -> None:
    page.goto("about:blank")
    page.goto(url)
    roots = [f"#{name}-root[data-state=ready]" for name in ("scope", "playground", "compare")]
    ready = ", ".join([*roots, "#film-root[data-state=ready][data-film=done]", ".ag-row"])
    page.wait_for_selector(ready, timeout=60_000)
    page.wait_for_function("() => !document.querySelector('[data-state=loading]')", timeout=20_000)
    page.wait_for_timeout(300)
    page.screenshot(path=str(path))
    print(path)


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        # The pages name the folder as it was given.
        runs = Path("runs")
        record(runs)
        server = start_server([runs], port=0)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(**launch_options())
            for name, (scheme, place) in PICTURES.items():
                viewport = {"width": 1440, "height": HEIGHTS.get(name, 960)}
                context = browser.new_context(viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
                photograph(context.new_page(), f"{server.url.split('#')[0]}{place}", IMAGES / f"{name}.png")
                context.close()
            browser.close()
        server.close()


if __name__ == "__main__":
    main()
