"""The query box of the Scope page: asked by keyboard, answered as memviz.query answers, jumped from, cancelled."""

from __future__ import annotations

from urllib.parse import quote

import pytest

import memviz
from memviz.dashboards import searches
from memviz.testing.synthetic import write_dnc_run

pytestmark = pytest.mark.browser

TEXT = "read_weights.effective_slots > 4 and phase == 'recall' and item == 1"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    write_dnc_run(folder / "copy", steps=6, batch=2)
    return folder


@pytest.fixture
def opened(serve, page, runs):
    """The Scope page of a run, drawn."""
    server = serve(runs)

    def go(query=""):
        page.goto("about:blank")
        page.goto(f"{server.url}#/run/copy{query}")
        page.wait_for_selector("#scope-root[data-state=ready]")
        return page

    return go


def wait_state(page, state):
    page.wait_for_selector(f".sc-query[data-state={state}]")


def facts(page):
    return page.evaluate("({...document.querySelector('#scope-root').dataset})")


def test_a_query_is_asked_answered_and_jumped_from_by_keyboard(opened, runs):
    page = opened()
    assert page.locator(".sc-query").is_hidden()
    page.keyboard.press("/")
    page.wait_for_function("() => document.activeElement.id === 'scope-query'")
    assert "effective_slots" in page.locator(".sc-qhint").inner_text()
    page.keyboard.type(TEXT)
    page.keyboard.press("Enter")
    wait_state(page, "done")
    known = memviz.query(memviz.open(runs / "copy"), TEXT)
    assert known.count > 3
    assert page.locator("#scope-query-state").inner_text() == known.sentence
    assert page.locator(".sc-qhit").count() == len(known.hits)
    assert f"q={quote(TEXT)}".replace("%27", "'") in page.evaluate("location.hash").replace("%27", "'")

    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    hit = known.hits[2]
    page.wait_for_selector(".sc-ring[data-severity=note]")
    seen = facts(page)
    place = hit.found
    assert (seen["step"], seen["time"], seen["slot"], seen["head"]) == tuple(
        str(x) for x in (hit.step, place.time, place.slot, place.head)
    )
    ring = page.locator(".sc-ring")
    assert ring.count() == 1
    panel = ring.evaluate("node => ({...node.closest('[data-field]').dataset})")
    assert (panel["field"], panel["head"]) == ("memory/read_weights", str(place.head))
    assert (ring.get_attribute("data-time"), ring.get_attribute("data-slot")) == (str(place.time), str(place.slot))
    assert page.locator(".sc-qhit[aria-current=true]").get_attribute("data-hit") == "2"
    assert page.locator("#scope-query-state").inner_text().startswith("Place 3. ")

    # On to the next, and back again by undoing it.
    page.keyboard.press("]")
    page.wait_for_selector(".sc-qhit[aria-current=true][data-hit='3']")
    page.go_back()
    page.wait_for_selector(".sc-qhit[aria-current=true][data-hit='2']")
    assert facts(page)["time"] == str(place.time)
    # Leaving the place takes the ring away, clearing it keeps the list.
    page.keyboard.press("Escape")
    page.wait_for_selector(".sc-ring", state="detached")
    assert page.locator(".sc-qhit").count() == len(known.hits)


def test_a_link_brings_query_and_place_back(opened):
    page = opened(f"?q={quote(TEXT)}")
    wait_state(page, "done")
    page.locator(".sc-qhit").nth(1).click()
    page.wait_for_selector(".sc-ring")
    before, address = facts(page), page.evaluate("location.hash")
    assert "hit=1" in address
    page = opened(address[address.index("?") :])
    page.wait_for_selector(".sc-qhit[aria-current=true][data-hit='1']")
    page.wait_for_selector(".sc-ring")
    assert facts(page) == before
    assert page.locator("#scope-query").input_value() == TEXT
    page.get_by_role("button", name="Close").click()
    page.wait_for_function("() => !location.hash.includes('q=')")
    assert page.locator(".sc-query").is_hidden()


def test_a_mistake_is_told_with_its_place_and_can_be_mended(opened, forgiven):
    forgiven.append("400")
    page = opened("?q=" + quote("read_weights.pek > 4"))
    wait_state(page, "refused")
    assert "did you mean 'peak'? (character 1)" in page.locator("#scope-query-state").inner_text()
    assert page.locator("#scope-query").get_attribute("aria-invalid") == "true"
    page.locator("#scope-query").fill("read_weights.peak > 4")
    page.keyboard.press("Enter")
    wait_state(page, "done")
    assert page.locator("#scope-query-state").inner_text() == "It holds nowhere."


def test_an_example_fits_the_run_and_is_asked_at_once(opened):
    page = opened("?q=")
    page.locator(".sc-qexample").first.click()
    wait_state(page, "done")
    assert "read_weights" in page.locator("#scope-query").input_value()


def test_a_search_shows_how_far_it_is_and_is_cancelled(opened, monkeypatch):
    import threading

    gate = threading.Semaphore(2)
    real = searches.look

    def look(*arguments):
        gate.acquire()
        return real(*arguments)

    monkeypatch.setattr(searches, "look", look)
    page = opened("?q=" + quote("read_weights.mass > 0"))
    page.wait_for_function(
        "() => document.querySelector('#scope-query-state').textContent.startsWith('Asking 2 of 6 records')"
    )
    assert page.locator(".sc-qhit").count() > 0
    page.locator("#scope-query-cancel").click()
    wait_state(page, "cancelled")
    assert "Cancelled after 2 of 6 records" in page.locator("#scope-query-state").inner_text()
    for _ in range(50):
        gate.release()
    page.get_by_role("button", name="Go on").click()
    wait_state(page, "done")
    assert "in 6 of 6 records" in page.locator("#scope-query-state").inner_text()


def test_labels_are_shown_as_text(opened, runs):
    page = opened("?q=" + quote("phase == '<img src=x>' or phase != '<b>' and step == 0"))
    wait_state(page, "done")
    assert page.locator(".sc-query img, .sc-query b").count() == 0
    assert page.locator(".sc-qhit").count() > 0
