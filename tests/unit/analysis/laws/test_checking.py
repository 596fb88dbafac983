"""Laws hold on values that obey them and are broken where a fault was planted, and only there."""

from __future__ import annotations

import numpy as np
import pytest

import memviz
from memviz.analysis.array_record import ArrayRecord
from memviz.analysis.laws import check_laws
from memviz.testing.simulate import COSINE_DELTA, Sizes, simulate_dnc

SIZES = Sizes(times=12, slots=6, words=5, batch=2)
OWN = {"cosine_delta": COSINE_DELTA}


@pytest.fixture
def fields():
    """Every field of a DNC in the middle of learning, float32."""
    found = simulate_dnc(SIZES, seed=2, sharpness=0.5, jitter=1)
    return {name: values.copy() for name, values in found.items() if name not in ("input", "target", "output")}


def broken(fields, law="dnc", **attributes):
    return [check for check in check_laws(ArrayRecord(fields, law=law, attributes=OWN | attributes)) if not check.holds]


def test_a_faithful_dnc_breaks_no_law(fields):
    assert broken(fields) == []
    checked = {check.field for check in check_laws(ArrayRecord(fields, attributes=OWN)) if check.kind == "state"}
    assert checked == {
        "usage",
        "allocation_weights",
        "write_content_weights",
        "memory",
        "link_matrix",
        "precedence_weights",
        "forward_weights",
        "backward_weights",
        "read_content_weights",
        "read_vectors",
        "write_weights",
        "read_weights",
    }


@pytest.mark.parametrize(
    ("field", "place", "add", "law"),
    [
        ("write_gate", (4, 1, 0), 1.5, "in [0, 1]"),
        ("usage", (7, 0, 3), -2.0, "in [0, 1]"),
        ("read_weights", (3, 1, 1, 2), 0.9, "Σ_slot <= 1"),
        ("link_matrix", (5, 0, 0, 2, 2), 0.5, "zero diagonal"),
        ("read_modes", (2, 0, 1, 0), -0.2, "Σ_mode = 1"),
        ("write_strengths", (6, 1, 0), -40.0, "β >= 1"),
        ("memory", (8, 1, 2, 3), 0.5, "follows from write_weights, erase_vectors, write_vectors, memory"),
        ("read_vectors", (8, 0, 1, 3), 0.5, "follows from memory, read_weights"),
    ],
)
def test_the_first_violation_is_where_the_fault_is(fields, field, place, add, law):
    fields[field][place] += add
    found = [check for check in broken(fields) if check.field == field and check.law == law]
    assert len(found) == 1
    index = found[0].first
    assert index["time"] == place[0]
    assert index["batch"] == place[1]
    assert f"time {place[0]}, batch {place[1]}" in found[0].text()
    if "slot" in index:
        assert place[-1] == index["slot"] or place[2] == index["slot"]


def test_a_column_of_the_links_sums_to_at_most_one(fields):
    fields["link_matrix"][4, 0, 0, :, 1] = [0.4, 0, 0.4, 0.4, 0, 0]
    laws = {check.law: check for check in broken(fields) if check.field == "link_matrix"}
    assert laws["Σ_slot_to <= 1"].excess == pytest.approx(0.2, abs=1e-6)
    assert laws["Σ_slot_to <= 1"].first == {"time": 4, "batch": 0, "write_head": 0, "slot_from": 1}


def test_a_nan_breaks_the_law_that_says_what_should_be_there(fields):
    fields["memory"][5, 0, 0, 0] = np.nan
    found = next(check for check in broken(fields) if check.field == "memory" and check.kind == "state")
    assert found.excess == np.inf
    assert found.first["time"] == 5


def test_an_ntm_reads_with_a_whole_distribution(fields):
    few = {name: fields[name] for name in ("write_weights", "read_weights", "erase_vectors", "write_vectors")}
    few["read_weights"] /= few["read_weights"].sum(-1, keepdims=True)
    few["write_weights"] /= few["write_weights"].sum(-1, keepdims=True)
    assert broken(few, law="ntm") == []
    few["read_weights"][3, 0, 1] *= 0.9
    (found,) = broken(few, law="ntm")
    assert (found.law, found.first) == ("Σ_slot = 1", {"time": 3, "batch": 0, "read_head": 1})


def test_slots_in_equal_use_may_be_taken_in_any_order(fields):
    usage = fields["usage"][0, 0]
    assert (usage == 0).all(), "nothing is in use at the first time"
    fields["allocation_weights"][0, 0] = fields["allocation_weights"][0, 0, :, ::-1]
    assert not [check for check in broken(fields) if check.field == "allocation_weights"]
    fields["allocation_weights"][-1, 0] = fields["allocation_weights"][-1, 0, :, ::-1]
    assert [check.first["time"] for check in broken(fields) if check.field == "allocation_weights"] == [11]


def test_a_keyframe_is_held_against_the_replay(fields):
    few = {
        name: fields[name] for name in ("write_weights", "read_weights", "erase_vectors", "write_vectors", "free_gates")
    } | {"initial/memory": fields["initial/memory"], "final/memory": fields["final/memory"].copy()}
    assert broken(few) == []
    few["final/memory"][1, 2, 3] += 0.5
    (found,) = broken(few)
    assert (found.field, found.first) == ("final/memory", {"batch": 1, "slot": 2, "word": 3})


def test_half_precision_is_given_the_room_that_rounding_takes(fields):
    half = {name: values.astype(np.float16) for name, values in fields.items()}
    assert [check.text() for check in broken(half)] == []


def test_records_of_a_trace_are_checked_memory_by_memory(tmp_path):
    from memviz.testing.synthetic import write_dnc_run

    write_dnc_run(tmp_path / "run", steps=2, fields="all")
    record = memviz.open(tmp_path / "run")[-1]
    assert {check.memory for check in check_laws(record)} == {"memory"}
    assert all(check.holds for check in check_laws(record))
    assert check_laws(record, "nothing") == []


def test_a_derived_allocation_is_not_trusted_where_slots_are_in_equal_use(fields):
    """A DNC that takes the last of equal slots first is as good a DNC; what is derived takes the first."""
    generators = [
        *("write_weights", "read_weights", "erase_vectors", "write_vectors", "free_gates", "write_gate"),
        *("allocation_gate", "write_keys", "write_strengths", "read_keys", "read_strengths", "read_modes"),
    ]
    backwards = {name: fields[name] for name in (*generators, "allocation_weights")}
    for name in ("write_weights", "read_weights", "allocation_weights"):
        backwards[name] = backwards[name][..., ::-1]
    backwards["initial/memory"] = fields["initial/memory"][:, ::-1]
    told = ArrayRecord(backwards, attributes=OWN)
    backwards.pop("allocation_weights")
    derived = ArrayRecord(backwards, attributes=OWN)
    gaps = derived.read("memory/allocation_weights") - told.read("memory/allocation_weights")
    assert np.abs(gaps).max() > 0.9
    assert broken(backwards) == []
    # The split of a lineage does not rest on the guess either.
    for time in range(SIZES.times):
        one, other = memviz.lineage(told, time, 0).split, memviz.lineage(derived, time, 0).split
        np.testing.assert_allclose(one.contributions, other.contributions, rtol=0, atol=1e-5)
    backwards["write_weights"] = backwards["write_weights"].copy()
    backwards["write_weights"][9, 0, 0, 1] += 0.3
    assert ("write_weights", 9) in [(check.field, check.first["time"]) for check in broken(backwards)]
