"""Which checkpoints are offered: those of a DMN on bAbI, whatever else lies in the folder."""

from __future__ import annotations

import json
import os
from collections import Counter

import numpy as np
import pytest
from safetensors.numpy import save_file

from memviz.demos.playground.catalogue import Catalogue, folders_of, read_model
from memviz.demos.tasks.babi.results import Results
from memviz.errors import UnknownNameError


def write_facts(path, facts):
    save_file(
        {"model/x": np.zeros(2, np.float32)}, path, {"memviz": facts if isinstance(facts, str) else json.dumps(facts)}
    )


def good():
    plan = {"task": "babi", "task_options": {"tasks": "1,3"}, "model": "dmn", "model_options": {"variant": "plus"}}
    return {"format": 1, "memviz": "0.1.0", "step": 5, "plan": plan, "results": {"accuracy": {"1": 90, "3": 80.0}}}


def test_networks_and_models_are_what_the_checkpoints_say(networks):
    catalogue = Catalogue([networks])
    assert catalogue.networks() == ["dmn_batch", "dmn_plus", "dmn_smooth"]
    (model,) = catalogue.of_network("dmn_batch")
    assert model.id == "batch-soft"
    assert [family.id for family in model.families] == [1, 6]
    assert catalogue.model("dmn_plus", "plus-1").accuracy() == {1: 87.5}
    assert "87.5 % right" in catalogue.model("dmn_plus", "plus-1").description()
    with pytest.raises(UnknownNameError, match="plus-1"):
        catalogue.model("dmn_plus", "plus_1")
    with pytest.raises(UnknownNameError, match="dmn_smooth"):
        catalogue.of_network("dmn_smoth")


def test_two_of_one_name_are_told_apart(networks, write, tmp_path):
    write(tmp_path / "plus-1", variant="plus", seed=1)
    found = [model.id for model in Catalogue([networks, tmp_path]).of_network("dmn_plus")]
    assert found == ["plus-1", "plus-1-2"]
    # The same folder twice is still one.
    assert len(Catalogue([networks, networks]).models()) == 3


def test_a_new_checkpoint_appears_and_a_changed_one_is_read_again(write, tmp_path):
    catalogue = Catalogue([tmp_path])
    assert catalogue.models() == []
    path = write(tmp_path / "mine", variant="plus")
    (before,) = catalogue.models()
    write(tmp_path / "mine", variant="smooth")
    os.utime(path, ns=(0, 0))
    (after,) = catalogue.models()
    assert (before.network, after.network) == ("dmn_plus", "dmn_smooth")
    assert before.stamp != after.stamp


def test_checkpoints_are_found_beside_the_traces_that_are_served(write, tmp_path):
    write(tmp_path / "runs" / "babi")
    for served in (tmp_path / "runs", tmp_path / "runs" / "babi"):
        (model,) = Catalogue(folders_of(tmp_path / "none", [], [served])).models()
        assert model.id == "babi"


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: facts["plan"].update(task="copy"),
        lambda facts: facts["plan"].update(model="dnc"),
        lambda facts: facts["plan"].update(package="dnc"),
        lambda facts: facts["plan"].update(unknown=1),
        lambda facts: facts.update(plan=[]),
        lambda facts: facts.update(plan={}),
        lambda facts: facts.update(step="many"),
        lambda facts: facts["plan"].update(model_options=None),
        lambda facts: facts.pop("results"),
        lambda facts: facts.update(format="one"),
    ],
)
def test_what_is_no_such_checkpoint_is_left_out(tmp_path, change):
    facts = good()
    change(facts)
    write_facts(tmp_path / "x.safetensors", facts)
    assert read_model(tmp_path / "x.safetensors") is None
    assert Catalogue([tmp_path]).models() == []


@pytest.mark.parametrize("content", [b"", b"\xff" * 64, b"\x10\0\0\0\0\0\0\0" + b"[" * 16, b"PK\x03\x04" + b"\0" * 100])
def test_other_files_are_left_out(tmp_path, content):
    (tmp_path / "x.safetensors").write_bytes(content)
    assert Catalogue([tmp_path]).models() == []


@pytest.mark.parametrize("facts", ["", "[" * 5000, "null", "3", '"text"'])
def test_facts_that_are_no_object_are_left_out(tmp_path, facts):
    write_facts(tmp_path / "x.safetensors", facts)
    assert Catalogue([tmp_path]).models() == []


def test_results_that_are_no_figures_are_not_shown(tmp_path):
    facts = good()
    facts["results"] = {"accuracy": {"1": "<b>all</b>", "x": 3, "2": True, "3": 50}}
    write_facts(tmp_path / "x.safetensors", facts)
    assert read_model(tmp_path / "x.safetensors").accuracy() == {3: 50.0}


def test_figures_of_an_evaluation_beside_it_are_shown_when_they_come(write, tmp_path):
    catalogue = Catalogue([tmp_path])
    write(tmp_path / "mine", variant="plus")
    assert catalogue.models()[0].accuracy() == {}
    results = Results(
        Counter({1: 4}), Counter({1: 3}), {1: Counter({("garden", "garden"): 3, ("garden", "office"): 1})}
    )
    (tmp_path / "mine.babi.json").write_text(json.dumps(results.to_json()))
    assert catalogue.models()[0].accuracy() == {1: 75.0}


@pytest.mark.parametrize("figures", ["", "[]", "{}", '{"families": 3}', '{"families": {"1": 3}}', "[" * 9999])
def test_figures_that_are_none_are_not_shown(write, tmp_path, figures):
    write(tmp_path / "mine", variant="plus")
    (tmp_path / "mine.babi.json").write_text(figures)
    assert Catalogue([tmp_path]).models()[0].accuracy() == {}


def test_a_newer_format_is_listed_with_its_problem(tmp_path):
    facts = good()
    facts["format"] = 2
    write_facts(tmp_path / "x.safetensors", facts)
    (model,) = Catalogue([tmp_path]).models()
    assert "update memviz" in model.problem
    assert model.description() == model.problem


def test_names_cannot_leave_their_place_in_an_address(tmp_path):
    facts = good()
    facts["plan"]["model_options"]["variant"] = "../../runs"
    write_facts(tmp_path / "x.safetensors", facts)
    (model,) = Catalogue([tmp_path]).models()
    assert "/" not in model.network


def test_it_knows_the_format_that_is_written():
    from memviz.demos import checkpointing
    from memviz.demos.models.dmn import VARIANTS
    from memviz.demos.playground import catalogue

    assert catalogue.FORMAT == checkpointing.FORMAT
    assert catalogue.SUFFIX == checkpointing.SUFFIX
    assert set(catalogue.NETWORKS) == set(VARIANTS)
