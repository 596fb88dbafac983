"""The Runs page in a real browser: what it shows, how it keeps up, and how it is used."""

from __future__ import annotations

import json
import os
import re

import pytest

from memviz.testing.synthetic import write_dnc_run

pytestmark = pytest.mark.browser


def row(page, run):
    return page.locator(f'#runs-grid .ag-row[row-id="{run}"]')


def cell(page, run, field):
    return row(page, run).locator(f'[col-id="{field}"]').inner_text()


def shown(page):
    """Ids of the runs in the table, from top to bottom."""
    return page.evaluate(
        """() => [...document.querySelectorAll('#runs-grid .ag-row')]
            .map((row) => [Number(row.getAttribute('row-index')), row.getAttribute('row-id')])
            .sort((a, b) => a[0] - b[0]).map((pair) => pair[1])"""
    )


def wait_shown(page, *runs):
    page.wait_for_function(
        """(runs) => [...document.querySelectorAll('#runs-grid .ag-row')]
            .map((row) => row.getAttribute('row-id')).sort().join() === runs.sort().join()""",
        arg=list(runs),
    )


@pytest.fixture
def runs(tmp_path):
    for seed, name in enumerate(("copy", "sweep/copy-s1", "other")):
        write_dnc_run(tmp_path / name, seed=seed, steps=6 + seed)
    return tmp_path


def test_rows_say_what_the_runs_are(page, serve, runs):
    page.goto(serve(runs).url)
    wait_shown(page, "copy", "sweep/copy-s1", "other")
    assert shown(page)[0] == "other", "newest first"
    assert cell(page, "copy", "state") == "closed"
    assert cell(page, "copy", "name").splitlines() == ["copy", "copy, seed 0, synthetic"]
    assert cell(page, "copy", "model").splitlines() == ["SyntheticDNC", "dnc: 16 slots × 16, 2 read heads"]
    assert (cell(page, "copy", "step"), cell(page, "copy", "records")) == ("100", "6")
    assert re.fullmatch(r"0\.00\d+", cell(page, "copy", "last_loss"))
    assert re.fullmatch(r"\d+ kB", cell(page, "copy", "size"))
    assert re.fullmatch(r"\d+ s", cell(page, "copy", "age"))
    line = row(page, "copy").locator("svg.spark path").first.get_attribute("d")
    assert line.count("L") > 50
    assert page.locator("#count-all").inner_text() == "3"
    assert "3 of 3 runs" in page.locator("#runs-total").inner_text()


def test_a_new_run_and_its_records_appear_by_themselves(page, serve, tmp_path):
    page.goto(serve(tmp_path).url)
    page.wait_for_selector("#runs-empty", state="visible")
    assert "memviz.attach" in page.locator("#runs-empty").inner_text()
    with write_dnc_run(tmp_path / "copy", steps=1, live=True) as run:
        wait_shown(page, "copy")
        assert cell(page, "copy", "state") == "live"
        assert page.locator("#count-live").inner_text() == "1"
        run.append(3)
        page.wait_for_function("() => document.querySelector('#runs-grid [col-id=records].ag-cell').innerText === '4'")
        assert cell(page, "copy", "step") == "60"
    page.wait_for_selector("[data-run-state=closed]")


def test_a_live_run_that_falls_silent_says_since_when(page, serve, tmp_path):
    with write_dnc_run(tmp_path / "copy", steps=1, live=True) as run:
        long_ago = run.path.joinpath("trace.json").stat().st_mtime - 42
        for part in (*run.path.iterdir(), run.path):
            os.utime(part, (long_ago, long_ago))
        page.goto(serve(tmp_path).url)
        wait_shown(page, "copy")
        assert re.search(r"last data 4\d s ago", cell(page, "copy", "state"))


def test_a_damaged_run_says_why_and_what_to_do(page, serve, runs):
    header = json.loads((runs / "other" / "trace.json").read_text())
    (runs / "other" / "trace.json").write_text(json.dumps({**header, "format_version": 99}))
    page.goto(serve(runs).url)
    text = page.locator("[data-run-state=error]").inner_text()
    assert "newer format" in text
    assert "99" in text
    assert "Upgrade memviz" in text
    wait_shown(page, "copy", "sweep/copy-s1", "other")


def test_a_nan_loss_is_seen(page, serve, tmp_path):
    write_dnc_run(tmp_path / "nan", steps=6, plant_nan=(3, 6))
    page.goto(serve(tmp_path).url)
    wait_shown(page, "nan")
    assert cell(page, "nan", "last_loss") == "NaN"
    assert row(page, "nan").locator("svg.spark rect").count() == 1
    assert "no numbers" in row(page, "nan").locator("svg.spark").get_attribute("aria-label")


@pytest.mark.parametrize(
    ("typed", "left"),
    [
        ("sweep", {"sweep/copy-s1"}),
        ("seed COPY", {"copy", "sweep/copy-s1", "other"}),
        ("records>=7", {"sweep/copy-s1", "other"}),
        ("records=6 copy", {"copy"}),
        ("loss<1", {"copy", "sweep/copy-s1", "other"}),
        ("closed step<110", {"copy"}),
    ],
)
def test_the_filter_takes_words_and_comparisons(page, serve, runs, typed, left):
    page.goto(serve(runs).url)
    wait_shown(page, "copy", "sweep/copy-s1", "other")
    page.keyboard.press("/")
    page.keyboard.type(typed)
    wait_shown(page, *left)
    assert f"{len(left)} of 3 runs" in page.locator("#runs-total").inner_text()


def test_nothing_left_is_said_and_undone_with_one_click(page, serve, runs):
    page.goto(serve(runs).url)
    wait_shown(page, "copy", "sweep/copy-s1", "other")
    page.locator("#chip-live").click()
    page.wait_for_selector("#runs-nomatch", state="visible")
    assert "None of the 3 runs is being written now." in page.locator("#runs-nomatch").inner_text()
    page.locator("#runs-clear").click()
    wait_shown(page, "copy", "sweep/copy-s1", "other")
    assert page.locator("#chip-all").get_attribute("aria-pressed") == "true"


def test_keys_choose_and_open_a_run(page, serve, runs):
    page.goto(serve(runs).url)
    wait_shown(page, "copy", "sweep/copy-s1", "other")
    order = shown(page)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.wait_for_selector(f'.ag-row.selected[row-id="{order[1]}"]')
    page.keyboard.press("Enter")
    page.wait_for_function(f"() => location.hash.startsWith('#/run/{order[1].replace('/', '%2F')}')")
    page.go_back()
    page.wait_for_selector("#runs-page", state="visible")
    page.keyboard.press("/")
    page.keyboard.type("sweep")
    wait_shown(page, "sweep/copy-s1")
    page.keyboard.press("Enter")
    page.wait_for_function("() => location.hash.startsWith('#/run/sweep%2Fcopy-s1')")


def test_a_click_anywhere_on_a_row_opens_it(page, serve, runs):
    page.goto(serve(runs).url)
    wait_shown(page, "copy", "sweep/copy-s1", "other")
    row(page, "copy").locator('[col-id="age"]').click()
    page.wait_for_function("() => location.hash.startsWith('#/run/copy')")
    assert page.locator("#scope-page").is_visible()
    assert not page.locator("#runs-page").is_visible()
    assert page.locator(".nav-link[aria-current=page]").inner_text() == "Scope"


def test_columns_sort_and_what_is_no_number_comes_as_the_worst(page, serve, runs):
    write_dnc_run(runs / "nan", steps=6, plant_nan=(3, 6))
    page.goto(serve(runs).url)
    wait_shown(page, "copy", "sweep/copy-s1", "other", "nan")
    header = page.locator('#runs-grid .ag-header-cell[col-id="last_loss"]')
    header.click()
    page.wait_for_function("() => document.querySelector('.ag-row[row-index=\"3\"]').getAttribute('row-id') === 'nan'")
    header.click()
    page.wait_for_function("() => document.querySelector('.ag-row[row-index=\"0\"]').getAttribute('row-id') === 'nan'")


def test_a_server_that_is_gone_is_said_and_its_return_is_noticed(page, serve, runs, forgiven):
    forgiven.append("ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE")
    handle = serve(runs)
    page.goto(handle.url)
    wait_shown(page, "copy", "sweep/copy-s1", "other")
    handle.close()
    page.wait_for_selector("#runs-notice", state="visible")
    text = page.locator("#runs-notice").inner_text()
    assert "Last data" in text
    assert "does not answer" in text
    assert len(shown(page)) == 3, "what was known stays"
    serve(runs, port=handle.port)
    page.wait_for_selector("#runs-notice", state="hidden")


@pytest.mark.parametrize("width", [1440, 1100])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off_and_the_theme_follows_the_system(new_page, serve, runs, width, scheme):
    page = new_page(color_scheme=scheme, viewport={"width": width, "height": 800})
    page.goto(serve(runs).url)
    wait_shown(page, "copy", "sweep/copy-s1", "other")
    assert page.evaluate("() => document.documentElement.dataset.theme") == scheme
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    table = page.locator("#runs-table").bounding_box()
    for column in ("state", "age", "size", "last_loss", "records"):
        box = row(page, "copy").locator(f'[col-id="{column}"]').bounding_box()
        assert box["x"] >= table["x"]
        assert box["x"] + box["width"] <= table["x"] + table["width"] + 0.5, column
    cut = page.evaluate(
        """() => [...document.querySelectorAll('#runs-grid .ag-header-cell-text, #runs-grid .ag-right-aligned-cell')]
            .filter((node) => node.scrollWidth > node.clientWidth + 1).map((node) => node.innerText)"""
    )
    assert cut == []


def test_the_theme_is_switched_kept_and_told(page, serve, runs):
    page.goto(serve(runs).url)
    wait_shown(page, "copy", "sweep/copy-s1", "other")
    page.evaluate("() => addEventListener('memviz:theme', (event) => (window.told = event.detail.theme))")
    background = "() => getComputedStyle(document.querySelector('#runs-grid .ag-row')).backgroundColor"
    light = page.evaluate(background)
    page.locator("#theme-toggle").click()
    assert page.evaluate("() => window.told") == page.evaluate("() => window.memviz.theme()") == "dark"
    assert page.evaluate(background) != light
    page.reload()
    wait_shown(page, "copy", "sweep/copy-s1", "other")
    assert page.evaluate("() => document.documentElement.dataset.theme") == "dark"
    assert page.evaluate("() => document.documentElement.dataset.mantineColorScheme") == "dark"


def test_help_lists_the_keys_and_closes(page, serve, runs):
    page.goto(serve(runs).url)
    wait_shown(page, "copy", "sweep/copy-s1", "other")
    page.keyboard.press("?")
    assert "filter the runs" in page.locator("dialog.help").inner_text()
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog.help", state="hidden")
    page.locator("#help-button").click()
    page.wait_for_selector("dialog.help[open]")


def test_routes_are_told_to_the_pages_and_the_back_button_returns(page, serve, runs):
    page.add_init_script(
        "window.routes = []; addEventListener('memviz:route', (e) => routes.push([e.detail.page, e.detail.run]))"
    )
    page.goto(f"{serve(runs).url}#/run/sweep%2Fcopy-s1?step=20")
    page.wait_for_function("() => routes.length > 0")
    assert page.evaluate("() => routes[0]") == ["scope", "sweep/copy-s1"]
    assert page.evaluate("() => memviz.route().params.get('step')") == "20"
    page.locator(".nav-link", has_text="Runs").click()
    wait_shown(page, "copy", "sweep/copy-s1", "other")
    assert page.locator("#crumbs").inner_text().split() == ["source", str(runs)]
    page.locator(".nav-link", has_text="Scope").click()
    page.wait_for_function("() => location.hash.startsWith('#/run/sweep%2Fcopy-s1')")
    page.go_back()
    wait_shown(page, "copy", "sweep/copy-s1", "other")
    page.evaluate("() => memviz.navigate('#/nowhere')")
    page.wait_for_selector("#runs-page", state="visible")


def test_breadcrumbs_of_a_page_are_shown_and_clicked(page, serve, runs):
    page.goto(serve(runs).url)
    wait_shown(page, "copy", "sweep/copy-s1", "other")
    page.evaluate(
        """() => memviz.setCrumbs([{label: 'run', value: '<b>copy</b>', onclick: () => (window.clicked = true)},
                                   {label: 'step', value: 20}])"""
    )
    assert page.locator("#crumbs").inner_text().split() == ["run", "<b>copy</b>", "/", "step", "20"]
    page.locator("#crumbs button").click()
    assert page.evaluate("() => window.clicked")


def test_names_from_a_trace_are_text_and_never_markup(page, serve, tmp_path):
    name = "<img src=x onerror=alert(1)>"
    run = write_dnc_run(tmp_path / "copy", steps=1)
    header = json.loads((run.path / "trace.json").read_text())
    header |= {"model": {"class": name}, "attributes": {"task": name, name: name}}
    (run.path / "trace.json").write_text(json.dumps(header))
    page.goto(serve(tmp_path).url)
    wait_shown(page, "copy")
    assert cell(page, "copy", "model").startswith(name)
    assert page.locator("#runs-grid img").count() == 0


def test_findings_are_named_filtered_and_lead_to_their_evidence(page, serve, runs):
    write_dnc_run(runs / "nan", steps=4, plant_nan=(2, 6))
    page.goto(serve(runs).url)
    page.wait_for_selector('#runs-grid .ag-row[row-id="nan"] a.finding.err')
    page.wait_for_function("() => !document.querySelector('#runs-grid').textContent.includes('checking')")
    assert "not finite" in cell(page, "nan", "findings")
    page.locator("#chip-findings").click()
    page.wait_for_function("() => !document.querySelector('#runs-grid .ag-row[row-id=\"copy\"]')")
    assert "nan" in shown(page)
    assert page.locator("#count-findings").inner_text() == str(len(shown(page)))
    page.locator("#chip-all").click()
    page.locator("#runs-filter input").fill("findings>0 nan")
    wait_shown(page, "nan")
    row(page, "nan").locator("a.finding.err").first.click()
    page.wait_for_selector("#scope-root[data-state=ready]")
    page.wait_for_selector(".sc-ring[data-severity=error]")
