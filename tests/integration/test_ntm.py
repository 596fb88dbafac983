"""Recorded NTM runs: what is derived, explained, diagnosed and rerun of them, and the reference's trace beside them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import memviz
from memviz.analysis.laws import check_laws
from memviz.analysis.laws.conformance import conformance
from memviz.analysis.lineage.table import lineage_table
from memviz.demos.models.ntm import NTM
from memviz.demos.models.ntm_options import Dialect, Start
from memviz.demos.reference import ntm as reference
from memviz.demos.reference.record import ReferenceTrace
from memviz.recorders.interventions import ClearSlot, FreezeGate, RemoveWrite

TIMES, BATCH = 10, 2
SIDES = ("weights", "content_weights", "keys", "strengths", "vectors")
SIZES = {"nr_cells": 6, "cell_size": 4, "read_heads": 2}
KINDS = {
    "one write head": {},
    "feed-forward, learned start": {"rnn_type": "feedforward", "initial_state": "learned"},
    "parallel writes": {"write_heads": 2, "initial_state": Start(weights="learned")},
    "writes in series": {"write_heads": 2, "write_order": "series", "initial_state": "learned"},
    "reads before the write": {"write_heads": 2, "read_order": "before_write", "initial_state": "learned"},
    "in turn": {"write_heads": 2, "write_order": "series", "read_order": "in_turn", "initial_state": "learned"},
    "the last write counts": {"write_heads": 2, "write_order": "last", "initial_state": "learned"},
    "leaking, replacing": {"dialect": Dialect(erase="ones", normalizing_delta=1e-3), "initial_state": "learned"},
}


def make(**options):
    torch.manual_seed(0)
    model = NTM(4, 16, **SIZES, **options)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    return model


def sequence():
    return torch.randn(BATCH, TIMES, 4, generator=torch.Generator().manual_seed(5))


def recorded(model, path, fields="all", state=None):
    with memviz.attach(model, path, every=1, batch="all", fields=fields), torch.no_grad():
        model(sequence(), state)
    return memviz.open(path)[-1]


@pytest.fixture(scope="module", params=KINDS.values(), ids=KINDS)
def kind(request, tmp_path_factory):
    """The options of a model, the model, and its record with all fields."""
    model = make(**request.param)
    return request.param, model, recorded(model, tmp_path_factory.mktemp("ntm") / "run")


def test_every_law_holds_on_every_value(kind):
    _, _, record = kind
    checks = check_laws(record)
    assert [check.text() for check in checks if not check.holds] == (
        # A weighting that loses mass is what this option is for.
        [check.text() for check in checks if check.kind == "sum" and check.field in ("read_weights", "write_weights")]
        if kind[0] == KINDS["leaking, replacing"]
        else []
    )
    stated = {check.field for check in checks if check.kind == "state"}
    addressing = {f"{side}_{what}" for side in ("read", "write") for what in ("weights", "content_weights")}
    assert stated >= {"memory", "read_vectors", *addressing}


def test_all_fields_of_an_ntm_are_recorded(kind):
    _, model, record = kind
    names = {name.removeprefix("memory/") for name in record.stored if name.startswith("memory/")}
    assert names == {
        "memory",
        "memory_influence",
        "initial/memory",
        "final/memory",
        *(f"{side}_{what}" for side in ("read", "write") for what in SIDES),
        "erase_vectors",
        "interpolation_gate",
        "shift_weights",
        "sharpening",
        *(name for name in ("initial/read_weights", "initial/write_weights", "initial/read_vectors") if name in names),
    }
    assert record.shape("memory/shift_weights") == (TIMES, BATCH, 2 + model.memory.write_heads, 3)


def test_the_default_fields_derive_the_rest(kind, tmp_path):
    _, model, whole = kind
    record = recorded(model, tmp_path / "run", "default")
    for name in ("memory", "read_vectors", "read_content_weights", "write_content_weights"):
        assert record.is_derived(name), name
        np.testing.assert_allclose(record[name], whole[name], rtol=0, atol=1e-5, err_msg=name)


def test_lineage_explains_every_read(kind):
    _, _, record = kind
    reads = record["read_vectors"].astype(np.float64)
    assert np.abs(reads).max() > 0.1
    for item in range(BATCH):
        table = lineage_table(record, batch=item)
        for time in range(TIMES):
            for head in range(2):
                found = memviz.lineage(record, time, head, batch=item)
                np.testing.assert_allclose(found.contributions.sum(0), reads[time, item, head], rtol=0, atol=1e-5)
                np.testing.assert_allclose(
                    table.shares[time, head, : time + 2], found.shares, atol=1e-8 * found.cancellation
                )


def test_ablation_follows_the_write_that_it_removes(kind):
    _, model, record = kind
    found = memviz.ablate(model, record, RemoveWrite(time=3))
    assert found.shares is not None
    assert not found.effect[:3].any()
    before_write = record.memories["memory"].attributes["read_order"] == "before_write"
    assert bool(found.effect[3].any()) != before_write, "a read at the time of the write sees it, or comes before it"
    assert found.effect[4:].any()
    assert "with the write at t=3 removed" in found.text()


def test_a_removed_write_changes_nothing_that_was_not_read(tmp_path):
    model = make(write_heads=2, write_order="last")
    record = recorded(model, tmp_path / "run")
    # Of several heads of this kind only the last one's write counts.
    assert not memviz.ablate(model, record, RemoveWrite(time=3, head=0)).effect.any()
    assert memviz.ablate(model, record, RemoveWrite(time=3, head=1)).effect.any()


def test_gates_can_be_held_and_slots_cleared(tmp_path):
    model = make()
    record = recorded(model, tmp_path / "run")
    held = memviz.ablate(model, record, FreezeGate("interpolation_gate", 0.0))
    assert held.effect.any()
    assert memviz.ablate(model, record, FreezeGate("shift_weights", (0.0, 1.0, 0.0))).effect.any()
    cleared = memviz.ablate(model, record, ClearSlot(slot=0, time=4))
    assert not cleared.effect[:4].any()
    assert cleared.effect[4:].any()


def test_going_on_from_a_state_is_recorded_with_it(tmp_path):
    model = make(write_heads=2, write_order="series", read_order="in_turn", initial_state="learned")
    with torch.no_grad():
        _, state = model(sequence())
    record = recorded(model, tmp_path / "run", "default", state)
    whole = recorded(model, tmp_path / "all", "all", state)
    np.testing.assert_allclose(record["memory"], whole["memory"], rtol=0, atol=1e-5)
    np.testing.assert_array_equal(whole["memory/initial/read_weights"], state.memory.read_weights.numpy())
    assert all(check.holds for check in check_laws(whole))


def test_doctor_finds_shifts_that_are_none(tmp_path):
    model = make(initial_state="learned")
    first = sum(model.memory._sizes[:-1])
    with torch.no_grad():
        model.memory.interface.weight[first:] *= 10
    recorded(model, tmp_path / "run")
    names = {finding.diagnostic for finding in memviz.diagnose(memviz.open(tmp_path / "run"))}
    assert not names & {"law_range", "law_residual", "not_finite", "blurred_shifts", "weak_strengths"}
    with torch.no_grad():
        model.memory.interface.weight[first:] = 0
        model.memory.interface.bias[first:] = 0
    recorded(model, tmp_path / "blurred")
    assert "blurred_shifts" in {finding.diagnostic for finding in memviz.diagnose(memviz.open(tmp_path / "blurred"))}


def test_conformance_says_how_the_public_ones_differ(tmp_path):
    torch.manual_seed(0)
    said = {}
    for name in ("diffmem", "pytorch-ntm", "ntm-pytorch"):
        model = NTM.preset(name, 4, 16, nr_cells=6, cell_size=4, read_heads=2)
        with torch.no_grad():
            model.memory.interface.weight.mul_(4)
        said[name] = conformance(recorded(model, tmp_path / name)).text()
    assert "heads read the memory before this time's write" in said["diffmem"]
    assert "are bounded by tanh" in said["diffmem"]
    assert "the output is computed from the controller alone" in said["diffmem"]
    assert "the write heads write in series" in said["pytorch-ntm"]
    assert "read_vectors: only with what the adapter declares of it" in said["pytorch-ntm"]
    assert "the heads are computed from the controller's cell" in said["ntm-pytorch"]
    assert conformance(recorded(make(), tmp_path / "own")).conforms


def test_the_reference_writes_a_trace_that_compares_equal(tmp_path):
    model = make(initial_state="learned").double()
    x = sequence().double()
    with memviz.attach(model, tmp_path / "torch", every=1, batch="all", fields="all"), torch.no_grad():
        model(x)
        state = model.initial_state(BATCH)
    result = reference.run(
        x.numpy(),
        {name: value.numpy() for name, value in model.state_dict().items()},
        **{name: value.detach().numpy() for name, value in state.memory._asdict().items()},
        read_vectors=state.read_vectors.detach().numpy(),
    )
    with ReferenceTrace(tmp_path / "numpy", "ntm") as trace:
        memory = reference.memory_of(
            result, initial={name: value.detach().numpy() for name, value in state.memory._asdict().items()}
        )
        trace.append(0, [memory], input=x.numpy().swapaxes(0, 1), output=result["output"])
    ours, theirs = memviz.open(tmp_path / "torch")[0], memviz.open(trace.path)[0]
    for name in theirs.stored:
        if not name.startswith("memory/initial/"):
            np.testing.assert_allclose(ours[name], theirs[name], rtol=0, atol=1e-10, err_msg=name)
    assert all(check.holds for check in check_laws(theirs))
