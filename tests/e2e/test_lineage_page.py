"""The Lineage page in a browser: it says what the analysis says; clicks follow reads back and writes forward."""

from __future__ import annotations

import numpy as np
import pytest

import memviz
from memviz.analysis.lineage import lineage
from memviz.analysis.lineage.history import destruction, slot_history
from memviz.analysis.lineage.table import lineage_table
from memviz.analysis.removals import Removal, Removals, keep
from memviz.dashboards.server import start_server
from memviz.demos.gallery import write_run
from memviz.testing.synthetic import write_dnc_run

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    write_run("write_interference", folder / "faulty")
    write_run("attention_sink", folder / "attention")
    write_dnc_run(folder / "copy", steps=3)
    server = start_server([folder], port=0)
    yield folder, server.url
    server.close()


@pytest.fixture
def record(runs):
    return memviz.open(runs[0] / "faulty")[-1]


def ready(page, **wanted):
    page.wait_for_function(
        """wanted => { const root = document.querySelector('#lineage-root');
            return root && root.dataset.state === 'ready'
                && Object.entries(wanted).every(([key, value]) => root.dataset[key] === value); }""",
        arg={key: str(value) for key, value in wanted.items()},
    )


def open_read(page, url, time, extra=""):
    page.goto("about:blank")
    page.goto(f"{url}#/run/faulty?t={time}&item=1&view=lineage{extra}")
    ready(page, time=time)


def click_time(page, time, times, below):
    """Click a time in the arcs card, some pixels below the line of the writes."""
    canvas = page.locator(".ln-arcs canvas")
    box = canvas.bounding_box()
    cell = min(48, (box["width"] - 84 - 16) / times)
    canvas.click(position={"x": 84 + (time + 0.5) * cell, "y": box["height"] - 96 + below})


def test_a_read_says_which_writes_it_came_from(runs, page, record):
    _, url = runs
    known = lineage(record, 19, 0, 1)
    open_read(page, url, 19)
    order = np.argsort(-np.abs(known.shares))
    top = int(order[0]) - 1
    title = page.locator(".ln-title").inner_text()
    assert title == f"{100 * known.shares[top + 1]:.0f} % of this read comes from the write at t = {top}"
    values = [float(text.split()[0]) for text in page.locator(".ln-rows .ln-value").all_inner_texts()]
    assert values[0] == pytest.approx(100 * known.shares[order[0]], abs=0.06)
    assert sum(values) == pytest.approx(100, abs=0.5)
    assert "addressing frozen" in page.locator(".ln-arcs canvas").get_attribute("aria-label")
    assert "Addressing is frozen" in page.locator(".ln-frozen").inner_text()
    numbers = page.locator(".ln-numbers").inner_text()
    assert f"{known.sources:.1f} writes" in numbers
    assert f"{known.age:.1f} times" in numbers
    modes = page.locator(".ln-part").all_inner_texts()
    shares = known.split.shares.sum(axis=(0, 1))
    assert f"{100 * shares[2]:.1f} %" in modes[2]


def test_a_click_follows_a_write_forward_and_back_undoes_it(runs, page, record):
    _, url = runs
    open_read(page, url, 19)
    table = lineage_table(record, batch=1).shares
    write = 18
    click_time(page, write, record.lengths["memory"], 0)
    ready(page, write=write, tab="readers")
    known = np.abs(np.nan_to_num(table[:, :, write + 1]))
    rows = page.locator(".ln-rows .ln-row")
    rows.first.wait_for()
    time, head = np.unravel_index(int(known.argmax()), known.shape)
    assert rows.count() == min(12, int((known >= 0.01).sum()))
    assert f"{100 * known.max():.0f} % of what head" in page.locator(".ln-title").inner_text()
    # A reader is a button that goes to its read.
    rows.first.click()
    ready(page, write="", tab="shares")
    assert page.locator("#lineage-root").get_attribute("data-time") in {str(t) for t in np.argwhere(known > 0.2)[:, 0]}
    page.go_back()
    ready(page, write=write, tab="readers")
    page.go_back()
    ready(page, write="", time=19)
    assert (time, head) is not None


def test_who_destroyed_a_write(runs, page, record):
    _, url = runs
    open_read(page, url, 19, "&tab=destroyed")
    page.wait_for_selector(".ln-destroyed")
    label = page.locator(".ln-destroyed canvas").get_attribute("aria-label")
    assert destruction(record, 6, batch=1).text() in label
    said = page.locator(".ln-tabs").inner_text()
    worst = min(
        (t for t in range(21) if record["write_weights"][t, 1].sum() > 0.05),
        key=lambda t: destruction(record, t, batch=1).survives[-1],
    )
    assert f"the write of t = {worst}" in said


def test_keys_step_through_reads_and_heads_and_lead_back(runs, page):
    _, url = runs
    open_read(page, url, 19)
    page.keyboard.press("ArrowLeft")
    ready(page, time=18)
    page.keyboard.press("h")
    ready(page, time=18, head=1)
    page.keyboard.press("w")
    page.wait_for_function("() => document.querySelector('#lineage-root').dataset.write !== ''")
    page.keyboard.press("Escape")
    ready(page, write="")
    page.keyboard.press("g")
    page.wait_for_selector("#scope-root[data-state=ready][data-time='18'][data-head='1']")
    page.keyboard.press("g")
    ready(page, time=18, head=1)


def test_a_memory_without_a_law_says_why(runs, page):
    page.goto(f"{runs[1]}#/run/attention?view=lineage")
    page.wait_for_selector("#lineage-root[data-state=error]")
    assert "cannot be told" in page.locator(".ln-title").inner_text()
    page.faults[:] = [fault for fault in page.faults if "404" not in fault]


def test_the_reverse_watchpoint_goes_to_the_writer_and_on(runs, page, record):
    """`b` from a slot to the write behind what it holds, `n` to what overwrites it; the list has every event."""
    _, url = runs
    events = slot_history(record, 11, batch=1)
    writes = [event.time for event in events if event.kind == "written" and event.weight >= 0.1]
    assert len(writes) >= 2
    page.goto("about:blank")
    page.goto(f"{url}#/run/faulty?t=20&slot=11&item=1")
    page.wait_for_selector("#scope-root[data-state=ready][data-slot='11']")
    for time in reversed(writes):
        page.keyboard.press("b")
        page.wait_for_selector(f"#scope-root[data-time='{time}']")
    page.wait_for_function(
        "() => /slot 11: written at t = \\d+ by write head 0/.test(document.querySelector('.sc-watch')?.textContent)"
    )
    page.keyboard.press("b")
    page.wait_for_function("() => document.querySelector('.sc-watch')?.textContent.startsWith('Nothing wrote slot 11')")
    page.keyboard.press("n")
    page.wait_for_selector(f"#scope-root[data-time='{writes[1]}']")
    shown = [event for event in events if event.kind != "read" or event.weight >= 0.05]
    page.wait_for_function("n => document.querySelectorAll('.sc-events li').length === n", arg=len(shown))
    page.locator(".sc-events button").last.click()
    page.wait_for_selector(f"#scope-root[data-time='{shown[-1].time}']")


def test_memory_and_links_are_told_in_exact_numbers(runs, page, record):
    _, url = runs
    page.goto("about:blank")
    page.goto(f"{url}#/run/faulty?t=18&slot=11&item=1&links=arcs")
    page.wait_for_function("() => document.querySelector('.sc-memory .sc-cardnote')?.textContent.match('Most alike')")
    memory = record["memory"][:, 1].astype(float)
    change = np.linalg.norm(memory[18] - memory[17], axis=1)
    assert f"slot {change.argmax()} ({change.max():.3g})" in page.locator(".sc-memory .sc-cardnote").inner_text()
    usage = record["usage"][18, 1]
    told = page.locator("#scope-explained").inner_text()
    assert told.startswith(f"t = 18: {(usage > 0.95).sum()} of 16 slots are full (mean usage {usage.mean():.2f})")
    page.wait_for_function(
        "() => document.querySelector('.sc-links .sc-sentence')?.textContent.includes('steps from one written slot')"
    )
    page.locator(".sc-forms button[data-form=matrix]").click()
    page.wait_for_function("() => !location.hash.includes('links=')")
    # A click on a cell of the memory chooses its word too, and the history is then that of the cell.
    page.locator(".sc-memory canvas.sc-matrix").click(position={"x": 32 + 3.5 * 9, "y": 22 + 11.5 * 9})
    page.wait_for_function("() => /word=\\d+/.test(location.hash)")
    page.wait_for_function("() => document.querySelector('.sc-slot .ttl')?.textContent.includes('word')")


def test_reruns_without_a_write_stand_beside_its_share(runs, page, record):
    folder, url = runs
    open_read(page, url, 19)
    page.wait_for_selector(".ln-ablnote code")
    assert "memviz ablate" in page.locator(".ln-ablnote code").inner_text()
    assert page.locator(".ln-removed").count() == 0

    known = lineage(record, 19, 0, 1)
    top = int(np.argmax(np.abs(known.shares[1:])))
    effect = np.zeros((record.shape("memory/read_weights")[1], record.lengths["memory"]))
    effect[1, 19], effect[1, 20] = 0.25, 0.75
    share = np.full(len(effect), np.nan)
    removal = Removal(top, effect, share, 2.5)
    trace = memviz.open(folder / "faulty")
    assert keep(trace, Removals(record.id, record.step, "memory", "a test", 21, [removal], 0.5, "squared error"))
    try:
        open_read(page, url, 19)
        page.wait_for_selector(".ln-removed")
        cell = page.locator(".ln-rows .ln-row").filter(has_text=f"t = {top}").first.locator(".ln-removed")
        assert cell.inner_text() == "0.25 max 0.75"
        assert "by up to 0.75 at t = 20; squared error 0.5 to 2.5" in cell.get_attribute("title")
        assert "1 write removed one by one" in page.locator(".ln-ablnote").inner_text()
        page.keyboard.press("v")
        page.wait_for_selector(".ln-tabs table")
        assert "removed: output changes by" in page.locator(".ln-tabs table thead").inner_text()
        assert page.locator(".ln-tabs table td").filter(has_text="0.75").count() == 1
    finally:
        (trace.path.parent / ".memviz" / "faulty" / "ablation.json").unlink()
