"""Rows of the list of runs: what they say, when they are made again, and how they fail."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from memviz.dashboards.source import Source
from memviz.dashboards.summaries import Summaries, spark, summary_of
from memviz.testing.synthetic import write_dnc_run


def row_of(path, run="copy"):
    return next(row for row in Summaries(Source([path])).rows() if row["id"] == run)


def test_a_row_describes_its_run(tmp_path):
    run = write_dnc_run(tmp_path / "copy", steps=4)
    row = row_of(tmp_path)
    assert (row["state"], row["records"], row["step"], row["dropped"], row["error"]) == ("closed", 4, 60, 0, None)
    assert row["attributes"] == {"task": "copy", "seed": 0, "synthetic": True}
    assert row["memories"] == [
        {"name": "memory", "law": "dnc", "summary": "16 slots × 16, 2 read heads", "story": False}
    ]
    values = [float(line["loss"]) for line in map(json.loads, (run.path / "scalars.jsonl").read_text().splitlines())]
    assert row["loss_name"] == "loss"
    assert row["last_loss"] == pytest.approx(sum(values[-10:]) / 10)
    assert row["size"] > 10_000
    assert 0 <= row["age"] < 60


def test_states_are_live_closed_and_interrupted(tmp_path):
    with write_dnc_run(tmp_path / "copy", steps=1, live=True) as run:
        summaries = Summaries(Source([tmp_path]))
        assert summaries.rows()[0]["state"] == "live"
        run._writer._lock.release()  # what the kernel does when a writer dies
        assert summaries.rows()[0]["state"] == "interrupted"


def test_a_live_row_follows_its_run(tmp_path, monkeypatch):
    monkeypatch.setattr("memviz.dashboards.source.REFRESH_SECONDS", 0.0)
    with write_dnc_run(tmp_path / "copy", steps=1, live=True) as run:
        summaries = Summaries(Source([tmp_path]))
        assert summaries.rows()[0]["records"] == 1
        run.append(2)
        row = summaries.rows()[0]
        assert (row["records"], row["step"]) == (3, 40)


def test_a_row_that_has_not_changed_is_not_made_again(tmp_path, monkeypatch):
    write_dnc_run(tmp_path / "copy", steps=1)
    monkeypatch.setattr("memviz.dashboards.summaries.SETTLED_SECONDS", -1.0)
    source = Source([tmp_path])
    summaries = Summaries(source)
    first = summaries.rows()
    monkeypatch.setattr(source, "trace", lambda run: pytest.fail("opened again"))
    again = summaries.rows()
    assert {**first[0], "age": 0} == {**again[0], "age": 0}


def test_newest_first(tmp_path):
    for name in ("b", "a", "c"):
        write_dnc_run(tmp_path / name, steps=1)
    assert [row["id"] for row in Summaries(Source([tmp_path])).rows()] == ["c", "a", "b"]


def damage_version(path):
    header = json.loads((path / "trace.json").read_text())
    (path / "trace.json").write_text(json.dumps({**header, "format_version": 99}))


@pytest.mark.parametrize(
    ("damage", "label", "reason"),
    [
        (damage_version, "newer format", "99"),
        (lambda path: (path / "trace.json").write_text("{ torn"), "damaged", "trace.json"),
        (lambda path: (path / "trace.json").write_text("[]"), "damaged", "trace.json"),
        (lambda path: (path / "trace.json").write_bytes(b"\xff\xfe\x00"), "damaged", "trace.json"),
        (lambda path: (path / "trace.json").unlink(), "damaged", "trace.json"),
    ],
)
def test_a_damaged_run_is_listed_with_reason_and_remedy_beside_the_others(tmp_path, damage, label, reason):
    write_dnc_run(tmp_path / "fine", steps=1)
    damage(write_dnc_run(tmp_path / "copy", steps=1).path)
    row = row_of(tmp_path)
    assert (row["state"], row["error_label"], row["records"]) == ("error", label, 0)
    assert reason in row["error"]
    assert str(tmp_path) not in row["error"]
    assert row["remedy"].endswith(".")
    assert len(row["remedy"]) > 10
    assert row_of(tmp_path, "fine")["state"] == "closed"


def test_a_nan_loss_is_named_and_kept_in_the_curve(tmp_path):
    write_dnc_run(tmp_path / "copy", steps=4, plant_nan=(2, 6))
    row = row_of(tmp_path)
    assert row["last_loss"] == "NaN"
    assert row["spark"][-1][1] == "NaN"


@given(
    values=hnp.arrays(np.float64, st.integers(0, 500), elements=st.one_of(st.floats(0, 10), st.just(math.nan))),
    points=st.integers(2, 60),
)
def test_a_spark_keeps_the_extremes_and_every_nan(values, points):
    curve = spark(np.arange(len(values)), values, points)
    assert len(curve) <= max(points, 2)
    steps = [step for step, _ in curve]
    assert steps == sorted(steps)
    shown = [math.nan if value == "NaN" else value for _, value in curve]
    assert np.isnan(values).any() == np.isnan(shown).any()
    if len(values) and not np.isnan(values).any():
        assert max(shown) == pytest.approx(values.max(), rel=1e-3)
        assert min(shown) == pytest.approx(values.min(), rel=1e-3)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"slot": 16, "word": 20, "read_head": 1, "write_head": 1}, "16 slots × 20, 1 read head"),
        ({"slot": 128, "head": 2}, "128 slots, 2 heads"),
        ({"fact": 6, "time": 3}, "6 facts, 3 hops"),
        ({"slot": 4, "word": 2, "read_head": 2, "write_head": 2}, "4 slots × 2, 2 read heads, 2 write heads"),
        ({}, ""),
    ],
)
def test_the_size_of_a_memory_in_words(sizes, words):
    assert summary_of(sizes) == words
