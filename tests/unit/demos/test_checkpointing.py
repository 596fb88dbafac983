"""Checkpoints: what is saved comes back, and what is wrong with one is said in a line."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from memviz.demos.building import make_model, make_task
from memviz.demos.checkpointing import (
    Checkpoint,
    load_checkpoint,
    load_weights,
    optimizer_state,
    restore_optimizer,
    save_checkpoint,
    tensor_file,
)
from memviz.demos.optimizers import make_optimizer
from memviz.demos.plan import OPTIMIZERS, Plan
from memviz.errors import CheckpointError

SMALL = Plan("copy", model_options={"hidden_size": 6, "nr_cells": 4, "cell_size": 3})


def model_of(plan):
    torch.manual_seed(plan.seed)
    return make_model(plan, make_task(plan))


@pytest.fixture
def saved(tmp_path):
    model = model_of(SMALL)
    states = {"data/0": torch.Generator().get_state(), "torch/0": torch.get_rng_state()}
    checkpoint = Checkpoint(SMALL, 7, model.state_dict(), {"0/exp_avg": torch.ones(2)}, states, {"solved": True})
    return checkpoint, save_checkpoint(checkpoint, tmp_path / "run.d" / "copy")


def test_what_is_saved_comes_back(saved):
    checkpoint, path = saved
    loaded = load_checkpoint(path)
    assert (loaded.plan, loaded.step, loaded.results, loaded.ranks) == (SMALL, 7, {"solved": True}, 1)
    for part in ("model", "optimizer", "random"):
        before, after = getattr(checkpoint, part), getattr(loaded, part)
        assert before.keys() == after.keys()
        assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_json_beside_it_says_the_facts(saved):
    checkpoint, path = saved
    assert json.loads(path.with_suffix(".json").read_text()) == checkpoint.facts()
    assert path.name == "copy.safetensors"
    assert not list(path.parent.glob(".*"))


def test_any_name_of_a_checkpoint_finds_it(saved):
    _, path = saved
    assert tensor_file(path) == tensor_file(path.with_suffix(".json")) == tensor_file(path.with_suffix("")) == path
    assert tensor_file("runs/copy.v2").name == "copy.v2.safetensors"


def test_a_checkpoint_of_another_shape_is_refused_by_the_name_of_what_differs(saved):
    loaded = load_checkpoint(saved[1])
    with pytest.raises(
        CheckpointError, match=r"nr_cells=4.*does not fit.*\[.*\] in the file and \[.*\] in the model"
    ) as e:
        load_weights(model_of(SMALL.but(model_options={"hidden_size": 7})), loaded)
    assert "\n" not in str(e.value)
    with pytest.raises(CheckpointError, match=r"of dnc.* has no lstm\.weight_ih_l0"):
        load_weights(model_of(Plan("copy", model="lstm")), loaded)


def test_weights_go_into_a_model_that_fits(saved):
    model = model_of(SMALL.but(seed=1))
    load_weights(model, load_checkpoint(saved[1]))
    assert all(torch.equal(value, saved[0].model[name]) for name, value in model.state_dict().items())


def test_a_missing_a_damaged_a_foreign_and_a_newer_file(saved, tmp_path):
    _, path = saved
    with pytest.raises(CheckpointError, match=r"there is no checkpoint at .*nothing\.safetensors"):
        load_checkpoint(tmp_path / "nothing")
    tensors = load_file(path)
    save_file(tensors, path)
    with pytest.raises(CheckpointError, match="no checkpoint of memviz's demos, or damaged"):
        load_checkpoint(path)
    facts = saved[0].facts()
    save_file(tensors, path, {"memviz": json.dumps(facts | {"format": 99, "memviz": "9.9"})})
    with pytest.raises(CheckpointError, match=r"memviz 9\.9, which is newer"):
        load_checkpoint(path)
    save_file(tensors, path, {"memviz": json.dumps(facts | {"plan": facts["plan"] | {"steps": 0}})})
    with pytest.raises(CheckpointError, match="steps must be a whole number >= 1, not 0"):
        load_checkpoint(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(path)


def test_an_interrupted_write_leaves_the_checkpoint_before(saved, monkeypatch):
    checkpoint, path = saved
    before = path.read_bytes()

    def full(descriptor):
        raise OSError("no space left on device")

    monkeypatch.setattr("memviz.demos.checkpointing.os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        save_checkpoint(Checkpoint(SMALL, 8, checkpoint.model), path)
    assert path.read_bytes() == before
    assert sorted(file.name for file in path.parent.iterdir()) == ["copy.json", "copy.safetensors"]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_goes_on_where_it_was(name):
    def stepped(model, optimizer, times):
        for time in range(times):
            optimizer.zero_grad()
            sum((parameter * (time + 1)).square().sum() for parameter in model.parameters()).backward()
            optimizer.step()

    plan = SMALL.but(optimizer=name)
    whole, halved = model_of(plan), model_of(plan)
    optimizer = make_optimizer(plan, whole.parameters())
    stepped(whole, optimizer, 3)
    first = make_optimizer(plan, halved.parameters())
    stepped(halved, first, 3)
    second = make_optimizer(plan, halved.parameters())
    restore_optimizer(second, optimizer_state(first))
    stepped(whole, optimizer, 3)
    stepped(halved, second, 3)
    for a, b in zip(whole.parameters(), halved.parameters(), strict=True):
        assert torch.equal(a, b)
