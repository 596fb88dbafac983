"""The Film page in a browser: the changes of memviz.analysis.film lead to their steps; two scrubbers, one picture."""

from __future__ import annotations

import pytest

import memviz
from memviz.analysis.film import film
from memviz.dashboards.answers.naming import names_of
from memviz.dashboards.server import start_server
from memviz.demos.gallery import write_run
from memviz.testing.synthetic import write_dnc_run

pytestmark = pytest.mark.browser

STEPS = 24


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    write_dnc_run(folder / "copy", steps=STEPS)
    write_run("diffuse_attention", folder / "attention")
    server = start_server([folder], port=0)
    yield folder, server.url
    server.close()


@pytest.fixture(scope="module")
def known(runs):
    return film(memviz.open(runs[0] / "copy"), keep=False)


def ready(page, **wanted):
    page.wait_for_function(
        """wanted => { const root = document.querySelector('#film-root');
            return root && root.dataset.state === 'ready'
                && Object.entries(wanted).every(([key, value]) => root.dataset[key] === value); }""",
        arg={key: str(value) for key, value in wanted.items()},
    )


def go(page, url, place, **wanted):
    page.goto("about:blank")
    page.goto(f"{url}#/run/{place}")
    ready(page, film="done", **wanted)


def test_from_the_scope_to_the_film_and_to_a_change(runs, page, known):
    _, url = runs
    page.goto(f"{url}#/run/copy?step=40&t=14&slot=3")
    page.wait_for_selector("#scope-root[data-state=ready]")
    page.keyboard.press("t")
    ready(page, film="done", step=40, time=14, slot=3)
    changes = known.changes()
    assert len(changes) >= 3
    said = page.locator(".fm-change").all_inner_texts()
    assert [text.split("\n")[-1] for text in said] == [change.sentence for change in changes]
    page.locator(".fm-change").nth(2).click()
    ready(page, step=changes[2].step)
    assert page.locator("#announcer").inner_text() == changes[2].sentence
    page.go_back()
    ready(page, step=40)
    page.keyboard.press("]")
    ready(page, step=next(change.step for change in changes if change.step > 40))
    page.keyboard.press("Escape")
    page.wait_for_selector("#scope-root[data-state=ready]")


def test_a_tick_on_a_curve_leads_to_its_step(runs, page, known):
    _, url = runs
    go(page, url, "copy?step=0&t=14&view=film")
    change = next(change for change in known.changes() if change.statistic == "usage")
    panel = page.locator(".fm-panel[data-statistic=usage]")
    assert change.sentence in panel.get_attribute("aria-label")
    width = float(page.locator(".fm-plot").get_attribute("data-cell-width"))
    x = 156 + (change.record + 0.5) * width
    panel.hover(position={"x": x, "y": 5})
    page.wait_for_function("words => document.querySelector('.sc-tip').textContent === words", arg=change.sentence)
    panel.click(position={"x": x, "y": 5})
    ready(page, step=change.step)
    values = panel.locator(".fm-values").inner_text()
    assert float(values) == pytest.approx(known.series["memory/usage"][change.record], rel=5e-3)
    # Anywhere else the click goes to the record of the column.
    panel.click(position={"x": 156 + 2.5 * width, "y": 30})
    ready(page, step=40)


def test_two_scrubbers_move_one_picture(runs, page):
    folder, url = runs
    go(page, url, "copy?step=460&t=14&slot=3&view=film")
    trace = memviz.open(folder / "copy")

    def peak(time, record):
        slot = int(trace[record]["read_weights"][time, 0, 0].argmax())
        return f"t = {time}: peak at slot {slot},"

    page.wait_for_selector(".fm-plot[data-state=ready][data-time='14']")
    assert page.locator(".fm-nowbody .note").inner_text().startswith(peak(14, 23))
    page.locator("#film-times").focus()
    page.keyboard.press("ArrowRight")
    ready(page, time=15, step=460)
    page.wait_for_selector(".fm-plot[data-state=ready][data-time='15']")
    page.locator("#film-steps").focus()
    page.keyboard.press("ArrowLeft")
    ready(page, time=15, step=440)
    assert page.locator(".fm-nowbody .note").inner_text().startswith(peak(15, 22))
    page.keyboard.press("Home")
    ready(page, time=15, step=0)
    box = page.locator("#film-steps").bounding_box()
    page.locator("#film-steps").click(position={"x": 10 + (box["width"] - 20) * 12 / (STEPS - 1), "y": 14})
    ready(page, step=240)
    # A click in the picture chooses a step and a slot.
    plot = page.locator(".fm-plot")
    width = float(plot.get_attribute("data-cell-width"))
    plot.click(position={"x": 20.5 * width, "y": plot.bounding_box()["height"] * 7.5 / 16})
    ready(page, step=400, slot=7, time=15)


def test_a_name_is_held_and_everything_is_in_the_link(runs, page):
    folder, url = runs
    go(page, url, "copy?step=300&t=14&view=film")
    record = memviz.open(folder / "copy")[0]
    names = names_of(record.labels, 0, record.lengths["memory"])
    page.get_by_role("button", name=f"“{names[14]}”").click()
    ready(page, at=names[14])
    page.wait_for_selector(f".fm-plot[data-state=ready][data-name='{names[14]}']")
    page.keyboard.press("ArrowLeft")
    ready(page, at=names[13], time=13)
    page.get_by_label("Field").select_option("usage")
    page.wait_for_function("() => document.querySelector('.fm-still h2').textContent.startsWith('Usage, at')")
    ready(page)
    page.wait_for_function("() => location.hash.includes('still=usage') && location.hash.includes('t=13')")
    link = page.evaluate("location.hash")
    go(page, url, link.removeprefix("#/run/"), at=names[13], time=13, step=300)
    assert page.get_by_label("Field").input_value() == "usage"


def test_playing_goes_through_training(runs, page):
    _, url = runs
    go(page, url, "copy?step=0&t=14&view=film")
    page.get_by_label("Speed").select_option("30")
    page.keyboard.press("Space")
    page.wait_for_function("() => Number(document.querySelector('#film-root').dataset.step) >= 100")
    page.keyboard.press("Space")
    page.wait_for_selector(".fm-foot button[aria-label='Play (space)']")
    assert page.locator("#film-root").get_attribute("data-time") == "14"


def test_a_memory_without_such_numbers_says_so(runs, page):
    _, url = runs
    go(page, url, "attention?view=film")
    assert "of a memory without slots" in page.locator(".cp-title").inner_text()
    page.wait_for_selector(".fm-nothing")
    assert "no picture of one time" in page.locator(".fm-note").inner_text()


def test_a_live_run_comes_in_as_it_is_recorded(serve, page, tmp_path):
    with write_dnc_run(tmp_path / "live", steps=5, live=True) as run:
        url = serve(tmp_path).url
        page.goto(f"{url}#/run/live?t=9&view=film")
        ready(page, film="following", known=5)
        run.append(2)
        ready(page, film="following", known=7, step=120)
        page.wait_for_selector("#film-steps[aria-valuemax='6']")
