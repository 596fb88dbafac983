"""Export from the page: files, links, and Python that runs."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest

import memviz
from memviz.testing.synthetic import write_dnc_run

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[2] / "build" / "axe-core" / "axe.min.js"
JUDGE = """async () => (await axe.run(document.querySelector('.ex-dialog'), { runOnly: { type: 'tag',
    values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] } })).violations.map((one) => one.id)"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    write_dnc_run(root / "copy", steps=3)
    return root


@pytest.fixture
def opened(serve, page, root):
    """The Scope page at a place of the last record."""
    page.goto(f"{serve(root).url}#/run/copy?step=40&t=13&slot=4&head=1")
    page.wait_for_function("() => document.querySelector('#scope-root')?.dataset.state === 'ready'")
    return page


def run(code):
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(code, "<copied>", "exec"), {})
    return said.getvalue()


def copied(page):
    return page.evaluate("navigator.clipboard.readText()")


def said(page, text):
    page.wait_for_function("text => document.querySelector('#announcer').textContent.includes(text)", arg=text)


def save(page, form, folder):
    with page.expect_download() as download:
        page.locator(f".ex-dialog [data-format={form}]").click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_the_focused_panel_is_saved_with_exact_values(opened, root, tmp_path):
    opened.locator(".sc-panel[data-field='memory/read_weights'][data-head='1']").focus()
    opened.keyboard.press("e")
    chosen = opened.locator("#export-what option:checked")
    assert chosen.inner_text() == "Read weights, head 1"
    path = save(opened, "npz", tmp_path)
    assert path.name == "copy-step40-memory-read_weights.npz"
    with np.load(path) as arrays:
        expected = memviz.open(root / "copy")[-1]["read_weights"][:, 0, 1]
        np.testing.assert_array_equal(arrays["memory/read_weights"], expected)
    opened.locator(".ex-status", has_text="is saved").wait_for()
    opened.keyboard.press("Escape")
    assert opened.locator(".ex-dialog").count() == 0


def test_a_classic_figure_is_one_click_away(opened, tmp_path):
    pytest.importorskip("matplotlib")
    opened.locator("#scope-export").click()
    opened.locator("#export-what").select_option(label="DNC figure: weights and gates per slot and time")
    svg = save(opened, "svg", tmp_path).read_text()
    assert "Weights and gates per slot and time" in svg
    assert "DMN" not in opened.locator("#export-what").inner_text()


def test_copied_python_prints_what_is_shown(opened, root):
    opened.locator(".sc-panel[data-field='memory/read_weights'][data-head='1']").focus()
    opened.keyboard.press("p")
    said(opened, "The Python for this selection is copied")
    assert run(copied(opened)).strip() == str(memviz.open(root / "copy").at(40)["read_weights"][13, 0, 1, 4])


def test_on_the_lineage_page_it_is_the_lineage(opened, root):
    opened.keyboard.press("g")
    opened.wait_for_function("() => document.querySelector('#lineage-root')?.dataset.state === 'ready'")
    opened.get_by_role("button", name="Copy Python").click()
    said(opened, "The Python for this selection is copied")
    assert run(copied(opened)).startswith(memviz.lineage(memviz.open(root / "copy").at(40), 13, 1).text())


def test_what_cannot_be_made_is_said(opened, forgiven):
    forgiven += ["status 404", "Failed to load resource"]
    opened.route("**/export?format=png*", lambda route: route.fulfill(status=404, json={"error": {"what": "no such"}}))
    opened.locator("#scope-export").click()
    opened.locator(".ex-dialog [data-format=png]").click()
    opened.locator(".ex-status", has_text="Not saved: no such").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_dialog_has_no_violation(serve, new_page, root, scheme):
    if not AXE.exists():
        pytest.skip("axe-core is not there: run scripts/fetch_axe.py")
    page = new_page(color_scheme=scheme)
    page.add_init_script(path=str(AXE))
    page.goto(f"{serve(root).url}#/run/copy?step=40&t=13&slot=4")
    page.wait_for_function("() => document.querySelector('#scope-root')?.dataset.state === 'ready'")
    page.keyboard.press("e")
    page.locator(".ex-code", has_text="memviz.open").wait_for()
    assert page.evaluate(JUDGE) == []
