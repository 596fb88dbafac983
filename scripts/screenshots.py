"""Draw the pictures of README and docs from real runs: train the demos, serve them, photograph the pages.

    make screenshots

Writes docs/images/*.png, and into docs/images/pages/ every page at two widths, light and dark, full and empty. Nothing
in them is set by hand: the runs are those of `memviz demo`, of the networks that come with memviz and of the gallery of
planted faults, with the seeds given here.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlencode

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from memviz.dashboards.server import start_server
from memviz.demos.gallery import write_run
from memviz.demos.playground.samples import sample
from memviz.demos.tasks.babi.families import family
from memviz.testing.browser import launch_options
from memviz.testing.synthetic import write_dnc_run

IMAGES = Path(__file__).parents[1] / "docs" / "images"

RUNS = {
    "copy-s0": ["memviz", "demo", "copy", "--seed", "0", "--no-serve", "--out"],
    "copy-s1": ["memviz", "demo", "copy", "--seed", "1", "--no-serve", "--out"],
    "theirs": ["memviz", "demo", "copy", "--package", "dnc", "--no-serve", "--out"],
    "stories": ["memviz.demos.evaluate", "babi-2", "--questions", "60", "--out", "results.json", "--record"],
}
"""Name of the trace, and the module with its arguments that makes it."""


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
    "lineage": ("light", "#/run/copy-s0?view=lineage&t=13&head=0"),
    "story": ("light", "#/run/stories?view=story"),
    "compare": ("light", "#/run/copy-s0?view=compare&cmp=copy-s1&t=8&slot=3"),
    "film": ("light", "#/run/copy-s0?view=film&t=16&slot=3"),
    "playground": ("light", story_place("babi-2", 2, 10)),
}
"""Name of the picture, the colour scheme, and the place that it shows, 1440 x 960."""

HEIGHTS = {"runs": 420}
"""Pictures that are lower than a window, because there is nothing below."""

PAGES = {
    "runs": "#/runs",
    "scope": "#/run/copy-s0?t=16&slot=11",
    "finding": "#/run/nan?finding=not_finite.memory&step=250&item=1&t=3",
    "lineage": "#/run/copy-s0?view=lineage&t=13&head=0",
    "story": "#/run/stories?view=story",
    "compare": "#/run/copy-s0?view=compare&cmp=copy-s1&t=8&slot=3",
    "film": "#/run/copy-s0?view=film&t=16&slot=3",
    "playground": story_place("babi-2", 2, 10),
}
"""Every page with something to see."""

EMPTY = {
    "runs": "#/runs",
    "scope": "#/run/waiting",
    "lineage": "#/run/waiting?view=lineage",
    "story": "#/run/waiting?view=story",
    "compare": "#/run/waiting?view=compare",
    "film": "#/run/waiting?view=film",
    "playground": "#/playground",
}
"""Every page with nothing to see yet: a run before its first record, and for the Runs page no run."""

SIZES = ((1280, 800), (1920, 1080))
SCHEMES = ("light", "dark")


def record(folder: Path) -> None:
    """Make all runs in a folder."""
    for name, arguments in RUNS.items():
        subprocess.run([sys.executable, "-m", *arguments, str(folder / name)], check=True)
    # The Lineage page shows what the output does without each write once somebody has asked.
    subprocess.run([sys.executable, "-m", "memviz", "ablate", str(folder / "copy-s0")], check=True)
    write_run("nan_cosine", folder / "nan")


def photograph(page: Page, url: str, path: Path, *, small: bool = False) -> None:
    """One page, as soon as it stands still; `small`: in 256 colours, a third of the bytes."""
    page.goto("about:blank")
    page.goto(url)
    page.wait_for_selector("main:not([hidden])", timeout=60_000)
    page.wait_for_timeout(1500)
    page.wait_for_function(
        "() => !document.querySelector('main:not([hidden]) :is([data-state=loading], [data-state=checking], "
        "[data-film=working])')",
        timeout=120_000,
    )
    page.wait_for_timeout(700)
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    (shot.quantize(256, dither=Image.Dither.NONE) if small else shot).save(path, optimize=True)
    print(path, flush=True)


def pictures(browser: Browser, url: str) -> None:
    """The pictures that README and docs show."""
    for name, (scheme, place) in PICTURES.items():
        viewport = {"width": 1440, "height": HEIGHTS.get(name, 960)}
        context = browser.new_context(viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
        photograph(context.new_page(), url + place, IMAGES / f"{name}.png")
        context.close()


def pages(browser: Browser, url: str, places: dict[str, str], suffix: str = "") -> None:
    """All pages at all sizes, light and dark."""
    for (width, height), scheme in itertools.product(SIZES, SCHEMES):
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
        )
        page = context.new_page()
        for name, place in places.items():
            photograph(page, url + place, IMAGES / "pages" / f"{name}{suffix}-{width}-{scheme}.png", small=True)
        context.close()


def main() -> None:
    (IMAGES / "pages").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch), sync_playwright() as playwright:
        # The pages name the folder as it was given.
        runs, nothing, waiting = Path("runs"), Path("empty"), Path("before")
        record(runs)
        nothing.mkdir()
        with write_dnc_run(waiting / "waiting", steps=0, live=True):
            browser = playwright.chromium.launch(**launch_options())
            with start_server([runs], port=0) as server:
                url = server.url.split("#")[0]
                pictures(browser, url)
                pages(browser, url, PAGES)
            with start_server([nothing], port=0) as server:
                pages(browser, server.url.split("#")[0], {"runs": EMPTY["runs"]}, "-empty")
            with start_server([waiting], port=0) as server:
                rest = {name: place for name, place in EMPTY.items() if name != "runs"}
                pages(browser, server.url.split("#")[0], rest, "-empty")
            browser.close()


if __name__ == "__main__":
    main()
