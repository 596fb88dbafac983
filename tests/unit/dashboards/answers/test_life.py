"""Events of a slot and the end of writes over the routes, against memviz.analysis."""

from __future__ import annotations

import numpy as np
import pytest

import memviz
from memviz.analysis.lineage.history import destruction, slot_history
from memviz.errors import FieldError

RECORD = "/api/v1/runs/copy/records/4/"


@pytest.fixture(scope="module")
def record(served):
    return memviz.open(served.root / "copy")[4]


def test_the_life_of_a_slot(served, record):
    slot = int(record["write_weights"][4, 0, 0].argmax())
    said = served.client.json(RECORD + f"events?slot={slot}")
    known = slot_history(record, slot)
    assert [(e["time"], e["kind"], e["head"]) for e in said["events"]] == [(e.time, e.kind, e.head) for e in known]
    written = next(e for e in said["events"] if e["kind"] == "written" and e["weight"] > 0.5)
    after = record["memory"][written["time"], 0, slot]
    assert written["after"] == pytest.approx(float(np.linalg.norm(after)), rel=1e-4)


def test_the_life_of_a_cell_has_its_values(served, record):
    slot = int(record["write_weights"][4, 0, 0].argmax())
    said = served.client.json(RECORD + f"events?slot={slot}&word=2")
    last = [e for e in said["events"] if e["kind"] == "written"][-1]
    assert last["after"] == pytest.approx(float(record["memory"][last["time"], 0, slot, 2]), abs=1e-5)


def test_of_too_many_events_the_weakest_reads_go(served, record, monkeypatch):
    slot = int(record["write_weights"][4, 0, 0].argmax())
    everything = served.client.json(RECORD + f"events?slot={slot}")["events"]
    assert len(everything) > 2
    monkeypatch.setattr("memviz.dashboards.answers.life.MAX_EVENTS", 2)
    said = served.client.json(RECORD + f"events?slot={slot}")
    assert (len(said["events"]), said["left_out"]) == (2, len(everything) - 2)
    assert all(event in everything for event in said["events"])


def test_what_became_of_writes_sums_to_one(served, record):
    said = served.client.json(RECORD + "destroyed?times=0,3")
    for write in said["writes"]:
        known = destruction(record, write["time"])
        assert sum(write["lost"]) + write["left"] == pytest.approx(1, abs=1e-4)
        assert write["sentence"] == known.text()


@pytest.mark.parametrize("times", ["", "x", "0,", "99", ",".join(["1"] * 25), "-1"])
def test_a_list_of_times_is_read_strictly(served, times):
    assert "no list of times" in served.client.error(RECORD + f"destroyed?times={times}", 400)["what"]


def test_where_no_law_is_known_it_says_why_there_are_no_events(served, monkeypatch):
    def unknown(*_, **__):
        raise FieldError("the update law of memory 'memory' is unknown")

    monkeypatch.setattr("memviz.dashboards.answers.life.slot_history", unknown)
    said = served.client.json(RECORD + "events?slot=1")
    assert (said["events"], said["missing"]) == ([], "the update law of memory 'memory' is unknown")
    monkeypatch.undo()
    assert served.client.json(RECORD + "events?slot=2")["missing"] is None
