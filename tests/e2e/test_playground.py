"""The Playground in a browser, with the network that comes with memviz and one beside it that learned nothing."""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, urlencode

import pytest
import torch

from memviz.dashboards.server import start_server
from memviz.demos.building import make_model, make_task
from memviz.demos.checkpointing import Checkpoint, save_checkpoint
from memviz.demos.plan import Plan
from memviz.demos.playground import page as playground_page

pytestmark = pytest.mark.browser

PATIENCE = 120_000
"""Milliseconds that the page may take for anything."""

AXE = Path(__file__).parents[2] / "build" / "axe-core" / "axe.min.js"
FACTS = ["Mary moved to the garden.", "John went to the office.", "Mary travelled to the hallway."]
STORY = "\n".join(FACTS)
TRAINED = "dmn_plus/babi-1"
OTHER = "dmn_smooth/untrained"
HOSTILE = "<img src=x onerror=window.hurt=1><script>window.hurt=1</script>"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A server with both networks; its one process of networks is shared by the tests."""
    folder = tmp_path_factory.mktemp("networks")
    plan = Plan("babi", {"tasks": "1"}, model="dmn", model_options={"variant": "smooth", "hops": 2, "dim": 6})
    torch.manual_seed(1)
    model = make_model(plan, make_task(plan))
    save_checkpoint(Checkpoint(plan, 0, model.state_dict()), folder / "untrained")
    handle = start_server([tmp_path_factory.mktemp("runs")], port=0, settings={"MEMVIZ_MODELS": [str(folder)]})

    def ask(path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{handle.url}api/v1/networks{path}", data, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=200) as answer:
            return json.load(answer)

    def predict(model, story, question):
        network, name = model.split("/")
        return ask(f"/{network}/models/{name}/_predict", {"story": story, "question": question})

    yield SimpleNamespace(url=handle.url, ask=ask, predict=predict)
    handle.close()


def place(story=STORY, question="Where is Mary?", model=TRAINED, **more):
    network, name = model.split("/")
    asked = {"network": network, "model": name, "story": story, "question": question}
    return "#/playground?" + urlencode(asked | more)


def ready(page, state="ready", **wanted):
    page.wait_for_selector(f"#playground-root[data-state={state}]")


@pytest.fixture
def page(page):
    """A page with time: its networks are loaded by another process, on a machine that may be busy."""
    page.set_default_timeout(PATIENCE)
    return page


def open_at(page, served, at="#/playground"):
    page.set_default_timeout(PATIENCE)
    page.goto("about:blank")
    page.goto(served.url + at)


def settled(page):
    """Wait until the page has the words of its network, and nothing is asked."""
    page.wait_for_function(
        "() => document.querySelector('.pg-card details') && "
        "['empty', 'ready'].includes(document.querySelector('#playground-root').dataset.state)",
    )


def column(page, n):
    """The texts of the n-th column of gates, and the row of its ring."""
    cells = page.locator(f".pg-table tbody tr td.pg-gate:nth-last-child({n})")
    marked = [row for row in range(cells.count()) if cells.nth(row).locator(".pg-most").count()]
    return [float(text.split(",")[0].replace("\u2212", "-")) for text in cells.all_text_contents()], marked


def test_a_sampled_story_is_answered_with_what_is_known_about_it(served, page):
    open_at(page, served)
    settled(page)
    page.click("#pg-sample")
    ready(page)
    query = {name: values[0] for name, values in parse_qs(page.url.split("?", 1)[1]).items()}
    sample = served.ask(f"/dmn_plus/models/babi-1/_sample?task={query['task']}&seed={query['seed']}")
    assert page.input_value("#pg-story") == sample["story"] == query["story"]
    assert page.input_value("#pg-question") == sample["question"]
    answer = served.predict(TRAINED, sample["story"], sample["question"])
    assert page.locator(".pg-said b").inner_text() == answer["answer"]
    assert f"{100 * answer['probability']:.2f} %" in page.locator(".pg-said").inner_text()
    head = page.locator(".pg-numbers").inner_text()
    assert f"right answer\n{sample['answer']}" in head
    assert "1 Single Supporting Fact" in head
    badge = page.locator(".pg-answer .badge").inner_text()
    assert ("right" in badge) == (answer["answer"] == sample["answer"])
    rows = page.locator("tr.pg-supporting")
    assert [int(row.get_attribute("data-fact")) for row in rows.all()] == sorted(sample["supporting"])
    assert page.locator(".pg-fact").all_inner_texts() == sample["facts"]
    # Each column has the numbers of its hop, the ring on the largest, and below it what is left.
    hops = len(answer["episodes"])
    for hop in range(hops):
        for n, known in ((2, answer["episodes"][hop]), (1, answer["effective"][hop])):
            values, marked = column(page, 2 * (hops - 1 - hop) + n)
            assert values == pytest.approx(known, abs=6e-4)
            assert marked == [known.index(max(known))]
        left = page.locator(f"tfoot td:nth-last-child({2 * (hops - 1 - hop) + 1})").inner_text()
        assert float(left) == pytest.approx(answer["left"][hop], abs=6e-4)


def test_editing_a_fact_shows_the_shift_and_back_undoes_it(served, page):
    sample = served.ask("/dmn_plus/models/babi-1/_sample?task=1&seed=5")
    open_at(page, served, place(sample["story"], sample["question"], task=1, seed=5))
    ready(page)
    assert page.locator("tr.pg-supporting").count() == 1
    fact = sample["supporting"][0]
    other = "garden" if sample["answer"] != "garden" else "office"
    edited = sample["facts"][fact].replace(sample["answer"], other)
    page.locator(f"tr[data-fact='{fact}'] .pg-fact").click()
    page.keyboard.type("nonsense")
    page.keyboard.press("Escape")
    page.locator(f"tr[data-fact='{fact}'] .pg-fact").click()
    page.locator(".pg-editable input").fill("The elephant went to the garden.")
    page.keyboard.press("Enter")
    assert "elephant" in page.locator(".pg-editable .pg-wrong").inner_text()
    page.locator(".pg-editable input").fill(edited)
    page.keyboard.press("Enter")
    page.wait_for_selector(".pg-shift")
    ready(page)
    facts = [edited if at == fact else text for at, text in enumerate(sample["facts"])]
    before = served.predict(TRAINED, sample["story"], sample["question"])
    after = served.predict(TRAINED, "\n".join(facts), sample["question"])
    assert page.input_value("#pg-story") == "\n".join(facts)
    said = page.locator(".pg-shift").inner_text()
    assert f"Fact {fact}: “{sample['facts'][fact]}” becomes “{edited}”" in said
    assert before["answer"] in said
    assert after["answer"] in said
    # Nobody knows the right answer to a story that was changed.
    assert page.locator("tr.pg-supporting").count() == 0
    assert "not known" in page.locator(".pg-numbers").inner_text()
    page.keyboard.press("x")
    page.wait_for_selector(".pg-table[data-mode=shift]")
    moved = [new - old for new, old in zip(after["effective"][-1], before["effective"][-1], strict=True)]
    assert column(page, 1)[0] == pytest.approx(moved, abs=6e-4)
    assert page.locator(".pg-try").count() == 2
    page.go_back()
    page.wait_for_selector("tr.pg-supporting")
    assert page.input_value("#pg-story") == sample["story"]
    page.locator(".pg-try").last.click()
    page.wait_for_function("text => document.querySelector('#pg-story').value === text", arg="\n".join(facts))


def test_a_fact_can_be_left_out(served, page):
    open_at(page, served, place())
    ready(page)
    page.locator("tr[data-fact='2'] .pg-out").click()
    page.wait_for_function("() => document.querySelectorAll('.pg-fact').length === 2")
    ready(page)
    assert f"Without fact 2, “{FACTS[2]}”" in page.locator(".pg-shift").inner_text()
    known = served.predict(TRAINED, "\n".join(FACTS[:2]), "Where is Mary?")
    assert page.locator(".pg-said b").inner_text() == known["answer"]


def test_unknown_words_are_named_apart_and_hold_the_button(served, page):
    open_at(page, served)
    settled(page)
    page.fill("#pg-story", "Mary went to the zoo.\nThe Elephant moved.")
    page.fill("#pg-question", "Where is the lion?")
    assert page.locator("#pg-story-wrong b").inner_text() == "zoo, elephant"
    assert page.locator("#pg-question-wrong b").inner_text() == "lion"
    assert page.locator("#pg-predict").is_disabled()
    page.keyboard.press("Control+Enter")
    page.fill("#pg-story", "1 Mary went to the garden.")
    page.wait_for_selector("#pg-story-wrong", state="hidden")
    assert page.locator("#pg-predict").is_disabled()
    assert "question" in page.locator("#pg-why").inner_text()
    page.fill("#pg-question", "Where is Mary?")
    page.wait_for_selector("#pg-question-wrong", state="hidden")
    page.wait_for_selector("#pg-predict:enabled")
    assert page.locator("#playground-root").get_attribute("data-state") == "empty"
    page.locator("#pg-question").press("Control+Enter")
    ready(page)
    assert page.locator(".pg-fact").all_inner_texts() == ["Mary went to the garden."]
    # What is written later does not pass for what was asked.
    page.fill("#pg-question", "Where is John?")
    page.wait_for_selector(".pg-behind", state="visible")


def test_two_models_answer_side_by_side(served, page):
    open_at(page, served, place())
    ready(page)
    page.select_option("#pg-beside", json.dumps({"network": "dmn_smooth", "model": "untrained"}, separators=(",", ":")))
    page.wait_for_function("() => document.querySelectorAll('.pg-answer').length === 2")
    ready(page)
    for model in (TRAINED, OTHER):
        answer = served.predict(model, STORY, "Where is Mary?")
        card = page.locator(f".pg-answer[data-model='{model}']")
        assert card.locator(".pg-said b").inner_text() == answer["answer"]
        assert card.locator(".pg-hops li").count() == len(answer["hops"])
    # One table, since both see the same facts: three hops of the one and two of the other.
    assert page.locator(".pg-table").count() == 1
    assert page.locator(".pg-names th").all_inner_texts() == ["babi-1", "untrained"]
    assert page.locator(".pg-table tbody tr").first.locator("td.pg-gate").count() == 10
    assert column(page, 1)[0] == pytest.approx(answer["effective"][-1], abs=6e-3)
    assert "beside=dmn_smooth%2Funtrained" in page.url
    page.select_option("#pg-beside", "")
    page.wait_for_function("() => document.querySelectorAll('.pg-answer').length === 1")


def test_a_link_restores_models_story_and_question(served, new_page):
    first = new_page()
    open_at(first, served, place(beside=OTHER))
    first.wait_for_function("() => document.querySelectorAll('.pg-answer').length === 2")
    ready(first)
    first.click("#pg-link")
    first.wait_for_function("() => document.querySelector('#pg-link').textContent === 'Copied'")
    link = first.evaluate("() => navigator.clipboard.readText()")
    second = new_page()
    second.set_default_timeout(PATIENCE)
    second.goto(link)
    ready(second)
    for selector in (".pg-answers", ".pg-tables"):
        assert second.locator(selector).inner_text() == first.locator(selector).inner_text()
    assert second.input_value("#pg-story") == STORY
    assert second.input_value("#pg-question") == "Where is Mary?"
    # The navigation's own link keeps what is there.
    second.click(".nav-link[data-page=runs]")
    second.click(".nav-link[data-page=playground]")
    second.wait_for_function("hash => location.hash === hash", arg=link[link.index("#") :])
    assert second.locator(".pg-answer").count() == 2


def test_a_link_with_words_that_are_not_known_asks_nothing(served, page):
    asked = []
    page.on("request", lambda request: asked.append(request.url) if request.method == "POST" else None)
    open_at(page, served, place("Mary slept.", "Where is Mary?"))
    settled(page)
    page.wait_for_function("() => document.querySelector('#pg-story-wrong').textContent.includes('slept')")
    assert not [url for url in asked if "_predict" in url]


STRANGE = [
    HOSTILE,
    "Mary went to the \0 garden\x07.",
    "Мария пошла в сад. 玛丽去了花园。 \U0001f418 مريم e\u0301",
    "\u202egarden the to went Mary",
    "{{7*7}} ${7*7} %s \\u0041 '\"` & # ? % + =",
]


def test_hostile_text_is_text(served, page):
    for story in STRANGE:
        asked = {"network": HOSTILE, "model": "../x", "beside": HOSTILE, "story": story, "question": HOSTILE}
        open_at(page, served, "#/playground?" + urlencode(asked))
        settled(page)
        page.wait_for_function("() => document.querySelector('#pg-story-wrong').textContent !== ''")
        assert page.input_value("#pg-story") == story
        assert page.locator("#pg-predict").is_disabled()
        assert page.evaluate("() => window.hurt") is None
        assert page.locator("#playground-root img, #playground-root script").count() == 0
        assert "<script>" in page.locator("#pg-question-wrong").inner_text()
    # It goes on: another story is answered.
    page.fill("#pg-story", STORY)
    page.fill("#pg-question", "Where is Mary?")
    page.click("#pg-predict")
    ready(page)


def test_a_story_of_a_megabyte_is_refused_in_words(served, page):
    open_at(page, served)
    settled(page)
    page.fill("#pg-question", "Where is Mary?")
    for times, says in ((301, "301 sentences"), (42_000, "1,050,000 characters; at most 20,000"), (0, "Write a story")):
        # Set as a script would: Chromium itself takes long over replacing a megabyte as if it was typed.
        page.evaluate(
            "times => { const story = document.querySelector('#pg-story');"
            " story.value = 'Mary went to the garden.\\n'.repeat(times);"
            " story.dispatchEvent(new Event('input', { bubbles: true })); }",
            times,
        )
        page.wait_for_function("says => document.querySelector('#pg-why').textContent.includes(says)", arg=says)
        assert page.locator("#pg-predict").is_disabled()


def test_a_refusal_of_the_server_is_shown_as_text(served, page, forgiven):
    """Words that the page takes for known and the server does not, such as after the file was changed."""
    forgiven.append("422|status of 422")
    open_at(page, served, place())
    ready(page)
    page.evaluate(
        "() => { const known = memviz.playground.ask.cardNow({ network: 'dmn_plus', model: 'babi-1' });"
        " known.words = { has: () => true }; }"
    )
    page.fill("#pg-story", HOSTILE)
    page.click("#pg-predict")
    page.wait_for_selector(".pg-answer .pg-error")
    assert "<script>" in page.locator(".pg-answer .pg-error").inner_text()
    assert page.evaluate("() => window.hurt") is None
    assert page.locator("#playground-root img").count() == 0


class Broken:
    """A worker that cannot load anything."""

    def ask(self, message):
        return {"status": 500, "error": {"what": HOSTILE, "expected": "", "remedy": ""}}

    def close(self):
        pass


def test_without_a_network_it_says_how_to_get_one_and_finds_it(tmp_path, serve, page, monkeypatch, forgiven):
    forgiven.append("500")
    monkeypatch.setattr(playground_page, "checkpoints", lambda: tmp_path / "none")
    monkeypatch.setattr(playground_page, "Worker", Broken)
    page.goto(serve(tmp_path).url + "#/playground")
    page.wait_for_selector(".pg-notice pre")
    assert "memviz demo babi" in page.locator(".pg-notice").inner_text()
    assert page.locator("#pg-predict").is_disabled()
    save_checkpoint(Checkpoint(Plan("babi", {"tasks": "1"}, model="dmn"), 0, {"x": torch.zeros(1)}), tmp_path / "mine")
    page.click(".nav-link[data-page=runs]")
    page.click(".nav-link[data-page=playground]")
    page.wait_for_function("() => document.querySelector('#pg-model').value === 'mine'")
    # It cannot be loaded, which is said as text.
    page.wait_for_selector(".pg-card .pg-error")
    assert page.locator(".pg-card .pg-error").inner_text().startswith("<img")
    page.wait_for_function("() => document.querySelector('#pg-why').textContent === 'mine cannot be asked.'")


def test_keys_sample_and_write(served, page):
    open_at(page, served)
    settled(page)
    page.locator("h1").click()
    page.keyboard.press("e")
    page.keyboard.type("s")
    assert page.input_value("#pg-story") == "s"
    page.locator("h1").click()
    page.keyboard.press("s")
    ready(page)
    assert re.search(r"seed=\d+", page.url)


def test_no_serious_violation_of_accessibility(served, page):
    if not AXE.exists():
        pytest.skip("axe-core is not there: run scripts/fetch_axe.py")
    page.add_init_script(path=str(AXE))

    def judge():
        found = page.evaluate(
            "async () => (await axe.run(document, { runOnly: { type: 'tag', values: "
            "['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] } })).violations.map("
            "({ id, impact, nodes }) => ({ id, impact, nodes: nodes.slice(0, 3).map((n) => n.target.join(' ') + "
            "n.failureSummary) }))"
        )
        return [entry for entry in found if entry["impact"] in ("serious", "critical")]

    open_at(page, served, place(beside=OTHER))
    page.wait_for_function("() => document.querySelectorAll('.pg-answer').length === 2")
    ready(page)
    page.locator(".pg-card summary").first.click()
    for _ in ("light", "dark"):
        assert judge() == []
        page.click("#theme-toggle")
    page.locator("tr[data-fact='2'] .pg-out").click()
    page.wait_for_selector(".pg-shift")
    ready(page)
    page.keyboard.press("x")
    page.wait_for_selector(".pg-table[data-mode=shift]")
    page.fill("#pg-question", "Where is the zoo?")
    page.wait_for_selector("#pg-question-wrong b")
    assert judge() == []
