"""Reruns with one thing changed, on our DNC and on the `dnc` package: exact where the answer is known."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

import memviz
from memviz.analysis.array_record import ArrayRecord
from memviz.analysis.laws import check_laws
from memviz.demos.models import DNC
from memviz.errors import FieldError, RecorderError
from memviz.recorders.controls import BEFORE, controlled, find_controls
from memviz.recorders.interventions import ClearSlot, Deallocate, FreezeGate, RemoveWrite, SharpenLinks

TIMES, BATCH = 8, 2
SIZES = {"nr_cells": 6, "cell_size": 4, "read_heads": 2}


def ours(write_heads=1):
    torch.manual_seed(0)
    model = DNC(4, 16, **SIZES, write_heads=write_heads)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    return model


def package(layers=1):
    with warnings.catch_warnings():
        # The package carries an invalid escape sequence and a deprecated tensor constructor.
        warnings.simplefilter("ignore")
        from dnc import DNC as PackageDNC

        torch.manual_seed(0)
        model = PackageDNC(4, 16, num_layers=layers, num_hidden_layers=1, **SIZES)
    with torch.no_grad():
        model.memories[0].interface_weights.weight.mul_(6)
    return model


MODELS = [
    pytest.param(ours, id="ours"),
    pytest.param(package, id="package", marks=[pytest.mark.thirdparty, pytest.mark.filterwarnings("ignore")]),
]


def recorded(model, path):
    x = torch.randn(BATCH, TIMES, 4, generator=torch.Generator().manual_seed(5))
    # The package begins every sequence with a random controller state.
    torch.manual_seed(7)
    with memviz.attach(model, path, every=1, batch="all", fields="all"), torch.no_grad():
        model(x)
    torch.manual_seed(7)
    return memviz.open(path)[-1]


def changed(model, path, intervention):
    """The record of a run under an intervention; arguments are recorded as the model gave them, effects as they are."""
    (controls,) = find_controls(model).values()
    with controlled(controls, intervention.needs, intervention.edit):
        return recorded(model, path)


@pytest.fixture(params=MODELS)
def model(request):
    return request.param()


def test_a_removed_write_writes_nothing_and_changes_nothing_before_it(model, tmp_path):
    record = recorded(model, tmp_path / "run")
    after = changed(model, tmp_path / "changed", RemoveWrite(3))
    assert not after["write_weights"][3].any()
    np.testing.assert_array_equal(after["write_weights"][:3], record["write_weights"][:3])
    np.testing.assert_array_equal(after["memory"][3], after["memory"][2])
    found = memviz.ablate(model, record, RemoveWrite(3))
    assert not found.effect[:3].any()
    assert found.effect[3:].max() > 1e-3
    np.testing.assert_allclose(found.output, after["output"], atol=1e-6)
    np.testing.assert_allclose(found.baseline, record["output"], atol=1e-6)
    assert "with the write at t=3 removed, the output changes by up to" in found.text()


def test_lineage_stands_beside_the_effect(model, tmp_path):
    record = recorded(model, tmp_path / "run")
    found = memviz.ablate(model, record, RemoveWrite(2))
    assert found.shares.shape == (TIMES, BATCH, 2)
    memory = next(name for name in record.memories if name != "model")
    share = memviz.lineage(record, 6, 1, batch=1, memory=memory).shares[3]
    assert found.shares[6, 1, 1] == pytest.approx(share, abs=1e-9)
    assert "addressing frozen" in found.text()


def test_the_model_is_left_as_it_was(model, tmp_path):
    record = recorded(model, tmp_path / "run")
    model.train()
    memory = next(iter(find_controls(model).values())).module
    before = dict(vars(memory))
    memviz.ablate(model, record, FreezeGate("write_gate", 0.0))
    assert dict(vars(memory)) == before
    assert model.training
    with pytest.raises(RuntimeError, match="stop"):
        memviz.ablate(model, record, Failing())
    assert dict(vars(memory)) == before
    assert model.training


class Failing:
    needs = ("write_gate",)

    def edit(self, time, values):
        raise RuntimeError("stop")

    def text(self):
        return "nothing"


def test_gates_and_modes_are_held(model, tmp_path):
    frozen = changed(model, tmp_path / "gates", FreezeGate("allocation_gate", 1.0, times=range(4)))
    np.testing.assert_allclose(
        frozen["write_weights"][:4, :, 0],
        frozen["write_gate"][:4] * frozen["allocation_weights"][:4, :, 0],
        atol=1e-6,
    )
    assert (
        np.abs(frozen["write_weights"] - frozen["write_gate"][..., None] * frozen["allocation_weights"])[4:].max()
        > 0.01
    )
    modes = changed(model, tmp_path / "modes", FreezeGate("read_modes", (0.0, 1.0, 0.0)))
    np.testing.assert_allclose(modes["read_weights"], modes["read_content_weights"], atol=1e-6)


def test_a_slot_is_cleared_before_its_time(model, tmp_path):
    record = changed(model, tmp_path / "run", ClearSlot(slot=1, time=4))
    weights, vectors = record["write_weights"][4, :, 0, 1], record["write_vectors"][4, :, 0]
    np.testing.assert_allclose(record["memory"][4, :, 1], weights[:, None] * vectors, atol=1e-6)


def test_deallocation_follows_its_law(model, tmp_path):
    record = changed(model, tmp_path / "run", Deallocate())
    (name,) = (name for name in record.memories if name != "model")
    fields = {full.removeprefix(f"{name}/"): record.read(full) for full in record.stored if full.startswith(f"{name}/")}
    attributes = record.memories[name].attributes
    plain = {check.field for check in check_laws(ArrayRecord(fields, attributes=attributes)) if not check.holds}
    freed = ArrayRecord(fields, attributes={**attributes, "deallocation": True})
    assert "memory" in plain
    assert "memory" not in {check.field for check in check_laws(freed) if not check.holds}


def test_sharpened_links_keep_their_mass(model, tmp_path):
    plain = recorded(model, tmp_path / "plain")
    sharp = changed(model, tmp_path / "sharp", SharpenLinks(4.0))
    # Up to the first time at which links lead anywhere, both have read alike.
    time = int(np.argmax(plain["forward_weights"].sum((1, 2, 3, 4)) > 1e-4))
    np.testing.assert_array_equal(plain["read_weights"][:time], sharp["read_weights"][:time])
    before, after = plain["forward_weights"][time], sharp["forward_weights"][time]
    np.testing.assert_allclose(after.sum(-1), before.sum(-1), atol=1e-6)
    assert (after.max(-1) >= before.max(-1) - 1e-7).all()
    assert after.max() > before.max()
    found = memviz.ablate(model, plain, SharpenLinks(4.0))
    assert found.shares is None
    assert found.effect.max() > 0
    assert "links sharpened by the power 4" in found.text()


def test_the_loss_is_set_beside(tmp_path):
    model = ours()
    record = recorded(model, tmp_path / "run")
    target = torch.zeros(BATCH, TIMES, 4)
    found = memviz.ablate(model, record, RemoveWrite(1), loss=torch.nn.functional.mse_loss, target=target)
    assert found.loss_before == pytest.approx(float((record["output"] ** 2).mean()), rel=1e-4)
    assert found.loss_after != found.loss_before
    assert "; loss " in found.text()
    with pytest.raises(FieldError, match="no model/target"):
        memviz.ablate(model, record, RemoveWrite(1), loss=torch.nn.functional.mse_loss)


def test_one_of_several_write_heads_is_removed(tmp_path):
    model = ours(write_heads=2)
    after = changed(model, tmp_path / "run", RemoveWrite(3, head=1))
    assert not after["write_weights"][3, :, 1].any()
    assert after["write_weights"][3, :, 0].any()


@pytest.mark.thirdparty
@pytest.mark.filterwarnings("ignore")
def test_one_layer_of_a_shared_memory_is_changed_alone(tmp_path):
    model = package(layers=2)
    record = recorded(model, tmp_path / "run")
    with pytest.raises(RecorderError, match=r"choose memory= one of .*'layer0', 'layer1'"):
        memviz.ablate(model, record, RemoveWrite(3))
    controls = find_controls(model)["layer1"]
    with controlled(controls, RemoveWrite.needs, RemoveWrite(3).edit):
        after = recorded(model, tmp_path / "changed")
    assert not after["layer1/write_weights"][3].any()
    assert after["layer0/write_weights"][3].any()
    np.testing.assert_array_equal(after["layer0/write_weights"][3], record["layer0/write_weights"][3])


def test_what_cannot_be_done_is_said(tmp_path):
    model = ours()
    record = recorded(model, tmp_path / "run")
    with pytest.raises(RecorderError, match="gives no control over shift_weights at one place"):
        memviz.ablate(model, record, FreezeGate("shift_weights", 0.0))
    with torch.no_grad():
        model.output.bias.add_(1)
    with pytest.raises(RecorderError, match=r"not the one that was recorded: its output differs by .*step 0"):
        memviz.ablate(model, record, RemoveWrite(0))
    other = memviz.ablate(model, record, RemoveWrite(0), strict=False)
    assert other.effect.max() > 0
    assert other.shares is None
    with pytest.raises(RecorderError, match="choose memory= one of those that can be controlled: none"):
        memviz.ablate(torch.nn.Linear(4, 4), record, RemoveWrite(0))


def test_state_before_a_time_is_under_control():
    fields = {name for point in find_controls(ours())["memory"].points for name in point.fields}
    assert {f"{BEFORE}memory", f"{BEFORE}link_matrix", "write_gate", "read_modes", "forward_weights"} <= fields
