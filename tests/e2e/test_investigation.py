"""A whole investigation: from the finding of a faulty run to the write behind it, the healthy run, a file, and back."""

from __future__ import annotations

import re

import numpy as np
import pytest

import memviz
from memviz.analysis.lineage import lineage
from memviz.demos.gallery import write_run

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A run with a planted fault, and the same run without it."""
    root = tmp_path_factory.mktemp("runs")
    write_run("write_interference", root / "faulty")
    write_run("write_interference", root / "sound", strength=0.0)
    return root


def facts(page, page_name):
    return page.evaluate(f"({{...document.querySelector('#{page_name}-root').dataset}})")


def ready(page, page_name, **wanted):
    known = "".join(f"[data-{name}='{value}']" for name, value in wanted.items())
    page.wait_for_selector(f"#{page_name}-root[data-state=ready]{known}")


def test_from_a_finding_to_the_write_behind_it_the_healthy_run_a_file_and_back(serve, page, new_page, root, tmp_path):
    url = serve(root).url
    # Open: the list of runs names the fault, and its badge leads to the evidence.
    page.goto(url)
    badge = page.locator('#runs-grid .ag-row[row-id="faulty"] a.finding').first
    badge.wait_for()
    assert "write interference" in badge.inner_text()
    badge.click()
    page.wait_for_selector(".sc-ring, #scope-root [data-evidence]")
    ready(page, "scope")
    found = facts(page, "scope")
    record = memviz.open(root / "faulty").at(int(found["step"]))
    item, slot = int(re.search(r"item=(\d+)", page.url)[1]), int(found["slot"])
    assert "overwr" in page.locator(".sc-evidence").inner_text().lower()

    # Follow: a read of the slot that was written over, by what it is made of.
    reads = record["read_weights"][:, item, 0, slot]
    time = int(reads.argmax())
    page.goto(f"{url.split('#')[0]}#/run/faulty?step={found['step']}&item={item}&t={time}&slot={slot}&head=0")
    ready(page, "scope", time=time)
    page.keyboard.press("g")
    ready(page, "lineage", time=time)
    shares = lineage(record, time, 0, item).shares
    top = int(np.abs(shares[1:]).argmax())
    assert f"{100 * shares[top + 1]:.0f} % of this read comes from the write at t = {top}" in page.inner_text(
        ".ln-title"
    )
    page.keyboard.press("w")
    ready(page, "lineage", write=top, tab="readers")
    page.keyboard.press("Escape")
    ready(page, "lineage", write="")

    # Compare: the same step of the healthy run, slots aligned.
    page.keyboard.press("g")
    ready(page, "scope")
    page.keyboard.press("d")
    page.wait_for_selector("#compare-root[data-state=ready]")
    page.get_by_label("B run").select_option("sound")
    page.wait_for_selector("#compare-root[data-state=ready][data-cmp^='sound@']")
    healthy = memviz.open(root / "sound").at(int(found["step"]))
    known = memviz.compare(record, healthy)
    assert known.memories[0].fields
    assert page.locator(".cp-row[data-field='memory/write_weights']").count() >= 1
    compared = page.url

    # Keep: the exact values as a file.
    page.keyboard.press("d")
    ready(page, "scope")
    page.locator(".sc-panel[data-field='memory/write_weights']").first.focus()
    page.keyboard.press("e")
    with page.expect_download() as download:
        page.locator(".ex-dialog [data-format=npz]").click()
    path = tmp_path / "values.npz"
    download.value.save_as(path)
    with np.load(path) as arrays:
        np.testing.assert_array_equal(arrays["memory/write_weights"], record["write_weights"][:, item])
    page.keyboard.press("Escape")

    # Reopen: the copied address of the comparison shows the same, in another window.
    other = new_page()
    other.goto(compared)
    other.wait_for_selector("#compare-root[data-state=ready][data-cmp^='sound@']")
    assert re.sub(r"\s+", " ", other.inner_text(".cp-numbers"))
    assert facts(other, "compare")["time"] == str(time)
