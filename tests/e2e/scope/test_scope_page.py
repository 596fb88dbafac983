"""The Scope page in a browser: what it draws equals the trace, and one selection moves all of it."""

import re

import numpy as np
import pytest

import memviz
from memviz.testing.synthetic import write_dnc_run

pytestmark = pytest.mark.browser

YELLOW, BLUE = (254, 232, 56), (0, 34, 78)
NAN = (194, 24, 139)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    write_dnc_run(folder / "copy")
    write_dnc_run(folder / "broken", steps=4, plant_nan=(2, 5), fields="all")
    write_dnc_run(folder / "batch", steps=3, batch=3, read_heads=1, seed=3)
    return folder


@pytest.fixture
def url(serve, runs):
    return serve(runs).url


@pytest.fixture(scope="module")
def last(runs):
    return memviz.open(runs / "copy")[19]


def close(colour, wanted, within=6):
    return all(abs(a - b) <= within for a, b in zip(colour, wanted, strict=True))


def test_every_field_over_time_has_a_ready_panel_for_every_head(scope, url, last):
    scope.open(url, "copy", "more=1")
    for name in last.fields:
        axes = last.schema(name).axes
        if "time" not in axes or name in ("memory/memory", "memory/link_matrix"):
            continue
        heads = int(np.prod([n for n, axis in zip(last.shape(name), axes, strict=True) if axis == "read_head"]))
        panels = scope.panel(name)
        assert panels.count() == heads, name
        assert {panels.nth(i).get_attribute("data-state") for i in range(heads)} == {"ready"}, name
    for card in ("memory/memory", "memory/link_matrix"):
        scope.page.wait_for_selector(f".card[data-field='{card}'][data-state=ready]")
    # What has no time axis is listed, not left out.
    assert scope.page.locator(".sc-restrow[data-field='memory/final/memory']").is_visible()


def test_a_written_cell_is_yellow_and_an_empty_one_dark_blue(scope, url, last):
    weights = last["write_weights"][:, 0, 0]
    scope.open(url, "copy")
    time = int(np.argmax(weights.max(axis=1)))
    slot = int(np.argmax(weights[time]))
    empty = int(np.argmin(weights[time]))
    assert weights[time, slot] > 0.99
    assert weights[time, empty] < 0.002
    assert close(scope.pixel("memory/write_weights", time, slot), YELLOW)
    assert close(scope.pixel("memory/write_weights", time, empty), BLUE)


def test_what_was_not_asked_is_blank_and_said(scope, url, last):
    target = last["model/target"][:, 0]
    asked = ~np.isnan(target).all(axis=1)
    assert 0 < asked.sum() < len(asked)
    scope.open(url, "copy")
    assert scope.panel("model/target").locator(".sc-note").inner_text() == "no target here"
    alpha = scope.panel("model/target").evaluate(
        "node => node.querySelector('.sc-cells').getContext('2d').getImageData(3, 3, 1, 1).data[3]"
    )
    assert alpha == 0
    wrong = int(((last["model/output"][:, 0] > 0.5) != (target > 0.5))[asked].sum())
    assert f"{wrong} of {target[asked].size} bits wrong" in scope.panel("model/output").inner_text()


def test_nan_has_its_own_colour_and_is_said(scope, url, runs):
    weights = memviz.open(runs / "broken")[3]["read_weights"][:, 0, 0]
    time, slot = map(int, np.argwhere(np.isnan(weights))[0])
    scope.open(url, "broken", f"step=60&t={time}&slot={slot}")
    assert close(scope.pixel("memory/read_weights", time, slot, head=0), NAN, within=2)
    assert not close(scope.pixel("memory/read_weights", time - 1, slot, head=0), NAN, within=40)
    assert "NaN" in scope.panel("memory/read_weights", 0).inner_text()
    assert scope.readout("memory/read_weights", 0) == "NaN"
    assert "NaN" in scope.panel("memory/read_weights", 0).get_attribute("aria-label")


def test_a_click_selects_and_shows_exact_values_everywhere(scope, url, last):
    scope.open(url, "copy")
    weights = last["read_weights"][:, 0]
    scope.click("memory/read_weights", 13, int(np.argmax(weights[13, 1])), head=1)
    slot = int(np.argmax(weights[13, 1]))
    scope.drawn(time=13, slot=slot)
    assert set(scope.columns()) == {13}
    assert float(scope.readout("memory/read_weights", 0)) == pytest.approx(weights[13, 0, slot], abs=5e-4)
    assert float(scope.readout("memory/read_weights", 1)) == pytest.approx(weights[13, 1, slot], abs=5e-4)
    assert float(scope.readout("memory/usage")) == pytest.approx(last["usage"][13, 0, slot], abs=5e-4)
    assert float(scope.readout("memory/write_gate")) == pytest.approx(last["write_gate"][13, 0, 0], abs=5e-3)
    scope.page.wait_for_selector(".sc-slot[data-state=ready]")
    assert f"head 0\n{weights[13, 0, slot]:.3f}" in scope.page.locator(".sc-numbers").inner_text()


def test_hover_gives_every_digit(scope, url, last):
    scope.open(url, "copy")
    said = scope.hover("memory/usage", 9, 4)
    assert said[0] == "Usage"
    where, value = said[1].split(": ")
    assert where == "t = 9, slot 4"
    assert float(value) == pytest.approx(float(last["usage"][9, 0, 4]), rel=2e-7)


def test_scrubbing_moves_every_panel_and_says_the_peaks_of_each_time(scope, url, last):
    scope.open(url, "copy", "t=0")
    for time in range(1, 8):
        scope.page.keyboard.press("ArrowRight")
        scope.drawn(time=time)
        columns = scope.columns()
        assert len(columns) > 8
        assert set(columns) == {time}
        for head in (0, 1):
            weights = last["read_weights"][time, 0, head]
            text = scope.panel("memory/read_weights", head).inner_text()
            found = re.search(r"peak slot (\d+)\s+([\d.]+)", text)
            assert int(found[1]) == int(np.argmax(weights))
            assert float(found[2]) == pytest.approx(weights.max(), abs=5e-4)
            assert float(re.search(r"mass ([\d.]+)", text)[1]) == pytest.approx(weights.sum(), abs=1e-3)
    scope.until("document.querySelector('[data-crumb=time] b').textContent === '7'")


def test_the_memory_card_is_of_the_chosen_time_or_blank_never_stale(scope, url):
    scope.open(url, "copy", "t=3")
    card = scope.page.locator(".sc-memory")
    scope.page.wait_for_selector(".sc-memory[data-time='3'][data-state=ready]")
    held = []
    scope.page.route("**/matrices*", lambda route: held.append(route))
    scope.page.keyboard.press("Shift+ArrowLeft")
    scope.drawn(step=360)
    assert card.get_attribute("data-state") == "loading"
    assert card.get_attribute("data-time") == ""
    for route in held:
        route.continue_()
    scope.page.unroute("**/matrices*")
    scope.page.wait_for_selector(".sc-memory[data-time='3'][data-state=ready]")


def test_keys(scope, url):
    scope.open(url, "copy", "step=200&t=4&slot=2")
    press = scope.page.keyboard.press
    for key, expected in [
        ("ArrowRight", {"time": 5}),
        ("ArrowLeft", {"time": 4}),
        ("End", {"time": 20}),
        ("Home", {"time": 0}),
        ("j", {"slot": 3}),
        ("k", {"slot": 2}),
        ("h", {"head": 1}),
        ("h", {"head": 0}),
        ("Shift+ArrowRight", {"step": 220}),
        ("Shift+ArrowLeft", {"step": 200}),
    ]:
        press(key)
        scope.drawn(**expected)
    press("Space")
    scope.drawn(time=2)
    press("Space")
    scope.page.locator("#scope-play[aria-label^=Play]").wait_for()
    press("?")
    assert "slot down, up" in scope.page.locator("dialog.help").inner_text()
    press("Escape")
    scope.page.locator("dialog.help").wait_for(state="hidden")


def test_keys_are_not_taken_from_inputs(scope, url):
    scope.open(url, "copy", "t=4")
    scope.page.focus(".sc-foot select >> nth=0")
    scope.page.keyboard.press("j")
    scope.page.keyboard.press("ArrowRight")
    scope.page.wait_for_timeout(150)
    assert (scope.shows["time"], scope.shows["slot"]) == ("4", "0")


def test_the_log_scale_lifts_small_weights_and_is_labelled(scope, url, runs):
    weights = memviz.open(runs / "copy")[0]["read_weights"][:, 0, 0]
    time = int(np.argmin(weights.max(axis=1)))
    slot = int(np.argmax(weights[time]))
    assert 0.01 < weights[time, slot] < 0.5
    scope.open(url, "copy", "step=0")
    linear = scope.pixel("memory/read_weights", time, slot, head=0)
    scope.page.keyboard.press("l")
    scope.until("memviz.scope.panels.frame.tiles.some(tile => tile.scale === 'log')")
    scope.until("location.hash.includes('scale=log')")
    lifted = scope.pixel("memory/read_weights", time, slot, head=0)
    share = 1 + np.log10(weights[time, slot]) / 6
    wanted = scope.page.evaluate("share => memviz.scope.colour.cividis(share)", float(share))
    assert close(lifted, wanted)
    assert sum(lifted) > sum(linear)


def test_reload_restores_the_view(scope, url):
    scope.open(url, "copy", "step=280&t=9&slot=5&head=1&range=160..380&hide=usage&more=1")
    before = scope.shows
    assert scope.panel("memory/usage").count() == 0
    scope.page.reload()
    scope.drawn()
    assert scope.shows == before
    assert scope.panel("memory/usage").count() == 0
    assert scope.panel("memory/read_keys").count() == 2
    assert scope.page.locator("#scope-range").inner_text() == "range 160–380 of 380"


def test_back_undoes_a_choice(scope, url):
    scope.open(url, "copy", "step=280&t=9&slot=5")
    scope.click("memory/usage", 3, 12)
    scope.drawn(time=3, slot=12)
    for _ in range(4):
        scope.page.keyboard.press("ArrowRight")
    scope.drawn(time=7)
    scope.click("memory/usage", 15, 1)
    scope.drawn(time=15, slot=1)
    scope.page.go_back()
    scope.drawn(time=7, slot=12)
    scope.page.go_back()
    scope.drawn(time=9, slot=5)
    scope.page.go_forward()
    scope.drawn(time=7, slot=12)


def test_the_timeline_chooses_brushes_and_clears(scope, url):
    scope.open(url, "copy")
    plot = scope.page.locator(".sc-tlplot canvas")
    box = plot.bounding_box()
    left, right = box["x"] + 164, box["x"] + box["width"] - 30

    def x(step):
        return left + (right - left) * step / 380

    y = box["y"] + 40
    scope.page.mouse.click(x(143), y)
    scope.drawn(step=140)
    assert scope.page.get_attribute("#scope-follow", "aria-pressed") == "false"
    scope.page.mouse.move(x(100), y)
    scope.page.mouse.down()
    scope.page.mouse.move(x(150), y, steps=3)
    scope.page.mouse.move(x(300), y, steps=3)
    scope.page.mouse.up()
    scope.drawn(step=140)
    scope.until("document.querySelector('#scope-range').textContent.startsWith('range')")
    low, high = map(int, re.search(r"range (\d+)–(\d+) of 380", scope.page.inner_text("#scope-range")).groups())
    assert abs(low - 100) <= 1
    assert abs(high - 300) <= 1
    scope.until(f"location.hash.includes('range={low}..{high}')")
    scope.page.keyboard.press("Escape")
    scope.until("document.querySelector('#scope-range').textContent.startsWith('20 records')")


def test_the_scrubber_and_its_buttons_move_time(scope, url):
    scope.open(url, "copy", "t=0")
    box = scope.page.locator("#scope-scrub").bounding_box()
    scope.page.mouse.click(box["x"] + 10 + (box["width"] - 20) * 0.75, box["y"] + 14)
    scope.drawn(time=15)
    scope.page.click("#scope-next")
    scope.drawn(time=16)
    scope.page.click("#scope-prev")
    scope.drawn(time=15)
    assert scope.page.get_attribute("#scope-scrub", "aria-valuetext") == "time 15 of 20"


def test_the_fields_chooser_hides_a_panel(scope, url):
    scope.open(url, "copy")
    scope.page.click("#scope-fields")
    scope.page.locator(".sc-menu input[value=allocation_gate]").uncheck()
    scope.panel("memory/allocation_gate").wait_for(state="detached")
    scope.until("location.hash.includes('hide=allocation_gate')")
    scope.page.click(".sc-menu >> text=Show all")
    scope.panel("memory/allocation_gate").wait_for()


def test_the_table_holds_the_values_of_the_trace(scope, url, last):
    scope.open(url, "copy", "t=9&slot=5")
    scope.panel("memory/read_weights", 1).focus()
    scope.page.keyboard.press("v")
    scope.page.locator(".sc-table tbody tr").first.wait_for()
    rows = scope.page.evaluate(
        "[...document.querySelectorAll('.sc-table tr')].map(row => [...row.children].map(cell => cell.textContent))"
    )
    times = [int(text) for text in rows[0][1:]]
    assert 9 in times
    values = np.array([[float(text.replace("\N{MINUS SIGN}", "-")) for text in row[1:]] for row in rows[1:]])
    np.testing.assert_allclose(values, last["read_weights"][times, 0, 1].T, rtol=2e-7, atol=1e-30)
    scope.page.keyboard.press("Escape")
    scope.page.locator(".sc-dialog").wait_for(state="detached")


def test_another_item_of_the_batch(scope, url, runs):
    record = memviz.open(runs / "batch")[2]
    scope.open(url, "batch", "step=40&t=2&slot=1")
    scope.page.select_option("#scope-item", "2")
    scope.until("location.hash.includes('item=2')")
    scope.drawn(step=40)
    for item_slot in (int(np.argmax(record["write_weights"][4, 2, 0])),):
        scope.click("memory/write_weights", 4, item_slot)
        assert float(scope.readout("memory/write_weights")) == pytest.approx(
            record["write_weights"][4, 2, 0, item_slot], abs=5e-4
        )


def test_the_forward_walk_follows_the_links(scope, url, last):
    writes = last["write_weights"][:, 0, 0]
    order = [int(np.argmax(row)) for row in writes if row.max() > 0.5]
    scope.open(url, "copy", f"t=12&slot={order[0]}")
    scope.until("document.querySelectorAll('.sc-walk tbody tr').length >= 7")
    slots = scope.page.evaluate("[...document.querySelectorAll('.sc-walk .sc-strong')].map(n => Number(n.textContent))")
    assert slots == order[: len(slots)]
    assert len(slots) == 7


def test_the_slot_card_says_its_last_write(scope, url, last):
    writes = last["write_weights"][:, 0, 0]
    slot = int(np.argmax(writes[5]))
    scope.open(url, "copy", f"t=10&slot={slot}")
    sentence = scope.page.locator("[data-role=slot-sentence]")
    scope.until("document.querySelector('[data-role=slot-sentence]').textContent.startsWith('Last write')")
    assert sentence.inner_text().startswith(f"Last write t = 5, weight {writes[5, slot]:.2f}.")


def test_an_address_that_was_just_entered_is_not_written_over(serve, page, tmp_path):
    write_dnc_run(tmp_path / "copy", steps=2)
    page.goto(f"{serve(tmp_path).url}#/run/copy?t=3&slot=1")
    page.wait_for_selector("#scope-root[data-state=ready][data-time='3']")
    # The page hears of the new address a moment later; until then a late write of the old place must wait.
    kept = page.evaluate(
        """() => {
            location.hash = '#/run/copy?t=9&slot=2';
            window.memviz.navigate('#/run/copy?t=4&slot=1', { replace: true });
            return location.hash;
        }"""
    )
    assert kept == "#/run/copy?t=9&slot=2"
    page.wait_for_selector("#scope-root[data-state=ready][data-time='9'][data-slot='2']")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => location.hash.includes('t=10')")
