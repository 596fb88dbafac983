"""Time streaming to a real Visdom server: heatmaps per second by size, then latency and drops of a live run.

    python benchmarks/bench_visdom.py [--seconds 20]

First, one heatmap at a time, drawn in place: memviz (pooled to 128 x 192, JSON, one connection) against
`visdom.Visdom().heatmap(win=...)` as its users call it, same data, same server, turns taken.

Then a DNC of 16 slots with all its panes, committed by another process at several rates: from the commit of a record
to its last heatmap on the server, and to its last heatmap in a browser that looks on; and how many records were passed
over because newer ones were there. Records that were passed over have no latency. The bar is the one of the project's
own page: 300 ms from commit to browser, which Visdom is not expected to meet.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

import memviz
from memviz.dashboards.visdom.client import Client
from memviz.dashboards.visdom.panes import PREFIX, Pane
from memviz.dashboards.visdom.pictures import Axis, Picture
from memviz.dashboards.visdom.plots import Caption, heatmap
from memviz.dashboards.visdom.server import LocalServer
from memviz.dashboards.visdom.stream import Stream
from memviz.testing.browser import launch_options

SIZES = ((16, 21), (64, 128), (128, 128), (128, 400), (512, 512), (1024, 1024))
REPEATS = 12

RATES = (1, 4, 20)
LAST = f"{PREFIX}final/memory"
"""The window that is drawn last of a record."""

WRITER = """
import sys, time
from memviz.testing.synthetic import write_dnc_run
write_dnc_run(sys.argv[1], steps=int(sys.argv[2]), sleep=float(sys.argv[3]))
"""

SEEN = """() => {
    window.seen = {};
    const look = () => {
        for (const pane of document.querySelectorAll('.window')) {
            if (pane.querySelector('.bar > .pull-right:last-child')?.textContent !== 'final/memory') continue;
            const text = pane.querySelector('.js-plotly-plot')?.layout?.title?.text ?? '';
            const step = /step (\\d+)/.exec(text)?.[1];
            if (step && !(step in window.seen)) window.seen[step] = performance.timeOrigin + performance.now();
        }
        requestAnimationFrame(look);
    };
    look();
}"""


def per_second(draw: Callable[[], None]) -> float:
    draw()
    times = []
    for _ in range(REPEATS):
        before = time.perf_counter()
        draw()
        times.append(time.perf_counter() - before)
    return 1 / statistics.median(times)


def heatmaps(server: LocalServer) -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    with contextlib.redirect_stdout(io.StringIO()):
        import visdom

        package = visdom.Visdom(server="http://127.0.0.1", port=server.address.port, use_incoming_socket=False)
    client = Client(server.address)
    rng = np.random.default_rng(0)
    print(f"{'heatmap':>12s} {'drawn':>12s} {'memviz /s':>10s} {'package /s':>11s} {'ratio':>6s}")
    for rows, columns in SIZES:
        values = rng.random((rows, columns), np.float32)

        def ours(values: np.ndarray = values) -> None:
            picture = Picture("x", "m/usage", "Usage", "usage", values, Axis("slot"), Axis("time"), "weight", (0, 1))
            traces, layout = heatmap(picture, Caption(1), time=None, phases=[])
            client.draw("bench", Pane("memviz:x", "usage", traces, layout))

        def theirs(values: np.ndarray = values) -> None:
            package.heatmap(values, win="theirs", env="bench", opts={"title": "usage"})

        mine, other = per_second(ours), per_second(theirs)
        drawn = f"{min(rows, 128)} x {min(columns, 192)}"
        print(f"{f'{rows} x {columns}':>12s} {drawn:>12s} {mine:10.1f} {other:11.1f} {mine / other:6.1f}")
    client.disconnect()


def live(server: LocalServer, folder: Path, rate: float, seconds: float) -> None:
    from playwright.sync_api import sync_playwright

    count = max(4, int(seconds * rate))
    name = f"rate{rate:g}"
    stream = Stream([folder / name], Client(server.address)).start()
    on_server: dict[int, float] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**launch_options())
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        server.client.draw(name, Pane(f"{PREFIX}run", "run", [{"type": "text", "content": "waiting"}]))
        page.goto(f"{server.url}/env/{name}")
        page.evaluate(SEEN)
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(folder / name), str(count), str(1 / rate)])
        end = None
        while end is None or time.monotonic() < end:
            pane = server.client.window(name, LAST)
            title = pane["content"]["layout"]["title"]["text"] if pane else ""
            if "step " in title:
                on_server.setdefault(int(title.split("step ")[1].split(" ")[0]), time.time())
            page.wait_for_timeout(20)
            if end is None and writer.poll() is not None:
                end = time.monotonic() + 4
        in_browser = {int(step): at / 1000 for step, at in page.evaluate("window.seen").items()}
        browser.close()
    tally = stream.sinks[name].tally
    stream.stop()
    trace = memviz.open(folder / name)
    walls = dict(zip(trace.steps.tolist(), trace.walls.tolist(), strict=True))
    line = f"{rate:8g} {len(trace):8d} {tally.drawn:6d} {tally.skipped:7d}"
    for seen in (on_server, in_browser):
        delays = sorted((at - walls[step]) * 1e3 for step, at in seen.items())
        line += f" {statistics.median(delays):8.0f} {delays[int(0.95 * (len(delays) - 1))]:7.0f}" if delays else " -"
    print(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each live run takes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, LocalServer(Path(scratch) / "visdom") as server:
        heatmaps(server)
        print("\na live run of 39 windows, at most one record per second drawn")
        print("records            windows         ms to server     ms to browser")
        print("   per s    count  drawn  passed   median     p95   median     p95")
        for rate in RATES:
            live(server, Path(scratch), rate, options.seconds)
        print("\nbar: p95 of 300 ms from commit to browser, which memviz's own page is held against")


if __name__ == "__main__":
    main()
