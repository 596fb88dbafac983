"""Faults planted into a DNC that has learned to copy: its controller reacts to them, and they are still named."""

from __future__ import annotations

import pytest
import torch

import memviz
from memviz.analysis.diagnostics import examine
from memviz.demos import registry
from memviz.demos.building import make_model, make_task
from memviz.demos.train import train

pytestmark = pytest.mark.slow

RECORDS, PLANTED_FROM = 10, 5


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """The model, and the task that it solves."""
    plan = registry.get("copy").plan.but(every=200)
    task = make_task(plan)
    torch.manual_seed(0)
    model = make_model(plan, task)
    outcome = train(plan, model, task, tmp_path_factory.mktemp("runs") / "copy")
    assert outcome.solved
    return model, task


def closed_gate(x):
    return x._replace(write_gate=0.02 * x.write_gate)


def weak_lookup(x):
    modes = torch.zeros_like(x.read_modes)
    modes[..., 1] = 1
    return x._replace(read_strengths=torch.ones_like(x.read_strengths), read_modes=modes)


def one_head(x):
    first = {name: getattr(x, name)[:, :1].expand_as(getattr(x, name)) for name in ("read_keys", "read_modes")}
    first |= {name: getattr(x, name)[:, :1].expand_as(getattr(x, name)) for name in ("read_strengths", "free_gates")}
    return x._replace(**first)


def weak_writes(x):
    return x._replace(
        allocation_gate=torch.full_like(x.allocation_gate, 1e-3), write_strengths=torch.ones_like(x.write_strengths)
    )


def backwards(x):
    modes = torch.zeros_like(x.read_modes)
    modes[..., 0] = 1
    return x._replace(read_modes=modes)


def nan_key(x):
    return x._replace(read_keys=x.read_keys * torch.nan)


@pytest.mark.parametrize(
    ("fault", "diagnostic"),
    [
        (None, None),
        (closed_gate, "closed_write_gate"),
        (weak_lookup, "diffuse_reads"),
        (one_head, "identical_heads"),
        (weak_writes, "diffuse_writes"),
        (backwards, "read_mass_leak"),
        (nan_key, "not_finite"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_fault_in_the_interface_of_a_trained_model_is_named_first(learned, fault, diagnostic, tmp_path, monkeypatch):
    model, task = learned
    items = torch.randint(0, 2, (4, 8, task.width), generator=torch.Generator().manual_seed(3)).float()
    probe = task.sequences(items)
    parse = model.memory.parse
    with memviz.attach(model, tmp_path / "run", schedule=lambda step: True, batch="all") as recorder, torch.no_grad():
        for record in range(RECORDS):
            if fault is not None and record == PLANTED_FROM:
                monkeypatch.setattr(model.memory, "parse", lambda output: fault(parse(output)))
            recorder.label(target=probe.target, phases=probe.phases)
            model(probe.input)
        path = recorder.path
    trace = memviz.open(path)
    assert len(trace) == RECORDS
    found = [entry for entry in examine(trace).findings if entry.severity != "note"]
    if fault is None:
        assert found == []
        return
    assert found[0].diagnostic == diagnostic
    assert found[0].since == trace.steps[PLANTED_FROM]
    assert found[0].spread.beyond == 4
