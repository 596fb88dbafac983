"""The Scope page in every state: live, paused, stale, empty, gone, narrow, dark, and with little recorded."""

import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

from memviz.dashboards.server import start_server
from memviz.testing.synthetic import write_dnc_run
from memviz.trace.schema import FieldSchema, MemorySchema, RecordData, TraceHeader
from memviz.trace.writer import TraceWriter

pytestmark = pytest.mark.browser

WRITER = """
import sys, time
from memviz.dashboards.server import start_server
from memviz.testing.synthetic import write_dnc_run
run = write_dnc_run(sys.argv[1], steps=3, live=True)
print("ready", flush=True)
for line in sys.stdin:
    run.append()
    print(len(run), flush=True)
run.close()
"""


@pytest.fixture
def writer(tmp_path):
    """Another process that writes a run: `writer()` appends one record and returns how many there are."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "live")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"

    def append():
        process.stdin.write("\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    append.process = process
    append.path = tmp_path / "live"
    yield append
    process.stdin.close()
    process.wait(timeout=30)
    process.stdout.close()


def test_a_record_appears_without_reload_and_choosing_one_pauses(scope, serve, tmp_path, writer):
    scope.open(serve(tmp_path).url, "live")
    scope.drawn(record=2)
    follow = scope.page.locator("#scope-follow")
    assert follow.inner_text() == "FOLLOW LIVE"
    assert follow.get_attribute("aria-pressed") == "true"
    assert writer() == 4
    scope.drawn(record=3, step=60)

    scope.page.keyboard.press("Shift+ArrowLeft")
    scope.drawn(record=2)
    assert follow.inner_text() == "PAUSED"
    assert writer() == 5
    scope.until("document.querySelector('#scope-words').textContent.includes('of 5')")
    assert scope.shows["record"] == "2"

    scope.page.keyboard.press("f")
    scope.drawn(record=4)
    writer()
    scope.drawn(record=5)
    writer.process.stdin.close()
    scope.until("document.querySelector('#scope-status').textContent === 'run closed'")


def test_records_that_come_faster_than_they_are_drawn_never_blank_the_page(scope, serve, tmp_path, writer):
    scope.open(serve(tmp_path).url, "live")
    scope.drawn(record=2)
    scope.page.evaluate(
        """() => {
            const root = document.querySelector('#scope-root');
            window.shown = [];
            const note = () => window.shown.push(root.dataset.record);
            new MutationObserver(note).observe(root, { attributeFilter: ['data-record'] });
        }"""
    )
    for _ in range(40):
        count = writer()
    scope.drawn(record=count - 1)
    shown = scope.page.evaluate("window.shown")
    assert "" not in shown
    assert [int(record) for record in shown] == sorted({int(record) for record in shown})


def test_a_run_without_records_says_so_and_shows_the_first_one(scope, serve, tmp_path):
    writer = TraceWriter.create(tmp_path / "young", TraceHeader("0", time.time(), "young"))
    scope.page.goto(f"{serve(tmp_path).url}#/run/young")
    scope.until("(document.querySelector('.sc-cover') || {}).textContent?.startsWith('No record yet')")
    assert scope.page.get_attribute("#scope-root", "data-state") == "empty"
    assert "Nothing recorded yet." in scope.page.inner_text(".sc-memory")
    schema = MemorySchema("memory", "", {"usage": FieldSchema("usage", ("time", "batch", "slot"), kind="weight")})
    writer.declare(schema)
    writer.append(RecordData(step=5, fields={"memory/usage": np.full((4, 1, 8), 0.5, np.float32)}, wall=time.time()))
    scope.drawn(step=5, record=0)
    assert scope.panel("memory/usage").get_attribute("data-state") == "ready"
    writer.close()


def test_a_deleted_run_is_said(scope, serve, tmp_path, forgive):
    # Half deleted, a trace cannot be read (500); then it is not there (404).
    forgive("404|500")
    write_dnc_run(tmp_path / "short", steps=2)
    scope.open(serve(tmp_path).url, "short")
    shutil.rmtree(tmp_path / "short")
    scope.until("document.querySelector('.sc-cover').textContent.includes('moved or deleted')")
    assert scope.page.get_attribute("#scope-root", "data-state") == "error"
    assert scope.page.locator(".sc-panel").count() == 0


def test_a_server_that_goes_away_is_said_and_its_return_noticed(scope, serve, tmp_path, forgive):
    forgive("ERR_(CONNECTION|EMPTY)")
    write_dnc_run(tmp_path / "copy", steps=3)
    handle = serve(tmp_path)
    scope.open(handle.url, "copy")
    handle.close()
    scope.until("document.querySelector('#scope-status').textContent.startsWith('server gone')")
    assert scope.page.get_attribute("#scope-root", "data-state") == "stale"
    assert scope.panel("memory/usage").get_attribute("data-state") == "stale"
    with start_server([tmp_path], port=handle.port):
        scope.until("document.querySelector('#scope-status').textContent === 'run closed'")
        scope.drawn()


def test_an_unknown_run_is_said(scope, serve, tmp_path, forgive):
    forgive("404")
    write_dnc_run(tmp_path / "copy", steps=2)
    scope.page.goto(f"{serve(tmp_path).url}#/run/cope")
    scope.until("(document.querySelector('.sc-cover') || {}).textContent?.includes('cope')")


@pytest.fixture
def simplex():
    return lambda *shape: np.random.default_rng(0).dirichlet(np.ones(shape[-1]), shape[:-1]).astype(np.float32)


def test_what_was_not_recorded_is_named_with_the_argument_to_add(scope, serve, tmp_path, write_memories, simplex):
    weights = {"read_weights": (simplex(6, 1, 2, 8), "time batch read_head slot", "weight")}
    write_memories(tmp_path / "bare", {"memory": ("dnc", weights)})
    scope.open(serve(tmp_path).url, "bare")
    assert scope.panel("memory/read_weights").count() == 2
    missing = scope.panel("memory/write_weights")
    assert missing.get_attribute("data-state") == "empty"
    assert 'fields="all"' in missing.inner_text()
    for card in (".sc-memory", ".sc-links"):
        scope.page.wait_for_selector(f"{card}[data-state=empty]")
        assert "not recorded" in scope.page.inner_text(card)
        assert 'fields="all"' in scope.page.inner_text(card)
    scope.page.wait_for_selector(".sc-slot[data-state=ready]")
    assert "Writes were not recorded." in scope.page.inner_text(".sc-slot")


def test_two_memories_and_axes_of_a_users_own(scope, serve, tmp_path, write_memories, simplex):
    rng = np.random.default_rng(1)
    first = {"read_weights": (simplex(9, 1, 1, 12), "time batch read_head slot", "weight")}
    second = {
        "activity": (rng.normal(size=(9, 1, 5)).astype(np.float32), "time batch unit", "signed"),
        "scores": (simplex(9, 1, 4, 7), "time batch query key", "weight"),
        "codebook": (rng.normal(size=(3, 2)).astype(np.float32), "entry part", "signed"),
    }
    write_memories(tmp_path / "two", {"encoder.memory": ("", first), "decoder": ("", second)})
    scope.open(serve(tmp_path).url, "two")
    assert scope.shows["memory"] == "encoder.memory"
    scope.page.select_option("#scope-memory", "decoder")
    scope.drawn(memory="decoder")
    scope.page.click(".sc-morebtn")
    scope.panel("decoder/activity").wait_for()
    scope.page.wait_for_selector(".card[data-field='decoder/scores'][data-state=ready]")
    scope.page.locator(".sc-restrow[data-field='decoder/codebook']").get_by_text("values").click()
    cell = scope.page.locator(".sc-table td").first
    cell.wait_for()
    assert float(cell.inner_text().replace("\N{MINUS SIGN}", "-")) == pytest.approx(
        second["codebook"][0][0, 0], rel=1e-6
    )
    scope.page.keyboard.press("Escape")
    scope.page.reload()
    scope.drawn(memory="decoder")
    scope.panel("decoder/activity").wait_for()


def test_more_cells_than_pixels_are_pooled_and_said_and_no_spike_is_lost(scope, serve, tmp_path, write_memories):
    weights = np.zeros((2000, 1, 1, 1024), np.float32)
    weights[1234, 0, 0, 777] = 1.0
    write_memories(
        tmp_path / "long",
        {"memory": ("", {"write_weights": (weights, "time batch write_head slot", "weight")})},
        records=1,
    )
    scope.open(serve(tmp_path).url, "long", "t=1234&slot=777")
    words = scope.page.inner_text(".sc-panels .sc-hd")
    assert "1024 slots, 2000 times; max-pooled" in words
    assert "max-pooled" in scope.page.inner_text("#scope-words")
    (column,) = scope.columns()
    bright = scope.page.evaluate(
        """() => {
            const canvas = document.querySelector('.sc-cells'), found = [];
            const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
            for (let i = 0; i < data.length / 4; i++)
                if (data[4 * i] > 240) found.push([i % canvas.width, Math.floor(i / canvas.width)]);
            return found;
        }"""
    )
    assert bright == [[column, bright[0][1]]]
    assert scope.readout("memory/write_weights") == "1.000"
    scope.click("memory/write_weights", column, bright[0][1])
    scope.drawn(slot=777)


def test_the_dark_theme_repaints_and_keeps_the_scale_of_weights(scope_in, serve, tmp_path):
    write_dnc_run(tmp_path / "copy", steps=3)
    url = serve(tmp_path).url
    dark = scope_in(color_scheme="dark").open(url, "copy", "t=3")
    light = scope_in(color_scheme="light").open(url, "copy", "t=3")
    cell = ("memory/write_weights", 3, 5)
    assert dark.pixel(*cell) == light.pixel(*cell)
    for view, wanted in ((dark, "rgb(23, 27, 33)"), (light, "rgb(255, 255, 255)")):
        assert view.page.evaluate("getComputedStyle(document.querySelector('.sc-panels')).backgroundColor") == wanted
    middle = """() => {
        const canvas = document.querySelector('.sc-memory canvas.sc-matrix'), ratio = canvas.width / canvas.clientWidth;
        const copy = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
        copy.drawImage(canvas, -34 * ratio, -24 * ratio);
        return [...copy.getImageData(0, 0, 1, 1).data];
    }"""
    dark.page.wait_for_selector(".sc-memory[data-state=ready]")
    before = dark.page.evaluate(middle)
    dark.page.click("#theme-toggle")
    dark.until("document.documentElement.dataset.theme === 'light'")
    dark.until(f"JSON.stringify(({middle})()) !== '{before}'.replaceAll(' ', '')")


GROUPS = [
    ".hdr > *",
    ".sc-toolbar > *",
    ".sc-tlside > *",
    ".sc-main > *",
    ".sc-list > .sc-panel",
    ".sc-right > .card",
    ".sc-foot > *",
]
"""Neighbours that may not overlap."""

OVERLAPS = """groups => {
    const clashes = [];
    for (const group of groups) {
        const seen = [...document.querySelectorAll(group)].filter(node => node.offsetParent && node.childNodes.length);
        const boxes = seen.map(node => node.getBoundingClientRect());
        boxes.forEach((a, i) => boxes.slice(i + 1).forEach((b, k) => {
            const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
            const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
            if (wide > 1 && high > 1) clashes.push([seen[i].className, seen[i + 1 + k].className, wide, high]);
        }));
    }
    return clashes;
}"""

CUT = """() => ['.sc-title > span', '.sc-line', '.ttl', '.sc-numbers dd', '.sc-sentence', '#scope-time']
    .flatMap(selector => [...document.querySelectorAll(selector)])
    .filter(node => node.offsetParent && getComputedStyle(node).display !== 'inline')
    .filter(node => node.scrollWidth > node.clientWidth + 1)
    .map(node => node.textContent)"""

OUTSIDE = """() => {
    const edge = document.querySelector('.sc-panels').getBoundingClientRect().right;
    return [...document.querySelectorAll('.sc-value')].filter(node => node.getBoundingClientRect().right > edge)
        .map(node => node.textContent);
}"""


@pytest.mark.parametrize(("width", "height"), [(1440, 960), (1280, 800), (1100, 900)])
def test_nothing_overlaps_and_nothing_is_cut(scope_in, serve, tmp_path, width, height):
    write_dnc_run(tmp_path / "copy", steps=3, batch=2)
    view = scope_in(viewport={"width": width, "height": height}).open(serve(tmp_path).url, "copy", "t=12&slot=3&more=1")
    view.page.wait_for_selector(".sc-links[data-state=ready]")
    view.page.wait_for_selector(".sc-slot[data-state=ready]")
    assert view.page.evaluate("document.documentElement.scrollWidth") <= width
    assert view.page.evaluate(OVERLAPS, GROUPS) == []
    assert view.page.evaluate(CUT) == []
    assert view.page.evaluate(OUTSIDE) == []


def test_play_in_a_link_starts_playing_and_a_reload_does_not(scope, serve, tmp_path):
    write_dnc_run(tmp_path / "copy", steps=2, times=9)
    scope.open(serve(tmp_path).url, "copy", "step=0&t=0&play=1")
    scope.until("Number(document.querySelector('#scope-root').dataset.time) >= 2")
    assert "play" not in scope.page.url
    scope.page.select_option("select[aria-label=Speed]", "30")
    scope.drawn(step=20, time=8)
    scope.until("document.querySelector('#scope-play').getAttribute('aria-label').startsWith('Play')")
