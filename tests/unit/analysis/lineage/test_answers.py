"""What is said about a read, a write and a slot, in a memory small enough to follow by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

import memviz
from memviz.analysis.array_record import ArrayRecord
from memviz.analysis.lineage import answers
from memviz.analysis.lineage.history import destruction, slot_history
from memviz.analysis.lineage.table import lineage_table

T, N, W = 4, 2, 2


def fields():
    """Slot 0 is written at time 0, half overwritten at time 2, read at times 1 and 3; nothing is read at time 0."""
    weights, reads = np.zeros((T, 1, 1, N)), np.zeros((T, 1, 1, N))
    weights[0, 0, 0, 0], weights[2, 0, 0, 0] = 1.0, 0.5
    reads[1, 0, 0, 0] = reads[3, 0, 0, 0] = 1.0
    vectors = np.zeros((T, 1, 1, W))
    vectors[0, 0, 0] = vectors[2, 0, 0] = [3.0, 4.0]
    erase = np.ones((T, 1, 1, W))
    return {"write_weights": weights, "read_weights": reads, "write_vectors": vectors, "erase_vectors": erase}


@pytest.fixture
def record():
    return ArrayRecord(fields())


def test_a_read_is_said_with_its_sources_the_largest_first(record):
    first, *sources, last = answers.read_lines(memviz.lineage(record, 1, 0))
    assert first == "100 % from the write at t=0; addressing frozen"
    assert [line.split() for line in sources] == [["100.0", "%", "t=0", "1", "time", "ago"]]
    assert last == "1.0 effective sources, mean age 1.0, cancellation 1.00"

    two = answers.sources(memviz.lineage(record, 3, 0))
    assert [(line.written, line.share, line.age, line.allocation, line.modes) for line in two] == [
        (0, 0.5, 3, None, {}),
        (2, 0.5, 1, None, {}),
    ]


def test_parts_and_modes_are_said_where_they_were_recorded(synthetic_record):
    found = memviz.lineage(synthetic_record, 13, 0)
    line = answers.sources(found)[0]
    assert line.allocation == pytest.approx(found.split.shares[line.written + 1, 1].sum())
    assert sum(line.modes.values()) == pytest.approx(line.share, abs=1e-5)
    assert "in allocated slots   forward" in line.text()


@pytest.fixture
def synthetic_record(tmp_path):
    from memviz.testing.synthetic import write_dnc_run

    return memviz.open(write_dnc_run(tmp_path / "run", steps=3))[-1]


def test_every_read_is_one_line_and_idle_writes_are_named(record):
    lines = list(answers.table_lines(lineage_table(record)))
    assert lines[0] == "t=0    head 0  reads nothing"
    assert lines[1] == "t=1    head 0  100.0 % from the write at t=0"
    assert lines[-2:] == ["no read has 1 % or more from the writes at t=1, 3", "addressing frozen"]
    shares = answers.table_json(lineage_table(record))["shares"]
    assert shares[0][0] == [None] * (T + 1)
    assert shares[3][0] == [0.0, 0.5, 0.0, 0.5, 0.0]


def test_a_write_is_followed_to_what_took_it_away_and_who_reads_it(record):
    lost, table = destruction(record, 0), lineage_table(record)
    assert list(answers.write_lines(lost, table)) == [
        "50 % of the write at t=0 is left; fell: 50 % to t=2",
        " 100.0 % of the read at t=1 by head 0",
        "  50.0 % of the read at t=3 by head 0",
        "addressing frozen",
    ]
    facts = answers.write_json(lost, table)
    assert facts["lost"] == {"write head 0": [0.0, 0.0, 0.5, 0.0]}
    assert facts["readers"] == [{"time": 1, "head": 0, "share": 1.0}, {"time": 3, "head": 0, "share": 0.5}]
    assert "no read has 1 % or more from it" in list(answers.write_lines(destruction(record, 1), table))


def test_what_is_not_finite_is_null():
    broken = fields()
    broken["write_vectors"][0] = np.nan
    record = ArrayRecord(broken)
    found = memviz.lineage(record, 1, 0)
    assert list(answers.read_lines(found)) == ["the read is not finite, so it has no shares; addressing frozen"]
    facts = [
        answers.read_json(found),
        answers.table_json(lineage_table(record)),
        answers.write_json(destruction(record, 0), lineage_table(record)),
        {"events": [answers.event_json(event) for event in slot_history(record, 0)]},
    ]
    assert all("null" in json.dumps(fact, allow_nan=False) for fact in facts)
