"""Time the Scope page in a real browser: frames per second while scrubbing, latency from commit to visible.

    python benchmarks/bench_browser.py [--seconds 6] [--records 60]

Scrubbing shows 12 panels of 128 slots × 400 times, all on the screen with axes, crosshair, peaks and readouts, beside
the memory, link and slot cards, and moves the time at every frame of the display. Latency is from the return of the
writer's `append` in another process to the frame in which the record is on the screen. Each figure stands beside the
bar of DESIGN.md it is held against.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from memviz.dashboards.server import start_server
from memviz.testing.browser import launch_options
from memviz.testing.synthetic import write_dnc_run

SHAPE = {"times": 400, "slots": 128, "words": 20, "read_heads": 2}
PANELS = 12
FPS_BAR, LATENCY_BAR_MS = 50, 300

HIDDEN = (
    "input,target,output,precedence_weights,write_gate,allocation_gate,free_gates,read_modes,read_strengths,"
    "write_strengths"
)
"""All but twelve: write, read, usage, allocation, content, forward and backward weights of two read heads."""

SCRUB = """seconds => new Promise(done => {
    const scope = window.memviz.scope, times = scope.page.times(), root = document.querySelector('#scope-root');
    const gaps = [];
    const start = performance.now();
    let last = start, time = 0, wrong = 0;
    const tick = now => {
        gaps.push(now - last);
        last = now;
        // What the frame before this one asked for must be what it drew.
        if (gaps.length > 2 && root.dataset.time !== String(time)) wrong++;
        if (now - start > 1000 * seconds) return done({ gaps: gaps.slice(1), wrong });
        time = (time + 1) % times;
        scope.store.set({ t: time });
        requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
})"""

WATCH = """() => {
    const root = document.querySelector('#scope-root');
    window.seen = {};
    new MutationObserver(() => {
        const record = root.dataset.record;
        // The next frame begins after this one was painted.
        requestAnimationFrame(() => { window.seen[record] ??= performance.timeOrigin + performance.now(); });
    }).observe(root, { attributes: true, attributeFilter: ['data-record'] });
}"""

WRITER = """
import sys, time
from memviz.testing.synthetic import write_dnc_run
run = write_dnc_run(sys.argv[1], steps=3, live=True)
print("ready", flush=True)
for line in sys.stdin:
    run.append()
    print(len(run) - 1, time.time() * 1000, flush=True)
run.close()
"""


def scrub(page: Page, url: str, seconds: float) -> None:
    """Scrub through 400 times on 12 panels and print the frame rate."""
    page.set_viewport_size({"width": 1440, "height": 2080})
    page.goto(f"{url}#/run/wide?step=20&t=200&slot=60&hide={HIDDEN}")
    page.wait_for_selector("#scope-root[data-state=ready]")
    page.wait_for_selector(".sc-links[data-state=ready]")
    page.evaluate(SCRUB, 2.0)
    panels = page.evaluate("memviz.scope.panels.shown.filter(panel => panel.seen).map(p => [p.tile.rows, p.tile.cols])")
    assert panels == [[SHAPE["slots"], SHAPE["times"]]] * PANELS, panels
    found = page.evaluate(SCRUB, seconds)
    gaps = sorted(found["gaps"])
    rate = 1000 / statistics.fmean(gaps)
    slow = gaps[int(0.95 * len(gaps))]
    print(
        f"scrub {PANELS} panels of {SHAPE['slots']}x{SHAPE['times']}: {rate:.1f} fps over {len(gaps)} frames, "
        f"p95 {slow:.1f} ms between frames, {found['wrong']} frames behind   "
        f"bar {FPS_BAR} fps, ratio {rate / FPS_BAR:.2f}: {verdict(rate >= FPS_BAR)}"
    )


def latency(page: Page, url: str, folder: Path, records: int) -> None:
    """Append records from another process and print how long each takes to be seen."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder / "live")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert writer.stdin is not None
    assert writer.stdout is not None
    writer.stdout.readline()
    page.set_viewport_size({"width": 1440, "height": 960})
    page.goto(f"{url}#/run/live")
    page.wait_for_selector("#scope-root[data-state=ready][data-record='2']")
    page.evaluate(WATCH)
    committed: dict[str, float] = {}
    for index in range(records):
        # Uneven pauses, so that no phase of the poll is favoured.
        time.sleep(0.25 + 0.2 * ((index * 0.618) % 1.0))
        writer.stdin.write("\n")
        writer.stdin.flush()
        record, moment = writer.stdout.readline().split()
        committed[record] = float(moment)
    time.sleep(1.0)
    seen: dict[str, float] = page.evaluate("window.seen")
    writer.stdin.close()
    writer.wait()
    delays = sorted(seen[record] - moment for record, moment in committed.items() if record in seen)
    p95 = delays[int(0.95 * len(delays))]
    print(
        f"committed to visible: p50 {statistics.median(delays):.0f} ms, p95 {p95:.0f} ms, max {delays[-1]:.0f} ms over "
        f"{len(delays)} of {records} records   bar p95 {LATENCY_BAR_MS} ms, ratio {LATENCY_BAR_MS / p95:.2f}: "
        f"{verdict(p95 <= LATENCY_BAR_MS)}"
    )


def verdict(met: bool) -> str:
    return "met" if met else "missed"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=6.0, help="how long to scrub")
    parser.add_argument("--records", type=int, default=60, help="how many records to append live")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_dnc_run(folder / "wide", steps=2, fields="all", **SHAPE)
        with start_server([folder], port=0) as server, sync_playwright() as playwright:
            browser = playwright.chromium.launch(**launch_options())
            page = browser.new_page()
            scrub(page, server.url, options.seconds)
            latency(page, server.url, folder, options.records)
            browser.close()


if __name__ == "__main__":
    main()
