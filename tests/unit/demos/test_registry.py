"""The demos by name: listing needs no torch, and a misspelt name is answered with the nearest."""

from __future__ import annotations

import subprocess
import sys

import pytest

from memviz.demos import registry
from memviz.demos.building import make_model, make_task
from memviz.demos.checkpointing import load_checkpoint, load_weights
from memviz.demos.evaluation import evaluate
from memviz.demos.parts import TASKS
from memviz.errors import UnknownNameError

TRAINED = [name for name in registry.names() if registry.get(name).trained]


@pytest.mark.parametrize("name", registry.names())
def test_every_demo_has_what_it_takes(name):
    demo = registry.get(name)
    assert demo.name == name
    assert demo.summary
    assert demo.expected
    task = make_task(demo.plan)
    assert len(task.probe()) == 1


def test_an_unknown_demo_names_the_nearest():
    with pytest.raises(UnknownNameError, match=r"no demo named 'copi'\. Did you mean 'copy'"):
        registry.get("copi")


def test_listing_the_demos_loads_no_torch():
    code = "import sys; from memviz.demos import registry; registry.names(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_task_has_a_demo():
    assert {registry.get(name).plan.task for name in registry.names()} == set(TASKS)


@pytest.mark.parametrize("name", TRAINED)
def test_a_trained_model_comes_with_memviz_and_solves_its_task(name):
    file = registry.trained_file(name)
    assert file.stat().st_size < 300_000
    assert file.with_suffix(".json").is_file()
    plan, loaded = registry.get(name).plan, load_checkpoint(file)
    assert loaded.plan == plan, "the demo would train instead of playing it"
    task = make_task(plan)
    model = make_model(plan, task)
    load_weights(model, loaded)
    found = evaluate(plan, model, task, lengths=(), batches=4)
    # Few items leave some chance: twice the limit is far from what an untrained model does.
    assert found.mistakes < 2 * task.solved
    assert loaded.results["mistakes"] < task.solved


def test_the_nine_configurations_of_reverse_pair_three_memories_with_three_kinds_of_data():
    configs = registry.get("reverse").configs
    assert list(configs) == [f"m{m}d{d}" for m in (1, 2, 3) for d in (1, 2, 3)]
    plans = {name: registry.planned("reverse", name) for name in configs}
    slots = {name: plan.model_options["nr_cells"] for name, plan in plans.items()}
    longest = {name: make_task(plan).longest for name, plan in plans.items()}
    assert (slots["m1d3"], longest["m1d3"]) == (8, 12)
    assert len({(slots[name], longest[name]) for name in configs}) == 9
    assert plans["m2d2"].model_options == registry.get("reverse").plan.model_options


def test_another_model_keeps_the_options_that_it_has():
    plan = registry.planned("copy", model="lstm")
    assert (plan.model, dict(plan.model_options)) == ("lstm", {"hidden_size": 64})
    assert registry.planned("copy", model="ntm").model_options["nr_cells"] == 16
