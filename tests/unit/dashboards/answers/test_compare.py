"""The comparison over the route: the numbers of memviz.compare, its pictures, and what cannot be compared in words."""

from __future__ import annotations

import time

import numpy as np
import pytest

import memviz
from memviz.analysis.compare.sides import OneItem
from memviz.dashboards.app import create_app
from memviz.dashboards.guard import make_guard
from memviz.dashboards.source import Source
from memviz.demos.gallery import write_run
from memviz.testing.synthetic import write_dnc_run


@pytest.fixture(scope="module")
def runs(tmp_path_factory, served):
    folder = tmp_path_factory.mktemp("runs")
    write_dnc_run(folder / "copy", steps=4, batch=2)
    write_dnc_run(folder / "other", seed=1, steps=4, fields="all")
    write_dnc_run(folder / "larger", seed=1, steps=2, slots=20, times=15)
    write_run("attention_sink", folder / "attention")
    client = type(served.client)(create_app(Source([folder]), make_guard("127.0.0.1")))

    def ask(query):
        deadline = time.monotonic() + 60
        while True:
            head, codes = client.tiles(f"/api/v1/compare?{query}")
            if head["state"] != "working":
                return head, codes
            assert time.monotonic() < deadline, head

    ask.client, ask.folder = client, folder
    return ask


def value(head, codes, tile_id):
    """Codes as numbers, from docs/api.md."""
    tile = next(tile for tile in head["tiles"] if tile["id"] == tile_id)
    return tile, tile["vmin"] + codes[tile_id] / 248 * (tile["vmax"] - tile["vmin"])


def test_two_runs_are_compared_as_memviz_does(runs):
    head, codes = runs("run=copy&record=3&item=1&other=other&other_record=3")
    a, b = (memviz.open(runs.folder / name)[3] for name in ("copy", "other"))
    known = memviz.compare(OneItem(a, 1), OneItem(b, 0)).memories[0]
    assert head["align"]["slots"] == known.alignment.slots[0].tolist()
    assert head["align"]["read_heads"] == known.alignment.read_heads.tolist()
    assert head["align"]["text"] == known.alignment.text()
    assert head["changes"] == list(known.changes)
    assert (head["first"]["time"], head["first"]["field"]) == known.first()
    for entry in known.fields:
        said = next(one for one in head["fields"] if (one["memory"], one["field"]) == ("memory", entry.field))
        assert said["largest"] == pytest.approx(entry.largest)
        assert said["mean"] == pytest.approx(entry.mean)
        assert (said["same"], said["first"]) == (entry.same, entry.first)
    one, other = known.aligned("read_weights")
    for h in range(2):
        for side, exact in (("a", one), ("b", other), ("d", other - one)):
            tile, shown = value(head, codes, f"memory/read_weights|{h}|{side}")
            step = (tile["vmax"] - tile["vmin"]) / 248
            np.testing.assert_allclose(shown, exact[:, 0, h].T, atol=step / 2 + 1e-6)
        assert (tile["vmin"], tile["vmax"], tile["head_b"]) == (-1, 1, known.alignment.read_heads[h])
        assert tile["largest"] == pytest.approx(np.abs(other - one)[:, 0, h].max())
    assert head["notes"][:1] == ["run seed: 0 in a, 1 in b"]


def test_what_alignment_is_worth_is_said(runs):
    head, _ = runs("run=copy&record=3&other=other&other_record=3")
    sides = [OneItem(memviz.open(runs.folder / name)[3], 0) for name in ("copy", "other")]
    means = []
    for method in (None, "none"):
        fields = memviz.compare(*sides, align_by=method).memories[0].fields
        means.append(np.mean([found.mean for found in fields if found.field in ("write_weights", "read_weights")]))
    assert head["mean"] == pytest.approx(means[0])
    assert head["mean_numbered"] == pytest.approx(means[1])
    assert head["title"].startswith("Slot alignment removes ")
    numbered, _ = runs("run=copy&record=3&other=other&other_record=3&align=none")
    assert numbered["mean"] == pytest.approx(means[1])
    assert numbered["align"]["method"] == "none"
    assert "differ in" in numbered["title"]


def test_limits_are_stated_and_can_be_those_of_the_difference(runs):
    head, codes = runs("run=copy&record=3&other=copy&other_record=2&limits=own")
    tile, shown = value(head, codes, "memory/write_weights|0|d")
    assert 0 < tile["vmax"] < 1
    assert tile["vmax"] == pytest.approx(tile["largest"])
    assert np.abs(shown).max() == pytest.approx(tile["largest"])


def test_a_matrix_is_shown_by_the_norms_of_its_rows(runs):
    head, codes = runs("run=other&record=3&other=other&other_record=1&align=none")
    record = memviz.open(runs.folder / "other")
    a, b = (record[i]["memory"][:, 0].astype(float) for i in (3, 1))
    tile, shown = value(head, codes, "memory/memory|d")
    np.testing.assert_allclose(shown, np.linalg.norm(b - a, axis=-1).T, atol=tile["vmax"] / 496 + 1e-6)
    assert (tile["kind"], tile["folded"], tile["vmin"]) == ("positive", "word", 0)


def test_an_item_with_itself_and_a_run_with_its_law_agree(runs):
    same, _ = runs("run=copy&record=1&item=1&other=copy&other_record=1&other_item=1")
    assert same["same"]
    assert same["title"].startswith("A and B agree within rounding in all ")
    law, _ = runs("run=other&record=2&law=1")
    assert law["same"]
    assert {"usage", "link_matrix"} <= {entry["field"] for entry in law["fields"]}
    assert "write_weights" not in {entry["field"] for entry in law["fields"]}
    items, _ = runs("run=copy&record=1&item=0&other=copy&other_record=1&other_item=1")
    assert not items["same"]


def test_different_shapes_are_compared_as_far_as_they_go(runs):
    head, codes = runs("run=larger&record=1&other=copy&other_record=3")
    assert "A has 20 slots and B 16: those without a counterpart are left blank" in head["notes"]
    assert any(note.endswith("are compared") and "times" in note for note in head["notes"])
    alone = [slot for slot, of_b in enumerate(head["align"]["slots"]) if of_b < 0]
    assert len(alone) == 4
    assert (codes["memory/usage|d"][alone] == 251).all()
    assert (codes["memory/usage|b"][alone] == 251).all()
    assert not (codes["memory/usage|a"] == 251).any()
    back, _ = runs("run=copy&record=3&other=larger&other_record=1")
    assert len(back["align"]["alone"]) == 4


def test_spikes_survive_and_unmatched_rows_do_not_hide_others(runs):
    head, codes = runs("run=larger&record=1&other=copy&other_record=3&px=5&py=4")
    tile = next(tile for tile in head["tiles"] if tile["id"] == "memory/write_weights|0|d")
    assert (tile["rows"], tile["cols"]) == (4, 5)
    shown = np.abs(codes["memory/write_weights|0|d"].astype(int) - 124)
    shown[codes["memory/write_weights|0|d"] == 251] = 0
    assert shown.max() == round(tile["largest"] * 124)


def test_what_only_one_has_is_named(runs):
    head, _ = runs("run=copy&record=3&other=other&other_record=3")
    assert all(entry["reason"] != "only A has it" for entry in head["missing"])
    large, _ = runs("run=copy&record=3&other=attention&other_record=3")
    assert large["state"] == "done"
    assert {entry["reason"] for entry in large["missing"]} == {"only A has it", "only B has it"}
    assert large["title"] == "A and B have no field in common that could be compared"


def test_what_is_too_large_is_left_out_or_not_aligned(runs, monkeypatch):
    monkeypatch.setattr("memviz.dashboards.answers.compare.MAX_NUMBERS", 21 * 2 * 16 * 3)
    monkeypatch.setattr("memviz.dashboards.answers.compare.MAX_SLOTS", 8)
    head, _ = runs("run=copy&record=2&other=other&other_record=2")
    reasons = {entry["field"]: entry["reason"] for entry in head["missing"]}
    assert reasons["memory"].startswith("too large to compare while somebody waits")
    assert head["align"]["method"] == "none"
    assert any("takes more memory than a page may have" in note for note in head["notes"])


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("run=copy&record=9&other=copy&other_record=0", 400, "out of range"),
        ("run=copy&record=0&other=none&other_record=0", 404, "there is no run"),
        ("run=copy&record=0&other=copy&other_record=0&other_memory=x", 404, "no memory 'x'"),
        ("run=copy&record=0&other=copy&other_record=0&align=names", 400, "no alignment"),
        ("run=copy&record=0&other=copy", 400, "other_record"),
        ("run=copy&record=0&law=1&nonsense=1", 400, "nonsense"),
    ],
)
def test_what_is_asked_wrongly_is_said(runs, query, status, words):
    assert words in runs.client.error(f"/api/v1/compare?{query}", status)["what"]


def test_aligning_by_what_is_missing_fails_in_words(runs):
    head, codes = runs("run=copy&record=3&other=attention&other_record=3&align=writes")
    assert (head["state"], codes) == ("failed", {})
    assert "aligning by writes needs write_weights in both records" in head["problem"]


def test_it_can_be_called_off(runs):
    head, _ = runs("run=copy&record=0&other=copy&other_record=1&stop=1")
    assert head["state"] == "stopped"
