"""A run opens on its findings, and each is one click from its evidence: on every run of the gallery."""

from __future__ import annotations

import pytest

from memviz.dashboards.server import start_server
from memviz.demos.gallery import names, write_run
from memviz.testing.synthetic import write_dnc_run

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    """The gallery's runs by name, and a server over them."""
    folder = tmp_path_factory.mktemp("gallery")
    runs = {name: write_run(name, folder / name) for name in names()}
    write_dnc_run(folder / "sound", steps=3)
    server = start_server([folder], port=0)
    yield runs, server.url
    server.close()


def facts(page):
    return page.evaluate("({...document.querySelector('#scope-root').dataset})")


def first_click(page, url, name):
    """Open a run and click its first finding; the finding as the server tells it."""
    with page.expect_response(lambda r: r.url.endswith("/findings") and r.json()["state"] == "done") as said:
        page.goto("about:blank")
        page.goto(f"{url}#/run/{name}")
    finding = said.value.json()["findings"][0]
    card = page.locator(".sc-finding").first
    card.wait_for()
    assert card.get_attribute("data-key") == finding["key"]
    card.click()
    return finding


def test_one_click_leads_to_the_evidence_of_every_planted_fault(gallery, page):
    runs, url = gallery
    for name, run in runs.items():
        finding = first_click(page, url, name)
        assert finding["diagnostic"] == run.diagnostic, name
        page.wait_for_selector(".sc-ring, #scope-root [data-evidence]")
        seen = facts(page)
        assert (seen["step"], seen["memory"]) == (str(finding["step"]), finding["memory"]), name
        for what in ("time", "slot"):
            if finding[what] is not None:
                assert seen[what] == str(finding[what]), (name, what)
            if isinstance(run.where.get(what), int) and run.where.get("field") == finding["field"]:
                assert finding[what] == run.where[what], (name, what)
        # The page says in a sentence what happened, and where.
        bar = page.locator(".sc-evidence")
        assert finding["sentence"] in bar.inner_text(), name
        assert f"Step {finding['step']}, item {finding['item']}" in bar.inner_text(), name
        marked = page.evaluate(
            """() => [...document.querySelectorAll('.sc-ring, #scope-root [data-evidence]')]
                .map((node) => node.closest('[data-field]').dataset.field)"""
        )
        assert set(marked) == {f"{finding['memory']}/{finding['field']}"}, name
        # The evidence is on the screen, not somewhere below.
        box = page.locator(".sc-ring, #scope-root [data-evidence]").first.bounding_box()
        assert 0 <= box["y"] < 960, name
        assert page.evaluate("decodeURIComponent(location.hash)").count(f"finding={finding['key']}") == 1, name


def test_the_birth_of_a_nan_is_ringed_and_told(gallery, page):
    runs, url = gallery
    first_click(page, url, "nan_cosine")
    page.wait_for_selector(".sc-ring")
    ring = page.locator(".sc-ring")
    assert ring.count() == 1
    ringed = ring.bounding_box()
    plot = page.locator(".sc-panel[data-field='memory/read_weights'][data-head='0'] .sc-plot")
    box, cell = plot.bounding_box(), float(plot.get_attribute("data-cell-width"))
    time = runs["nan_cosine"].where["time"]
    # Two pixels of air around the cell of that time, in the first row.
    assert ringed["x"] == pytest.approx(box["x"] + time * cell - 2, abs=1)
    assert ringed["y"] == pytest.approx(box["y"] - 2, abs=1)
    assert ringed["width"] == pytest.approx(cell + 4, abs=1)
    page.wait_for_function("() => document.querySelector('#scope-evidence').textContent.includes('NaN here')")
    assert "norm 0" in page.locator(".sc-ewhat").inner_text()
    assert "at t = 2 to NaN here" in page.locator("#scope-evidence").inner_text()


def test_findings_are_walked_undone_and_left(gallery, page):
    _, url = gallery
    finding = first_click(page, url, "saturated_usage")
    page.wait_for_selector(".sc-evidence:visible")
    page.keyboard.press(".")
    page.wait_for_function("key => !location.hash.includes(key)", arg=finding["key"])
    second = page.locator(".sc-finding[aria-pressed=true]").get_attribute("data-key")
    assert second != finding["key"]
    page.keyboard.press(",")
    page.wait_for_selector(f".sc-finding[aria-pressed=true][data-key='{finding['key']}']")
    page.go_back()
    page.wait_for_selector(f".sc-finding[aria-pressed=true][data-key='{second}']")
    # The link is the whole place: another window shows the same.
    link = page.url
    page.goto("about:blank")
    page.goto(link)
    page.wait_for_selector(f".sc-finding[aria-pressed=true][data-key='{second}']")
    page.wait_for_selector(".sc-ring")
    page.keyboard.press("Escape")
    page.wait_for_selector(".sc-evidence", state="hidden")
    assert page.locator(".sc-ring").count() == 0
    # The report has all of them, with what to try.
    page.keyboard.press("i")
    report = page.locator("dialog.sc-dialog")
    assert report.locator(".sc-entry").count() == 6
    assert "Try:" in report.inner_text()


def test_the_palette_finds_a_finding_a_field_and_a_run(gallery, page):
    _, url = gallery
    page.goto(f"{url}#/run/dead_slots")
    page.wait_for_selector(".sc-finding")
    page.keyboard.press("Control+k")
    page.keyboard.type("never written")
    page.locator("dialog.palette [role=option]").first.wait_for()
    page.keyboard.press("Enter")
    page.wait_for_selector(".sc-ring")
    page.keyboard.press("Control+k")
    page.keyboard.type("field write keys")
    page.wait_for_function("() => document.querySelectorAll('dialog.palette [role=option]').length === 1")
    page.keyboard.press("Enter")
    page.wait_for_selector(".sc-panel[data-field='memory/write_keys']:visible")
    page.keyboard.press("Control+k")
    page.keyboard.type("run freed_residue")
    # It can be opened, and compared with: opening comes first.
    page.wait_for_function("() => document.querySelectorAll('dialog.palette [role=option]').length === 2")
    page.keyboard.press("Enter")
    page.wait_for_function("() => location.hash.startsWith('#/run/freed_residue')")


def test_a_healthy_run_says_that_nothing_was_found_or_notes_only(gallery, page):
    _, url = gallery
    page.goto(f"{url}#/run/sound")
    page.wait_for_selector("#scope-findings[data-state=done]")
    assert page.locator(".sc-finding[data-severity=error]").count() == 0


def test_a_live_run_is_checked_as_it_grows(serve, page, tmp_path):
    with write_dnc_run(tmp_path / "live", steps=3, plant_nan=(5, 4), live=True) as run:
        page.goto(f"{serve(tmp_path).url}#/run/live")
        page.wait_for_selector("#scope-findings[data-state=following]")
        assert page.locator(".sc-finding[data-severity=error]").count() == 0
        run.append(3)
        page.wait_for_selector(".sc-finding[data-severity=error]", timeout=30_000)
