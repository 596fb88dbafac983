"""The Story page in a browser: it says what the analysis says, the table leads to each story, links restore a place."""

from __future__ import annotations

import re

import numpy as np
import pytest

import memviz
from memviz.analysis.stories import read_stories
from memviz.analysis.story_text import gate_text, hops_text, kept_text, support_text
from memviz.dashboards.server import start_server
from memviz.demos.gallery import write_run
from memviz.testing.stories import ENDS, write_story_run

pytestmark = pytest.mark.browser

EVIL = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    write_story_run(folder / "stories", records=24)
    write_story_run(folder / "batch", records=3, items=4)
    write_story_run(folder / "choices", records=2, memories=["choices.A", "choices.B"], change=chosen)
    write_story_run(folder / "bare", records=2, law="", change=lambda _, __: {})
    write_story_run(folder / "hostile", records=2, change=hostile)
    write_run("eclipsed_fact", folder / "eclipsed")
    write_run("attention_sink", folder / "attention")
    server = start_server([folder], port=0)
    yield folder, server.url
    server.close()


def chosen(_, labels):
    return {**labels, "choices": {"A": "another", "B": labels["predicted"]}}


def hostile(_, labels):
    texts = dict.fromkeys(("question", "answer", "predicted", "family", "task"), EVIL)
    alternatives = [[EVIL + name, share] for name, share in labels["alternatives"]]
    return {**labels, **texts, "facts": [EVIL + fact for fact in labels["facts"]], "alternatives": alternatives}


def ready(page, **wanted):
    page.wait_for_function(
        """wanted => { const root = document.querySelector('#story-root');
            return root && root.dataset.state === 'ready'
                && Object.entries(wanted).every(([key, value]) => root.dataset[key] === value); }""",
        arg={key: str(value) for key, value in wanted.items()},
    )


def listed(page, rows):
    """Wait for the table to have so many rows."""
    page.wait_for_function(
        """rows => { const list = document.querySelector('#story-list');
            return list.dataset.state === 'ready' && list.dataset.rows === rows; }""",
        arg=str(rows),
    )


def go(page, url, run, more=""):
    page.goto("about:blank")
    page.goto(f"{url}#/run/{run}?view=story{more}")
    ready(page)


def written(share):
    """A share as a cell shows it: nothing that is there becomes a zero."""
    return "<.001" if 0 < share < 0.0005 else f"{share:.3f}"


def story_of(runs, run, index, item=0):
    return read_stories(memviz.open(runs[0] / run)[index])[item]


def test_a_story_says_what_the_analysis_says(runs, page):
    known = story_of(runs, "stories", 1)
    go(page, runs[1], "stories", "&step=1")
    assert page.locator("#story-title").inner_text() == f"“{known.told.question}”"
    numbers = page.locator(".st-numbers").inner_text()
    assert f"{known.told.predicted}, as expected" in numbers
    assert "2 of 2" in numbers
    kept = page.locator("#story-kept").inner_text()
    for sentence in (kept_text(known), gate_text(known), hops_text(known), support_text(known)):
        assert sentence in kept
    eclipse = known.eclipsed[0]
    ready(page, time=eclipse.hop, slot=eclipse.fact)
    # Every gate and every share is there, and so is what is left.
    cells = page.locator(".st-table tbody tr")
    assert cells.count() == known.facts
    row = cells.nth(eclipse.fact).locator(".st-gate > span:first-child").all_inner_texts()
    assert row[0] == written(known.gates[0, eclipse.fact])
    assert row[1] == written(known.effective[0, eclipse.fact])
    assert page.locator(f".st-eclipsed[data-hop='0'][data-fact='{eclipse.fact}']").count() == 1
    left = page.locator(".st-table tfoot tr").nth(0).locator("td").all_inner_texts()
    assert [text for text in left if text] == [written(value) for value in known.left]
    total = page.locator(".st-table tfoot tr").nth(1).locator("td").all_inner_texts()
    assert [text for text in total if text] == ["1.000"] * known.hops
    gold = page.locator("tr.st-gold .st-n").all_inner_texts()
    assert gold == [str(fact) for fact in sorted(known.told.supporting)]
    answers = page.locator(".st-answers tbody tr")
    assert answers.count() == len(known.told.alternatives)
    assert "given, expected" in answers.first.inner_text()


def test_the_table_puts_the_worst_first_and_leads_to_each_story(runs, page):
    go(page, runs[1], "stories", "&step=0")
    listed(page, 24)
    counts = dict(re.findall(r"(All|\w+, facts \w+)\s+(\d+)", page.locator(".st-chips").inner_text()))
    known = [read_stories(record)[0] for record in memviz.open(runs[0] / "stories")]
    assert counts == {"All": "24"} | {
        kind: str(sum(story.kind == kind for story in known)) for kind in {story.kind for story in known}
    }
    # Wrong answers first, of these the missed facts, of these the surest.
    worst = [index for index, story in enumerate(known) if story.kind == "wrong, facts missed"]
    surest = max(worst, key=lambda index: known[index].told.confidence)
    page.locator("#story-table .ag-row[row-index='0'] .story-link").click()
    ready(page, record=surest, step=surest)
    assert page.locator(".st-is-wrong").count() == 1
    page.keyboard.press("ArrowDown")
    second = sorted(worst, key=lambda index: -known[index].told.confidence)[1]
    ready(page, record=second)
    page.wait_for_selector(f"#story-table .ag-row-selected[row-id='{second}.0']")
    page.keyboard.press("ArrowUp")
    ready(page, record=surest)
    page.go_back()
    ready(page, record=0)


def test_filters_are_part_of_the_link(runs, page, new_page):
    go(page, runs[1], "stories", "&step=0")
    listed(page, 24)
    page.locator(".st-chips button", has_text="wrong, facts found").click()
    listed(page, 4)
    page.locator(".st-find").fill("milk")
    milk = [
        index
        for index, record in enumerate(memviz.open(runs[0] / "stories"))
        if ENDS[index % 6] == "mistaken" and "milk" in record.labels["question"]
    ]
    listed(page, len(milk))
    page.wait_for_function("() => location.hash.includes('find=milk') && location.hash.includes('kind=wrong')")
    other = new_page()
    other.goto(page.url)
    ready(other)
    listed(other, len(milk))
    assert other.locator(".st-find").input_value() == "milk"
    other.locator(".st-find").fill("no such word")
    listed(other, 0)
    assert other.locator("#story-none").inner_text() == "No story is left by these filters."
    other.go_back()


def test_keys_move_over_hops_and_facts_and_orders(runs, page):
    known = story_of(runs, "stories", 1)
    go(page, runs[1], "stories", "&step=1&t=0&slot=2")
    page.keyboard.press("ArrowRight")
    ready(page, time=1)
    page.keyboard.press("j")
    ready(page, time=1, slot=3)
    page.keyboard.press("k")
    ready(page, slot=2)
    page.keyboard.press("End")
    ready(page, time=known.hops - 1)
    page.keyboard.press("o")
    ready(page, sort=f"effective.{known.hops - 1}")
    order = page.locator(".st-table tbody .st-n").all_inner_texts()
    assert order == [str(fact) for fact in np.argsort(-known.effective[-1], kind="stable")]
    page.locator(".st-table thead .st-sort", has_text="raw").first.click()
    ready(page, sort="raw.0")
    order = page.locator(".st-table tbody .st-n").all_inner_texts()
    assert order == [str(fact) for fact in np.argsort(-known.gates[0], kind="stable")]
    page.keyboard.press("/")
    page.keyboard.type("jk")
    ready(page, slot=2)
    assert page.locator(".st-find").input_value() == "jk"


def test_a_cell_is_chosen_and_read_out_and_the_link_restores_it(runs, page, new_page):
    known = story_of(runs, "stories", 3)
    go(page, runs[1], "stories", "&step=3&t=0&slot=0")
    page.locator(".st-gate[data-hop='1'][data-fact='4'][data-kind='effective']").click()
    ready(page, time=1, slot=4)
    said = page.locator("#story-readout").inner_text()
    assert said.startswith(f"Hop 1, fact 4 “{known.told.facts[4].rstrip('.')}”: gate ")
    shown = [float(text.replace("−", "-")) for text in re.findall(r"(?:gate|keeps) ([\d.e−]+?)[,;.](?:\s|$)", said)]
    assert shown == pytest.approx([known.gates[1, 4], known.effective[1, 4]], rel=1e-6)
    assert page.locator("#announcer").inner_text() == said
    page.keyboard.press("y")
    page.wait_for_function("() => document.querySelector('#announcer').textContent === 'The link is copied'")
    other = new_page()
    other.goto(page.evaluate("navigator.clipboard.readText()"))
    ready(other, record=3, time=1, slot=4)
    assert other.locator("#story-readout").inner_text() == said


def test_items_and_choices_have_pickers(runs, page):
    go(page, runs[1], "batch", "&step=1&item=2")
    labels = memviz.open(runs[0] / "batch")[1].labels
    assert page.locator("#story-title").inner_text() == f"“{labels['question'][2]}”"
    page.get_by_label("item", exact=True).select_option("3")
    ready(page, item=3)
    assert page.locator("#story-title").inner_text() == f"“{labels['question'][3]}”"
    listed(page, 12)
    go(page, runs[1], "choices")
    ready(page, memory="choices.B")
    page.get_by_label("memory", exact=True).select_option("choices.A")
    ready(page, memory="choices.A")


def test_a_finding_of_a_story_leads_to_its_cell(runs, page):
    go(page, runs[1], "eclipsed", "&item=1&t=0&slot=0")
    finding = page.locator(".st-finding[data-diagnostic=eclipsed_fact]")
    assert "Fact 5 has the largest gate of hop 2" in finding.inner_text()
    finding.locator("button").click()
    ready(page, time=2, slot=5)
    # What the checks say of the whole run stays on this page too.
    page.wait_for_function("() => document.querySelector('#story-findings').textContent.includes('1 finding')")
    page.keyboard.press(".")
    ready(page, time=2, slot=5, item=1)


def test_without_labels_the_page_says_what_is_missing(runs, page):
    go(page, runs[1], "bare")
    assert "its question is not labelled" in page.locator("#story-title").inner_text()
    kept = page.locator("#story-kept").inner_text()
    assert "Not labelled: facts, question, answer, supporting, predicted, alternatives" in kept
    assert "does not say how it sums up" in kept
    assert page.locator(".st-table tbody tr").count() == 7
    listed(page, 2)


def test_a_run_without_stories_says_so_and_leads_to_scope(runs, page):
    page.goto(f"{runs[1]}#/run/attention?view=story")
    page.wait_for_selector("#story-root[data-state=error]")
    assert "is no story" in page.locator("#story-title").inner_text()
    page.get_by_role("button", name="Show in Scope").first.click()
    page.wait_for_selector("#scope-root[data-state=ready]")
    assert page.locator("#scope-story").is_hidden()
    page.keyboard.press("s")
    page.wait_for_function("() => document.querySelector('#announcer').textContent.includes('no story')")


def test_scope_and_runs_lead_to_stories_and_back(runs, page):
    page.goto(f"{runs[1]}#/run/stories?step=2&t=1")
    page.wait_for_selector("#scope-root[data-state=ready]")
    page.locator("#scope-story").click()
    ready(page, record=2, time=1)
    page.keyboard.press("s")
    page.wait_for_selector("#scope-root[data-state=ready][data-time='1']")
    page.keyboard.press("s")
    ready(page, record=2, time=1)
    page.goto(f"{runs[1]}#/runs")
    page.get_by_role("link", name="Stories of stories").click()
    ready(page)
    page.wait_for_function("() => document.title.startsWith('stories, Story')")
    assert page.get_by_role("link", name="Stories of attention").count() == 0


def test_texts_of_a_trace_are_shown_as_text(runs, page):
    go(page, runs[1], "hostile")
    listed(page, 2)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("j")
    assert EVIL in page.locator("#story-title").inner_text().replace("\n", "")
    assert EVIL in page.locator(".st-table").inner_text().replace("\n", "")
    page.locator("#story-table .ag-row .story-link", has_text="<img").first.wait_for()
    page.locator("#story-table .ag-row .story-link").first.click()
    ready(page)
    assert page.locator("#story-page img, #story-page script").count() == 0
    assert "owned" not in page.title()


def test_a_live_run_is_followed_and_its_table_grows(serve, page, tmp_path):
    with write_story_run(tmp_path / "live", records=3, live=True) as run:
        page.goto(f"{serve(tmp_path).url}#/run/live?view=story")
        ready(page, record=2)
        listed(page, 3)
        run.append()
        ready(page, record=3)
        listed(page, 4)
        page.locator("#story-table .ag-row[row-index='0'] .story-link").click()
        page.wait_for_function("() => document.querySelector('#story-root').dataset.record !== '3'")
        held = page.locator("#story-root").get_attribute("data-record")
        run.append()
        listed(page, 5)
        ready(page, record=held)
