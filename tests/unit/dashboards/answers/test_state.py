"""The memory at one time, and the sentence about usage, against the recorded arrays."""

from __future__ import annotations

import numpy as np
import pytest

import memviz

RECORD = "/api/v1/runs/copy/records/4/"


@pytest.fixture(scope="module")
def record(served):
    return memviz.open(served.root / "copy")[4]


@pytest.mark.parametrize("time", [0, 12])
def test_norms_changes_and_cosines(served, record, time):
    said = served.client.json(RECORD + f"state?time={time}&slot=3")
    memory = record["memory"][:, 0].astype(float)
    first = record.read("memory/initial/memory")[0] if "memory/initial/memory" in record.stored else 0 * memory[0]
    before = memory[time - 1] if time else first
    assert np.allclose(said["norm"], np.linalg.norm(memory[time], axis=1), rtol=1e-4)
    assert np.allclose(said["change"], np.linalg.norm(memory[time] - before, axis=1), atol=1e-5)
    assert said["largest_change"]["slot"] == int(np.argmax(said["change"]))
    a, b = memory[time][3], memory[time][7]
    assert said["cosine"][7] == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-3)
    assert said["cosine"][3] == pytest.approx(1)


def test_the_sentence_names_where_allocation_points(served, record):
    for time in (2, 20):
        said = served.client.json(RECORD + f"state?time={time}")["explained"]
        usage = record["usage"][time, 0]
        assert said.startswith(
            f"{int((usage > 0.95).sum())} of {len(usage)} slots are full (mean usage {usage.mean():.2f})"
        )
        allocation = record["allocation_weights"][time, 0]
        if allocation.sum() >= 0.05:
            assert f"points to slot {int(allocation.reshape(-1, len(usage))[0].argmax())} " in said


def test_what_is_not_finite_is_said(served):
    record = memviz.open(served.root / "nan")[3]
    time = int(np.argwhere(~np.isfinite(record["usage"][:, 0]).all(axis=1))[0, 0])
    said = served.client.json(f"/api/v1/runs/nan/records/3/state?time={time}&slot=0")
    assert "not finite" in said["explained"]


def test_the_change_of_a_matrix_is_that_of_the_exact_values(served, record):
    head, codes = served.client.tiles(RECORD + "matrices?field=memory/memory&change=1&t0=0&t1=6")
    memory = record["memory"][:, 0].astype(float)
    tile = head["tiles"][5]
    assert (tile["kind"], tile["change"], tile["vmin"]) == ("signed", True, -tile["vmax"])
    decoded = tile["vmin"] + codes[tile["id"]] / 248 * (tile["vmax"] - tile["vmin"])
    assert np.allclose(decoded, memory[5] - memory[4], atol=(tile["vmax"] - tile["vmin"]) / 490)
