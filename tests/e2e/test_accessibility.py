"""axe-core on every page, light and dark: no serious or critical violation of WCAG 2.2 AA."""

from __future__ import annotations

from pathlib import Path

import pytest

from memviz.testing.stories import write_story_run
from memviz.testing.synthetic import write_dnc_run

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[2] / "build" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PLACES = {
    "runs": ("#/runs", ".ag-row"),
    "scope": ("#/run/copy?t=12&slot=3", "#scope-root[data-state=ready]"),
    "query": ("#/run/copy?t=12&slot=3&q=read_weights.peak%20%3E%200.9", ".sc-qhit"),
    "empty query": ("#/run/copy?t=12&slot=3&q=", ".sc-qexample"),
    "refused query": ("#/run/copy?t=12&slot=3&q=time%20%3D%203", ".sc-query[data-state=refused]"),
    "lineage": ("#/run/copy?t=12&view=lineage", "#lineage-root[data-state=ready]"),
    "destroyed": ("#/run/copy?t=12&view=lineage&tab=destroyed", "#lineage-root[data-state=ready] .ln-destroyed"),
    "story": ("#/run/stories?step=1&view=story", "#story-list[data-state=ready] .ag-row"),
    "no story": ("#/run/copy?view=story", "#story-root[data-state=error]"),
    "compare": ("#/run/copy?t=12&view=compare&cmp=nan@20", "#compare-root[data-state=ready]"),
    "film": ("#/run/copy?t=12&view=film", "#film-root[data-state=ready][data-film=done]"),
    "table": ("#/run/copy?t=12&view=lineage&tab=table", "#lineage-root[data-state=ready] .sc-table"),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    write_dnc_run(folder / "copy", steps=3)
    write_dnc_run(folder / "nan", steps=3, plant_nan=(2, 5))
    write_story_run(folder / "stories", records=6)
    return folder


def judge(page):
    """What axe finds serious or worse: rule, and the elements with the reason."""
    # What is still loading is dimmed for that time.
    page.wait_for_function("() => !document.querySelector('.sc-dim, [data-state=loading]')")
    found = page.evaluate(
        """async (tags) => {
            const result = await axe.run(document, { runOnly: { type: 'tag', values: tags } });
            return result.violations.map(({ id, impact, nodes }) => ({
                id, impact, nodes: nodes.slice(0, 4).map((n) => `${n.target.join(' ')}: ${n.failureSummary}`) }));
        }""",
        RULES,
    )
    return [entry for entry in found if entry["impact"] in ("serious", "critical")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_serious_violation(serve, new_page, runs, forgiven, scheme):
    if not AXE.exists():
        pytest.skip("axe-core is not there: run scripts/fetch_axe.py")
    forgiven.append("400")  # the refused query
    url = serve(runs).url
    page = new_page(color_scheme=scheme)
    page.add_init_script(path=str(AXE))
    for name, (place, ready) in PLACES.items():
        page.goto(url + place)
        page.wait_for_selector(ready)
        assert judge(page) == [], name
    # With everything open that opens over a page.
    page.goto(url + "#/run/nan")
    page.locator(".sc-finding").first.click()
    page.wait_for_selector(".sc-ring")
    assert judge(page) == [], "evidence"
    for key, opened in [
        ("i", "dialog.sc-dialog"),
        ("?", "dialog.help"),
        ("Control+k", "dialog.palette [role=option]"),
        ("v", "dialog .sc-table"),
    ]:
        page.keyboard.press(key)
        page.wait_for_selector(opened)
        assert judge(page) == [], opened
        page.keyboard.press("Escape")
        page.wait_for_selector(opened, state="hidden")


def test_the_cell_cursor_moves_and_is_read_out(serve, page, runs):
    page.goto(serve(runs).url + "#/run/copy?t=12&slot=3")
    page.wait_for_selector("#scope-root[data-state=ready]")
    page.locator(".sc-panel[data-field='memory/usage']").focus()
    for key in ("ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    page.wait_for_function(
        "() => /^Usage, time 13, slot 4: [\\d.e−]+$/.test(document.querySelector('#announcer').textContent)"
    )


def test_a_matrix_has_a_table_of_its_exact_values(serve, page, runs):
    page.goto(serve(runs).url + "#/run/copy?t=12&slot=3")
    page.wait_for_selector(".sc-memory[data-state=ready]")
    page.locator(".sc-memory canvas.sc-matrix").focus()
    page.keyboard.press("v")
    page.locator("dialog .sc-table tbody tr").nth(15).wait_for()
    assert page.locator("dialog .sc-table tbody tr").count() == 16
