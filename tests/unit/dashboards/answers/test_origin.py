"""Lineage over the routes: the numbers of memviz.analysis, and what becomes of a record that has not what it takes."""

from __future__ import annotations

import numpy as np
import pytest

import memviz
from memviz.analysis.lineage import explain_slot, lineage
from memviz.analysis.lineage.table import lineage_table

RECORD = "/api/v1/runs/sweep%2Fcopy-s1/records/2/"


@pytest.fixture(scope="module")
def record(served):
    return memviz.open(served.root / "sweep" / "copy-s1")[2]


def test_one_read_is_that_of_the_analysis(served, record):
    said = served.client.json(RECORD + "lineage?item=1&time=14&head=1")
    known = lineage(record, 14, 1, 1)
    assert np.allclose(said["shares"], known.shares, atol=1e-5)
    assert sum(said["shares"]) == pytest.approx(1, abs=1e-5)
    assert np.allclose(np.array(said["by_slot"]["rows"]).T, known.by_slot[1:], rtol=1e-3, atol=1e-6)
    assert said["sentence"] == known.text()
    assert said["condition"] == "addressing frozen"
    assert sum(said["split"]["modes"].values()) == pytest.approx(1, abs=1e-4)
    assert sum(said["split"]["parts"].values()) == pytest.approx(1, abs=1e-4)
    top = int(np.argmax(np.abs(known.shares))) - 1
    assert said["title"].endswith(f"the write at t = {top}")
    assert said["names"][0] == "input 0"


def test_what_a_slot_holds(served, record):
    said = served.client.json(RECORD + "lineage?item=0&time=9&slot=3")
    assert np.allclose(said["shares"], explain_slot(record, 9, 3).shares, atol=1e-5)
    assert (said["split"], said["head"]) == (None, -1)


def test_who_reads_a_write(served, record):
    said = served.client.json(RECORD + "readers?item=1&time=4")
    known = lineage_table(record, batch=1).shares[:, :, 5]
    assert np.allclose(np.array(said["shares"]).T, np.nan_to_num(known), atol=1e-5)
    best = said["strongest"][0]
    assert abs(known[best["time"], best["head"]]) == pytest.approx(np.abs(known).max())
    assert said["reads"] == int((np.abs(known) >= 0.01).sum())


def test_a_large_memory_is_pooled_and_keeps_its_largest_share():
    from memviz.dashboards.answers.origin import MAX_SLOTS, _slots

    shares = np.zeros((41, 1000))
    shares[17, 777] = -0.8
    said = _slots(shares)
    assert len(said["rows"]) == MAX_SLOTS
    assert np.array(said["rows"]).min() == -0.8


def test_too_much_work_is_refused_in_words(served, monkeypatch):
    monkeypatch.setattr("memviz.dashboards.answers.origin.MAX_WORK", 10)
    assert "takes too long" in served.client.error(RECORD + "readers?time=4", 404)["what"]
    monkeypatch.setattr("memviz.dashboards.answers.origin.MAX_VALUES", 10)
    assert "more than 10 at once" in served.client.error(RECORD + "lineage?time=4", 404)["what"]


def test_a_read_that_is_not_finite_says_so(served):
    said = served.client.json("/api/v1/runs/nan/records/3/lineage?time=8&head=0")
    assert "not finite" in said["title"]
    assert set(said["shares"]) == {"NaN"}
