"""The Compare page in a browser: it says what memviz.compare says; one cross over A, B and the difference."""

from __future__ import annotations

import numpy as np
import pytest

import memviz
from memviz.analysis.compare.sides import OneItem
from memviz.dashboards.server import start_server
from memviz.demos.gallery import write_run
from memviz.testing.synthetic import write_dnc_run

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    write_dnc_run(folder / "copy", steps=4, batch=2)
    write_dnc_run(folder / "other", seed=1, steps=4, fields="all")
    write_run("attention_sink", folder / "attention")
    server = start_server([folder], port=0)
    yield folder, server.url
    server.close()


def ready(page, **wanted):
    page.wait_for_function(
        """wanted => { const root = document.querySelector('#compare-root');
            return root && root.dataset.state === 'ready'
                && Object.entries(wanted).every(([key, value]) => root.dataset[key] === value); }""",
        arg={key: str(value) for key, value in wanted.items()},
    )


def go(page, url, place, **wanted):
    page.goto("about:blank")
    page.goto(f"{url}#/run/{place}")
    ready(page, **wanted)


def known(folder, a, b, method=None):
    sides = [OneItem(memviz.open(folder / run)[index], item) for run, index, item in (a, b)]
    return memviz.compare(*sides, align_by=method).memories[0]


def crosses(page, field):
    """Where the cross stands in A, B and the difference of a field, in pixels of the plot."""
    return page.evaluate(
        """field => ['a', 'b', 'd'].map((side) => {
            const plot = document.querySelector(`.cp-row[data-field="${field}"] .sc-plot[data-side=${side}]`);
            const read = (name) => new DOMMatrix(getComputedStyle(plot.querySelector(name)).transform);
            return [read('.sc-col').m41, read('.sc-row').m42]; })""",
        field,
    )


def test_from_the_scope_to_the_previous_record_and_back(runs, page):
    folder, url = runs
    page.goto(f"{url}#/run/copy?step=60&t=9&slot=4")
    page.wait_for_selector("#scope-root[data-state=ready][data-step='60']")
    page.keyboard.press("d")
    ready(page, cmp="copy@40", time=9, slot=4)
    found = known(folder, ("copy", 3, 0), ("copy", 2, 0))
    numbers = page.locator(".cp-numbers").inner_text()
    assert f"{found.alignment.moved} of 16" in numbers
    first = found.first()
    assert f"t = {first[0]}, {first[1].replace('_', ' ')}" in numbers
    changes = page.locator(".cp-changes li").all_inner_texts()
    assert changes[: len(found.changes)] == list(found.changes)
    pairs = page.locator(".cp-pair").all_inner_texts()
    assert pairs == [f"{slot}→{of}" for slot, of in enumerate(found.alignment.slots[0].tolist())]
    page.keyboard.press("d")
    page.wait_for_selector("#scope-root[data-state=ready][data-time='9']")
    page.go_back()
    ready(page, cmp="copy@40")


def test_a_cross_moves_over_all_three_and_values_are_exact(runs, page):
    folder, url = runs
    go(page, url, "copy?step=60&t=3&slot=2&view=compare&cmp=other@60", time=3)
    before = crosses(page, "memory/write_weights")
    assert before[0] == before[1] == before[2]
    page.keyboard.press("ArrowRight")
    page.keyboard.press("j")
    ready(page, time=4, slot=3)
    after = crosses(page, "memory/write_weights")
    assert after[0] == after[1] == after[2]
    assert all(new > old for new, old in zip(after[0], before[0], strict=True))
    # A click in the difference chooses time and slot of all three, and counts in the slots of A.
    plot = page.locator('.cp-row[data-field="memory/write_weights"] .sc-plot[data-side=d]')
    box = plot.bounding_box()
    plot.click(position={"x": (8 + 0.5) * box["width"] / 21, "y": (5 + 0.5) * box["height"] / 16})
    ready(page, time=8, slot=5)
    found = known(folder, ("copy", 3, 0), ("other", 3, 0))
    a, b = (values[8, 0, 0, 5] for values in found.aligned("write_weights"))
    values = page.locator('.cp-row[data-field="memory/write_weights"] .cp-values')
    page.wait_for_selector('.cp-row[data-field="memory/write_weights"] .cp-values[data-exact=true]')
    said = [float(line.split()[-1].replace("−", "-")) for line in values.inner_text().split("\n")]
    np.testing.assert_allclose(said, [a, b, b - a], rtol=0.06, atol=6e-4)


def test_alignment_and_limits_are_switched_kept_in_the_link_and_undone(runs, page):
    folder, url = runs
    go(page, url, "copy?step=60&t=9&view=compare&cmp=other@60", align="writes")
    assert page.locator(".cp-title").inner_text().replace("\u00a0", " ").startswith("Slot alignment removes ")
    page.locator(".cp-sides button[data-align=none]").click()
    ready(page, align="none")
    found = known(folder, ("copy", 3, 0), ("other", 3, 0), "none")
    largest = {entry.field: entry.largest for entry in found.fields}["write_weights"]
    label = page.locator('.cp-row[data-field="memory/write_weights"]').inner_text()
    assert f"max |Δ| {largest:.3g}" in label
    assert "scale of Δ ±1" in label
    page.keyboard.press("l")
    page.wait_for_function("() => location.hash.includes('limits=own')")
    ready(page, align="none")
    page.wait_for_function(
        "() => document.querySelector('.cp-row[data-field=\"memory/usage\"]').innerText.includes('scale of Δ ±')"
    )
    link = page.evaluate("location.hash")
    assert "align=none" in link
    assert "cmp=other@60" in link
    page.go_back()
    page.go_back()
    ready(page, align="writes")
    # The link alone brings everything back.
    go(page, url, link.removeprefix("#/run/"), align="none", cmp="other@60")
    assert page.locator(".cp-grid button[data-limits=own]").get_attribute("aria-pressed") == "true"


def test_the_largest_differences_lead_to_their_cell(runs, page):
    folder, url = runs
    go(page, url, "copy?step=60&t=0&slot=0&view=compare&cmp=copy@40")
    found = known(folder, ("copy", 3, 0), ("copy", 2, 0))
    entry = next(entry for entry in found.fields if "slot" in entry.place and not entry.same)
    row = page.locator(".cp-table tbody tr").filter(has_text=f"t = {entry.place['time']}").filter(has_text="slot").first
    assert f"{entry.largest:.3g}" in row.inner_text()
    row.locator("button").click()
    ready(page, time=entry.place["time"], slot=entry.place["slot"])
    page.go_back()
    ready(page, time=0, slot=0)


def test_two_items_of_a_record_and_the_sides_swapped(runs, page):
    folder, url = runs
    go(page, url, "copy?step=40&item=0&t=9&slot=2&view=compare&cmp=copy@40&cmpitem=1")
    found = known(folder, ("copy", 2, 0), ("copy", 2, 1))
    of = int(found.alignment.slots[0][2])
    assert page.locator(".cp-pair[aria-pressed=true]").inner_text() == f"2→{of}"
    page.keyboard.press("x")
    page.wait_for_function("() => /item=1&/.test(location.hash) && /cmpitem=0/.test(location.hash)")
    ready(page, slot=of)
    swapped = known(folder, ("copy", 2, 1), ("copy", 2, 0))
    pairs = page.locator(".cp-pair").all_inner_texts()
    assert pairs == [f"{slot}→{other}" for slot, other in enumerate(swapped.alignment.slots[0].tolist())]


def test_a_run_against_its_law_by_the_picker(runs, page):
    _, url = runs
    go(page, url, "other?step=60&t=9&view=compare&cmp=other@40")
    page.get_by_label("B run").select_option("the update law")
    ready(page, cmp="@law")
    assert page.locator(".cp-title").inner_text().startswith("A and B agree within rounding in all ")
    assert page.locator('.cp-row[data-field="memory/link_matrix"]').count() == 1
    assert page.locator('.cp-row[data-field="memory/write_weights"]').count() == 0
    page.get_by_label("B run").select_option("copy")
    ready(page, cmp="copy@60")
    page.get_by_role("combobox", name="B step").select_option(label="20")
    ready(page, cmp="copy@20")


def test_what_cannot_be_compared_is_said(runs, page):
    _, url = runs
    go(page, url, "copy?step=60&t=9&view=compare&cmp=attention")
    assert page.locator(".cp-title").inner_text() == "A and B have no field in common that could be compared"
    assert "only A has it" in page.locator(".cp-changes").inner_text()
    page.goto("about:blank")
    page.goto(f"{url}#/run/copy?step=60&t=9&view=compare&cmp=attention&align=writes")
    page.wait_for_selector("#compare-root[data-state=error]")
    assert "needs write_weights in both records" in page.locator(".cp-title").inner_text()
    page.get_by_role("button", name="Compare with the previous record").click()
    ready(page, cmp="copy@40")
    page.goto("about:blank")
    page.goto(f"{url}#/run/copy?step=60&view=compare&cmp=gone@3")
    page.wait_for_selector("#compare-root[data-state=error]")
    assert "There is no run “gone” here" in page.locator(".cp-title").inner_text()
    page.faults[:] = [fault for fault in page.faults if "404" not in fault]


def test_the_palette_compares_with_another_run(runs, page):
    _, url = runs
    page.goto(f"{url}#/run/copy?step=20&t=9")
    page.wait_for_selector("#scope-root[data-state=ready]")
    page.keyboard.press("Control+k")
    page.locator(".palette-input").fill("compare with run other")
    page.wait_for_selector(".palette-item >> text=Compare with run other")
    page.keyboard.press("Enter")
    ready(page, cmp="other@60", run="copy")
