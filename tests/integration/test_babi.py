"""Dynamic memory networks on bAbI from training to findings: task 1 is learned, the networks that come along answer."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import numpy as np
import pytest
import torch

import memviz
from memviz.demos import registry
from memviz.demos.building import make_model, make_task
from memviz.demos.checkpointing import load_checkpoint, load_weights
from memviz.demos.optimizers import make_optimizer
from memviz.demos.plan import Plan
from memviz.demos.running import run_demo
from memviz.demos.tasks.babi.examine import asked_stories
from memviz.demos.tasks.babi.generate import generate
from memviz.demos.tasks.babi.recording import record_stories
from memviz.demos.tasks.babi.results import measure

PUBLISHED = Path(__file__).parents[3] / "shared" / "data" / "babi" / "babi_all_shuffles.tar.gz"
needs_published = pytest.mark.skipif(not PUBLISHED.exists(), reason="needs ../shared/data/babi")
SHIPPED = [name for name in registry.shipped() if name.startswith("babi-")]


def shipped(name):
    """A network that comes with memviz, and its task."""
    loaded = load_checkpoint(registry.trained_file(name))
    task = make_task(loaded.plan)
    model = make_model(loaded.plan, task)
    load_weights(model, loaded)
    return model.eval(), task, loaded


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """`memviz demo babi`, as documented."""
    out = tmp_path_factory.mktemp("demo") / "babi"
    return run_demo("babi", out=out, serve=False)


@pytest.mark.slow
def test_task_one_is_learned(learned):
    assert learned.solved
    loaded = load_checkpoint(learned.checkpoint)
    task = make_task(loaded.plan)
    model = make_model(loaded.plan, task)
    load_weights(model, loaded)
    for seed in (11, 12):
        assert measure(model, task.vocabulary, generate([1], 500, seed)).mean >= 99


@pytest.mark.slow
def test_the_trace_shows_the_fact_light_up(learned):
    trace = memviz.open(learned.path)
    (support,) = trace[-1].labels["supporting"]
    assert all(record.labels["supporting"] == [support] for record in trace), "always the same story"
    kept = [record["effective_attention"].max(axis=0)[0] for record in (trace[0], trace[-1])]
    assert kept[0][support] < 0.3
    assert kept[1].argmax() == support
    assert kept[1][support] > 0.9
    assert trace[-1].labels["right"]


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["basic", "smooth", "batch"])
def test_the_recurrent_variants_learn_task_one_from_supporting_facts(variant):
    plan = Plan(
        "babi",
        {"supervision": 1.0},
        model="dmn",
        model_options={"variant": variant, "hops": 2, "dim": 32, "word_size": 32},
        learning_rate=5e-3,
        clip=5.0,
    )
    task = make_task(plan)
    torch.manual_seed(0)
    model = make_model(plan, task)
    optimizer, data = make_optimizer(plan, model.parameters()), torch.Generator().manual_seed(0)
    recent = deque(maxlen=20)
    for _ in range(400):
        batch = task.batch(plan.batch_size, data)
        answer = task.answer(model, batch)
        optimizer.zero_grad()
        task.loss(answer, batch).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), plan.clip)
        optimizer.step()
        recent.append(task.mistakes(answer, batch))
        if len(recent) == recent.maxlen and max(recent) < 0.03:
            break
    assert measure(model, task.vocabulary, generate([1], 300, 13)).mean >= 97


@needs_published
@pytest.mark.slow
def test_task_one_of_the_published_stories_is_learned_without_supporting_facts(tmp_path):
    outcome = run_demo(
        "babi", out=tmp_path / "run", serve=False, task_options={"babi": str(PUBLISHED)}, steps=200, every=1000
    )
    loaded = load_checkpoint(outcome.checkpoint)
    task = make_task(loaded.plan)
    model = make_model(loaded.plan, task)
    load_weights(model, loaded)
    results = measure(model, task.vocabulary, task.part("test"))
    assert results.asked == {1: 1000}
    assert results.mean >= 95


def test_the_networks_of_the_first_tasks_and_one_for_all_come_along():
    assert SHIPPED == ["babi-1", "babi-2", "babi-3", "babi-joint"]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_network_that_comes_along_is_as_good_as_it_says(name):
    model, task, loaded = shipped(name)
    said = loaded.results["accuracy"]
    assert sorted(map(int, said)) == sorted(task.families)
    found = measure(model, task.vocabulary, generate(task.families, 60, seed=77))
    # 60 questions of a family are right or wrong by chance, those of all twenty less so.
    assert found.mean == pytest.approx(np.mean(list(said.values())), abs=5)
    assert load_checkpoint(registry.trained_file(name)).plan.task_options.get("babi", "") == ""


@needs_published
def test_a_network_that_learned_from_made_stories_answers_the_published_ones():
    model, task, _ = shipped("babi-2")
    stories = asked_stories(task, str(PUBLISHED), seed=0)
    assert len(stories) == 1000
    assert measure(model, task.vocabulary, stories).mean >= 95


def found_in(model, task, tmp_path):
    """What memviz finds in a network on stories of task 2, by name of the check."""
    path = record_stories(model, task.vocabulary, generate([2], 8, 5), tmp_path / "stories")
    return {finding.diagnostic for finding in memviz.diagnose(memviz.open(path))}


@pytest.fixture
def second():
    return shipped("babi-2")[:2]


def test_nothing_is_found_in_a_trained_network(second, tmp_path):
    assert found_in(*second, tmp_path) == set()


def test_gates_that_do_not_look_are_found(second, tmp_path):
    """All facts get the same gate in every hop."""
    with torch.no_grad():
        second[0].gates.second.weight.zero_()
    assert {"missed_supporting_facts", "redundant_hops"} <= found_in(*second, tmp_path)


def test_a_memory_that_never_reaches_the_gates_is_found(second, tmp_path):
    """Every hop asks with the question alone, and finds the first fact again."""
    model, task = second
    features = model.gates.features
    model.gates.features = lambda facts, memory, question: features(facts, question, question)
    assert {"missed_supporting_facts", "redundant_hops"} <= found_in(model, task, tmp_path)


@pytest.mark.parametrize(("bias", "check"), [(20, "eclipsed_fact"), (-20, "leftover_episode")])
def test_gates_that_stay_open_or_shut_are_found(bias, check, second, tmp_path):
    model, task = second
    model.gates.normalise = "none"
    with torch.no_grad():
        model.gates.second.bias += bias
    assert check in found_in(model, task, tmp_path)
