"""Visdom's own page, offline, with a run streamed to it: what the browser draws is what the trace says."""

from __future__ import annotations

import numpy as np
import pytest

import memviz
from memviz.dashboards.visdom import Client
from memviz.dashboards.visdom.panes import PREFIX
from memviz.dashboards.visdom.stream import Stream
from memviz.testing.synthetic import write_dnc_run

pytestmark = pytest.mark.browser

PICTURE = """(title) => {
    const panes = [...document.querySelectorAll('.window')];
    const pane = panes.find((pane) => pane.querySelector('.bar > .pull-right:last-child')?.textContent === title);
    const plot = pane?.querySelector('.js-plotly-plot');
    if (!plot) return null;
    const images = plot.querySelectorAll('image').length;
    return {z: plot.data[0].z, title: plot.layout.title.text, images};
}"""

COLOURS = """async (title) => {
    const panes = [...document.querySelectorAll('.window')];
    const pane = panes.find((pane) => pane.querySelector('.bar > .pull-right:last-child')?.textContent === title);
    const found = new Set();
    for (const image of pane.querySelectorAll('.js-plotly-plot .heatmaplayer image')) {
        const bitmap = new Image();
        bitmap.src = image.getAttribute('href') || image.getAttribute('xlink:href');
        await bitmap.decode();
        const canvas = Object.assign(document.createElement('canvas'), {width: bitmap.width, height: bitmap.height});
        const context = canvas.getContext('2d');
        context.drawImage(bitmap, 0, 0);
        const pixels = context.getImageData(0, 0, bitmap.width, bitmap.height).data;
        for (let i = 0; i < pixels.length; i += 4) if (pixels[i + 3]) found.add(pixels.slice(i, i + 3).join());
    }
    return [...found];
}"""


@pytest.fixture
def show(visdom_server, page):
    """Streams a run and opens its environment."""
    streams = []

    def begin(path):
        streams.append(Stream([path], Client(visdom_server.address), interval=0.05).start())
        # The page is opened with an environment that is there, as a viewer would choose it from the list.
        page.goto("about:blank")
        env = f"{visdom_server.url}/env/{path.name}"
        for _ in range(200):
            if visdom_server.client.exists(path.name, f"{PREFIX}final/memory"):
                break
            page.wait_for_timeout(50)
        page.goto(env)
        page.get_by_text("Memory after the last time").first.wait_for()

    yield begin
    for stream in streams:
        stream.stop()


def picture(page, title):
    return page.evaluate(PICTURE, title)


def wait_for_title(page, title, text):
    page.wait_for_function(f"([title, text]) => (({PICTURE})(title)?.title ?? '').includes(text)", arg=[title, text])


def cells(page, title):
    return np.array(picture(page, title)["z"], dtype=float).astype(np.float32)


def row(page, name):
    """The control in one row of the properties pane."""
    return page.locator("tr", has=page.locator("td.table-properties-name", has_text=name)).last.locator(
        "input, select, button"
    )


def test_the_page_shows_the_heatmaps_of_the_trace_and_follows_it(show, page, tmp_path):
    with write_dnc_run(tmp_path / "copy", steps=3, live=True) as run:
        show(run.path)
        for name in ("Memory over time", "Link matrix", "Precedence", "Read weights, head 0", "Write weights", "Usage"):
            assert page.get_by_text(name, exact=True).first.is_visible()
        trace = memviz.open(run.path)
        for key, values in {
            "read_weights, head 0": trace[-1]["read_weights"][:, 0, 0].T,
            "read_weights, head 1": trace[-1]["read_weights"][:, 0, 1].T,
            "precedence_weights": trace[-1]["precedence_weights"][:, 0, 0].T,
            "link_matrix": trace[-1]["link_matrix"][-1, 0, 0],
        }.items():
            np.testing.assert_array_equal(cells(page, key), values)
            assert picture(page, key)["images"] == 1
        windows = page.locator(".window").count()

        run.append(2)
        trace.refresh()
        wait_for_title(page, "usage", f"step {trace[-1].step} ")
        np.testing.assert_array_equal(cells(page, "usage"), trace[-1]["usage"][:, 0].T)
        assert page.locator(".window").count() == windows


def test_the_properties_pane_redraws_from_the_trace(show, page, tmp_path):
    run = write_dnc_run(tmp_path / "copy", steps=5, batch=2)
    trace = memviz.open(run.path)
    show(run.path)

    row(page, "step (").fill(str(trace[1].step))
    row(page, "step (").press("Enter")
    wait_for_title(page, "usage", f"step {trace[1].step} ")
    np.testing.assert_array_equal(cells(page, "usage"), trace[1]["usage"][:, 0].T)
    assert not row(page, "follow live").is_checked()

    row(page, "time (").fill("9")
    row(page, "time (").press("Enter")
    wait_for_title(page, "memory", "at time 9")
    np.testing.assert_array_equal(cells(page, "memory"), trace[1]["memory"][9, 0])

    row(page, "batch item").select_option(label="item 1")
    page.wait_for_function(
        f"(value) => Math.abs((({PICTURE})('memory')?.z[0][0] ?? NaN) - value) < 1e-6",
        arg=float(trace[1]["memory"][9, 1, 0, 0]),
    )

    row(page, "head").select_option(label="head 1")
    page.wait_for_function(f"!({PICTURE})('read_weights, head 0')")
    assert picture(page, "read_weights, head 1")

    row(page, "follow live").click()
    wait_for_title(page, "usage", f"step {trace[-1].step} ")


def test_a_nan_has_a_colour_that_no_number_has(show, page, tmp_path):
    run = write_dnc_run(tmp_path / "nan", steps=4, plant_nan=(2, 9))
    show(run.path)
    magenta = "194,24,139"
    assert magenta in page.evaluate(COLOURS, "write_vectors")
    assert magenta in page.evaluate(COLOURS, "usage")
    assert magenta not in page.evaluate(COLOURS, "write_keys")
    assert page.get_by_text("write_vectors is the first to be not finite at time 9").first.is_visible()


def test_the_filter_of_the_page_finds_fields_by_name(show, page, tmp_path):
    run = write_dnc_run(tmp_path / "copy", steps=2)
    show(run.path)
    page.get_by_placeholder("Filter text").fill("^read_weights")
    page.wait_for_function("document.querySelectorAll('.react-grid-item:not(.hidden-window)').length === 2")
    assert page.get_by_text("Read weights, head 1", exact=True).first.is_visible()
