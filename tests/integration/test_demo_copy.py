"""`memviz demo copy` from training to trace: it solves, the trace shows how, and what was recorded is what happened."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.request
import warnings

import numpy as np
import pytest
import torch

import memviz
from memviz.analysis.replay import replay_error
from memviz.demos import registry, train
from memviz.demos.building import make_model, make_task
from memviz.demos.models import DNC
from memviz.demos.reference import dnc as reference
from memviz.demos.running import run_demo

ITEMS = 10


@pytest.fixture(scope="module")
def solved(tmp_path_factory):
    """The run that the README shows: seed 0."""
    outcome = run_demo("copy", seed=0, out=tmp_path_factory.mktemp("demo") / "copy", serve=False)
    return outcome, memviz.open(outcome.path)


@pytest.mark.slow
def test_copy_is_solved(solved):
    outcome, trace = solved
    assert outcome.solved
    assert trace.steps[-1] == outcome.steps
    assert len(trace) == outcome.records == outcome.steps // 10 + 1
    assert trace.dropped == 0


@pytest.mark.slow
def test_the_final_record_answers_the_probe_which_is_longer_than_anything_trained_on(solved):
    record = solved[1][-1]
    answer, target = record["model/output"][ITEMS + 1 :], record["model/target"][ITEMS + 1 :]
    assert np.array_equal(answer > 0.5, target > 0.5)
    first = solved[1][0]
    assert ((first["model/output"][ITEMS + 1 :] > 0.5) != (target > 0.5)).mean() > 0.3


@pytest.mark.slow
def test_the_final_record_shows_one_hot_writes_and_reads_in_the_order_of_writing(solved):
    record = solved[1][-1]
    writes = record["write_weights"][:, 0, 0]
    written = writes[:ITEMS].argmax(axis=1)
    assert len(set(written)) == ITEMS, "each item goes to a slot of its own"
    assert writes[:ITEMS].max(axis=1).min() > 0.95
    # Nothing that is still to be read is written over.
    assert writes[ITEMS:, written].sum(axis=0).max() < 0.3
    reads = record["read_weights"][ITEMS + 1 :, 0]
    in_order = [head for head in range(reads.shape[1]) if np.array_equal(reads[:, head].argmax(axis=1), written)]
    assert in_order, "at least one read head walks along the slots in the order of writing"
    assert reads[:, in_order[0]].max(axis=1).min() > 0.7


@pytest.mark.slow
def test_the_derived_links_lead_from_item_to_item(solved):
    record = solved[1][-1]
    written = record["write_weights"][:ITEMS, 0, 0].argmax(axis=1)
    links = record["link_matrix"][ITEMS - 1, 0, 0]
    assert links[written[1:], written[:-1]].min() > 0.9
    assert replay_error(record, "memory") <= 1e-5


def test_a_recording_holds_what_the_reference_computes(tmp_path):
    torch.manual_seed(3)
    sizes = {"nr_cells": 6, "cell_size": 5, "read_heads": 2}
    model = DNC(4, 12, 3, **sizes)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    x = torch.randn(2, 9, 4)
    state = model.initial_state(2)
    # Distinct slots: equal ones are allocated in an order that rounding decides.
    start = torch.randn_like(state.memory.memory)
    state = state._replace(memory=state.memory._replace(memory=start))

    records = {}
    for fields in ("all", "default"):
        with memviz.attach(model, tmp_path / fields, every=1, fields=fields, batch="all") as recorder:
            model(x, state)
        assert recorder.stats().errors == 0
        records[fields] = memviz.open(tmp_path / fields)[0]

    weights = {name: value.double().numpy() for name, value in model.state_dict().items()}
    expected = reference.run(x.double().numpy(), weights, slots=6, words=5, read_heads=2, memory=start.double().numpy())
    expected_output = expected.pop("output")
    for fields, record in records.items():
        for name, values in expected.items():
            np.testing.assert_allclose(record[f"memory/{name}"], values, atol=1e-5, rtol=0, err_msg=f"{fields} {name}")
        np.testing.assert_allclose(record["model/output"], expected_output, atol=1e-4, rtol=0)
    whole, small = records["all"], records["default"]
    assert set(small.stored) < set(whole.stored)
    for name in expected:
        # Derived state is what the same forward recorded, to rounding.
        np.testing.assert_allclose(small[f"memory/{name}"], whole[f"memory/{name}"], atol=1e-6, rtol=0, err_msg=name)
    assert replay_error(whole, "memory") <= 1e-6


@pytest.mark.thirdparty
def test_the_class_of_the_dnc_package_trains_in_the_same_loop(tmp_path):
    plan = registry.get("copy").plan.but(package="dnc", steps=4, every=2)
    task = make_task(plan)
    with warnings.catch_warnings():
        # The package carries an invalid escape sequence and deprecated calls.
        warnings.simplefilter("ignore")
        model = make_model(plan, task)
        outcome = train.train(plan, model, task, tmp_path / "dnc")
    trace = memviz.open(outcome.path)
    assert type(model).__module__.startswith("dnc")
    assert trace.steps.tolist() == [0, 2, 4]
    record = trace[-1]
    assert record["layer0/link_matrix"].shape == (21, 1, 1, 16, 16)
    assert record["model/output"].shape == record["model/target"].shape
    assert replay_error(record, "layer0") <= 1e-5


def test_the_command_serves_while_it_trains_and_stops_on_ctrl_c(tmp_path):
    command = [sys.executable, "-u", "-m", "memviz", "demo", "copy", "--steps", "100000", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--out", str(tmp_path / "live")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("step"):
                break
        url = re.search(r"http://\S+", "".join(lines)).group()
        with urllib.request.urlopen(url.split("#")[0] + "healthz", timeout=10) as answer:
            assert json.load(answer)["runs"] == 1
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0, rest
    assert "stopped; what was recorded is in" in rest
    trace = memviz.open(tmp_path / "live")
    assert len(trace) >= 10
    assert trace.state == "closed"
