"""Stories over the routes: the numbers of memviz.analysis.episodes, words for what is missing, and the table of all."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import memviz
import memviz.dashboards.answers
from memviz.analysis.array_record import ArrayRecord
from memviz.analysis.diagnostics import MemoryView, get
from memviz.analysis.episodes import divergence, effective_gates
from memviz.analysis.stories import KINDS_OF_RESULT, read_stories
from memviz.analysis.story_text import gate_text, hops_text, kept_text
from memviz.demos.gallery import write_run
from memviz.testing.stories import ENDS, PLACES, write_story_run

MODULE = sys.modules["memviz.dashboards.answers.story"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("stories")
    write_story_run(root / "stories", records=12)
    write_story_run(root / "batch", records=3, items=4)
    write_story_run(root / "choices", records=2, memories=["choices.A", "choices.B"])
    write_story_run(root / "bare", records=2, law="", change=lambda _, __: {})
    write_run("eclipsed_fact", root / "eclipsed")
    write_run("attention_sink", root / "attention")
    return root


@pytest.fixture
def client(runs, new_client):
    return new_client(runs)


def ask(client, run, index, more=""):
    return client.json(f"/api/v1/runs/{run}/records/{index}/story?v=x{more}")


def test_gates_are_those_of_the_analysis(client, runs):
    record = memviz.open(runs / "stories")[1]
    gates = record["episodic_attention"][:, 0].astype(np.float64)
    effective, left = effective_gates(gates)
    said = ask(client, "stories", 1)
    np.testing.assert_allclose(said["raw"], gates, rtol=1e-11)
    np.testing.assert_allclose(said["effective"], effective, rtol=1e-10)
    np.testing.assert_allclose(said["left"], left, rtol=1e-10)
    np.testing.assert_allclose(np.sum(said["effective"], axis=1) + said["left"], 1, atol=1e-11)
    np.testing.assert_allclose(said["sum"], 1, atol=1e-12)
    shares = np.concatenate([effective, left[:, None]], axis=1)
    np.testing.assert_allclose(said["divergence"], divergence(shares[:, None], shares[None]), atol=1e-6)
    assert said["eclipsed"] == np.argwhere(gates - effective > 0.3).tolist() != []
    assert said["texts"] == record.labels["facts"]
    story = read_stories(record)[0]
    assert said["sentences"]["kept"] == kept_text(story)
    assert said["sentences"]["gate"] == gate_text(story)
    assert said["sentences"]["hops"] == hops_text(story)


def test_answers_are_told_per_hop(client, runs):
    record = memviz.open(runs / "stories")[0]
    said = ask(client, "stories", 0)
    probabilities = record["answer_probabilities"][:, 0]
    best = said["alternatives"][0]
    np.testing.assert_allclose(best["hops"], probabilities[:, PLACES.index(best["answer"])], rtol=1e-6)
    assert best["answer"] == said["predicted"] == said["answer"]
    assert said["sentences"]["settled"].startswith(f"{best['answer']} is the most probable answer from hop 1 on")
    assert said["rest"] == pytest.approx(1 - sum(one["probability"] for one in said["alternatives"]), abs=1e-6)
    assert said["missing"] == []


def test_findings_of_an_item_are_those_of_its_checks(client, runs):
    record = memviz.open(runs / "eclipsed")[9]
    view = MemoryView(record, "memory")
    for item in range(3):
        said = ask(client, "eclipsed", 9, f"&item={item}")
        values = {
            name: float(next(iter(get(name).measure(view))).values[item])
            for name in ("leftover_episode", "redundant_hops", "eclipsed_fact")
        }
        known = {name for name, value in values.items() if get(name).level(value)}
        assert {finding["diagnostic"] for finding in said["findings"]} == known
        assert all(finding["value"] == pytest.approx(values[finding["diagnostic"]]) for finding in said["findings"])
    found = ask(client, "eclipsed", 9, "&item=1")["findings"]
    assert [(one["diagnostic"], one["time"], one["slot"]) for one in found] == [("eclipsed_fact", 2, 5)]


def test_a_record_without_labels_says_what_is_missing(client):
    said = ask(client, "bare", 0)
    assert said["missing"] == ["facts", "question", "answer", "supporting", "predicted", "alternatives"]
    assert set(said["texts"]) == {""}
    assert (said["declared"], said["episode"], said["padding"]) == (False, "gated", 0)
    assert said["kind"] == "not judged"
    assert said["sentences"]["answer"] == "not recorded"
    assert "label supporting" in said["sentences"]["support"]
    assert "answer_probabilities" in said["sentences"]["settled"]


def test_each_item_of_a_batch_has_its_own_story(client, runs):
    labels = memviz.open(runs / "batch")[0].labels
    for item in range(4):
        said = ask(client, "batch", 0, f"&item={item}")
        assert said["question"] == labels["question"][item]
        assert said["supporting"] == labels["supporting"][item]
        assert said["items"] == 4
    client.error("/api/v1/runs/batch/records/0/story?item=4", 400)


def test_one_memory_per_choice(client):
    first, second = (ask(client, "choices", 0, f"&memory=choices.{name}") for name in "AB")
    assert first["memories"] == second["memories"] == ["choices.A", "choices.B"]
    assert first["raw"] != second["raw"]
    assert "no episodic_attention" in client.error("/api/v1/runs/choices/records/0/story?memory=C", 404)["what"]


def test_facts_of_padding_are_counted():
    gates = np.array([[[0.5, 0.2, 0.0, 0.0]]])
    labels = {"facts": ["a", "b"]}
    story = read_stories(ArrayRecord({"episodic_attention": gates}, law="dmn", labels=labels))[0]
    assert (MODULE._gates(story)["padding"], MODULE._gates(story)["texts"]) == (2, ["a", "b", "", ""])
    # A gate that opened is that of a fact, whatever the labels say; without texts nothing can be told.
    gates[0, 0, 3] = 0.1
    assert MODULE._gates(story)["padding"] == 1
    bare = read_stories(ArrayRecord({"episodic_attention": np.zeros((1, 1, 3))}, law="dmn"))[0]
    assert MODULE._gates(bare)["padding"] == 0


def test_a_record_of_another_memory_has_no_story(client):
    assert "no episodic_attention" in client.error("/api/v1/runs/attention/records/0/story", 404)["what"]


def test_too_large_a_story_is_refused_in_words(client, monkeypatch):
    monkeypatch.setattr(MODULE, "MAX_CELLS", 5)
    assert "more than 5 gates" in client.error("/api/v1/runs/stories/records/0/story", 404)["what"]
    monkeypatch.setattr(MODULE, "MAX_VALUES", 5)
    assert "more than 5 at once" in client.error("/api/v1/runs/stories/records/1/story", 404)["what"]


def test_the_table_has_a_row_per_story(client, runs):
    said = client.json("/api/v1/runs/stories/stories")
    assert (said["count"], said["from"], said["to"], said["skipped"], said["full"]) == (12, 0, 12, 0, False)
    assert said["kinds"] == list(KINDS_OF_RESULT)
    kinds = {
        "plain": "right, facts found",
        "eclipsed": "right, facts found",
        "missed": "wrong, facts missed",
        "mistaken": "wrong, facts found",
        "lucky": "right, facts missed",
        "alike": "right, facts missed",
    }
    assert [row["kind"] for row in said["stories"]] == [kinds[ENDS[n % 6]] for n in range(12)]
    for index, row in enumerate(said["stories"]):
        story = read_stories(memviz.open(runs / "stories")[index])[0]
        assert (row["index"], row["step"], row["item"], row["memory"]) == (index, index, 0, "memory")
        assert row["found"] == len(story.found)
        assert row["lost"] == pytest.approx(max((one.gate - one.kept for one in story.eclipsed), default=0), abs=1e-4)
        assert row["left"] == pytest.approx(story.left.max(), rel=1e-3)
    assert [row["index"] for row in client.json("/api/v1/runs/stories/stories?from=9")["stories"]] == [9, 10, 11]
    batch = client.json("/api/v1/runs/batch/stories")["stories"]
    assert [(row["index"], row["item"]) for row in batch] == [(i, j) for i in range(3) for j in range(4)]
    assert client.json("/api/v1/runs/attention/stories")["stories"] == []


def test_the_row_of_a_choice_is_that_of_the_answer(tmp_path, new_client):
    def chosen(_, labels):
        return {**labels, "choices": {"A": "another", "B": labels["predicted"]}}

    write_story_run(tmp_path / "run", records=1, memories=["choices.A", "choices.B"], change=chosen)
    client = new_client(tmp_path)
    assert client.json("/api/v1/runs/run/stories")["stories"][0]["memory"] == "choices.B"
    assert ask(client, "run", 0)["memory"] == "choices.B"
