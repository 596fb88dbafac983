"""Writes removed one by one: the same as single ablations, kept beside the trace, by command, told by a route."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import memviz
from memviz.analysis import removals as sidecar_room
from memviz.analysis import sidecar
from memviz.analysis.lineage.table import lineage_table
from memviz.cli import main
from memviz.demos.models import DNC
from memviz.errors import PlaceError, RecorderError
from memviz.recorders.interventions import RemoveWrite
from memviz.recorders.removals import removals

TIMES, BATCH = 7, 2


def made():
    """The model of a user, found by `--model`."""
    torch.manual_seed(0)
    model = DNC(4, 12, nr_cells=6, cell_size=4, read_heads=2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    return model


@pytest.fixture
def run(tmp_path):
    model = made()
    x = torch.randn(BATCH, TIMES, 4, generator=torch.Generator().manual_seed(5))
    target = torch.randn(BATCH, TIMES, 4, generator=torch.Generator().manual_seed(6))
    target[:, :3] = float("nan")
    with memviz.attach(model, tmp_path / "run", every=1, batch="all") as recorder, torch.no_grad():
        recorder.label(target=target)
        model(x)
    return model, memviz.open(tmp_path / "run")


def test_each_removal_is_an_ablation_with_its_share(run):
    model, trace = run
    record = trace[-1]
    found = removals(model, record)
    assert len(found.removals) == len({one.time for one in found.removals}) > 2
    target = record["model/target"].astype(float)
    known = np.isfinite(target)
    tables = [np.abs(lineage_table(record, None, item).shares[:, :, 1:]).max(axis=(0, 1)) for item in range(BATCH)]
    for one in found.removals:
        alone = memviz.ablate(model, record, RemoveWrite(one.time))
        np.testing.assert_allclose(one.effect, alone.effect.T, atol=1e-7)
        np.testing.assert_allclose(one.share, [table[one.time] for table in tables], atol=1e-9)
        assert one.loss == pytest.approx(((alone.output - target)[known] ** 2).mean())
    assert found.loss == pytest.approx(((record["model/output"] - target)[known] ** 2).mean(), rel=1e-5)
    largest = [one.effect.max() for one in found.removals]
    assert largest == sorted(largest, reverse=True)
    assert largest[0] > 0
    assert f"t={found.removals[0].time}" in found.text()


def test_the_writes_are_those_asked_for_or_the_strongest(run):
    model, trace = run
    assert {one.time for one in removals(model, trace[-1], writes=[1, -1]).removals} == {1, TIMES - 1}
    best = np.max([lineage_table(trace[-1], None, item).shares[:, :, 1:].max(axis=(0, 1)) for item in range(BATCH)], 0)
    (one,) = removals(model, trace[-1], most=1).removals
    assert best[one.time] == best.max()
    with pytest.raises(PlaceError, match="no write at 99"):
        removals(model, trace[-1], writes=[99])


def test_another_model_is_refused(run):
    model, trace = run
    with torch.no_grad():
        next(model.parameters()).add_(1)
    with pytest.raises(RecorderError, match="not the one that was recorded"):
        removals(model, trace[-1])


def test_they_are_kept_by_record_and_memory_and_survive_rubbish(run):
    model, trace = run
    found = removals(model, trace[-1], most=2)
    assert sidecar_room.kept(trace, 0, found.memory) is None
    assert sidecar_room.keep(trace, found)
    known = sidecar_room.kept(trace, 0, found.memory)
    assert known == json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert sidecar_room.kept(trace, 0, "other") is None
    content = dict(sidecar.load(trace, sidecar_room.FILE))
    for rubbish in ({"time": 1}, {**known["removals"][0], "effect": ["x"]}, {**known["removals"][0], "time": 10**6}, 3):
        key = f"0/{found.memory}"
        sidecar.save(trace, sidecar_room.FILE, {**content, key: {**known, "removals": [rubbish]}})
        assert sidecar_room.kept(trace, 0, found.memory) is None


def call(*arguments):
    return CliRunner(env={"COLUMNS": "200"}).invoke(main, ["ablate", *map(str, arguments)])


@pytest.fixture
def command(run, tmp_path, monkeypatch):
    """`memviz ablate` on the run, with a checkpoint of its model and a module that makes it."""
    model, trace = run
    (tmp_path / "their_model.py").write_text(
        "import torch\n"
        "from memviz.demos.models import DNC\n"
        "def make(): return DNC(4, 12, nr_cells=6, cell_size=4, read_heads=2)\n"
        "def other(): return torch.nn.Linear(1, 1)\n"
        "def wrong(): return 3\n"
    )
    torch.save({"model": model.state_dict(), "step": 0}, tmp_path / "weights.pt")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return lambda *more, maker="make": call(
        trace.path, "--checkpoint", "weights.pt", "--model", f"their_model:{maker}", *more
    )


def test_the_command_runs_a_model_of_ones_own_and_keeps_the_result(run, command):
    model, trace = run
    result = command("--top", 3, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told == json.loads(json.dumps(removals(model, trace[-1], most=3, source=told["source"]).to_json()))
    assert sidecar_room.kept(trace, 0, told["memory"]) == told
    assert "kept beside the trace" in result.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--freeze", "write_gate=0"], "write_gate held at 0.0"),
        (["--freeze", "read_modes=0,1,0"], "read_modes held at (0.0, 1.0, 0.0)"),
        (["--clear", "2@4"], "slot 2 cleared before t=4"),
        (["--sharpen", "3"], "links sharpened by the power 3"),
        (["--deallocate"], "freed slots cleared"),
    ],
)
def test_the_command_makes_other_changes(command, options, said):
    result = command(*options)
    assert result.exit_code == 0, result.output
    assert said in result.output
    assert json.loads(command(*options, "--json").stdout)["largest"] > 0


@pytest.mark.parametrize(
    ("options", "maker", "said"),
    [
        (["--freeze", "write_gate"], "make", "a field and a number"),
        (["--clear", "2"], "make", "a slot and a time"),
        (["--sharpen", "2", "--deallocate"], "make", "one change at a time"),
        (["--deallocate", "--top", "3"], "make", "one change at a time"),
        ([], "other", "does not fit the model"),
        ([], "wrong", "should make a torch.nn.Module"),
        ([], "absent", "cannot be found"),
    ],
)
def test_the_command_says_what_is_wrong(command, options, maker, said):
    result = command(*options, maker=maker)
    assert result.exit_code != 0
    assert said in result.output
    assert "Traceback" not in result.output


def test_without_a_checkpoint_the_command_says_where_one_is_expected(run):
    result = call(run[1].path)
    assert result.exit_code == 1
    assert "run.safetensors" in result.output


def test_a_demo_is_ablated_from_the_checkpoint_beside_its_trace(tmp_path):
    from memviz.demos.running import run_demo

    outcome = run_demo("copy", steps=2, every=1, out=tmp_path / "copy", serve=False)
    result = call(outcome.path, "--top", 2)
    assert result.exit_code == 0, result.output
    assert "checkpoint copy.safetensors of step 2" in result.output


def test_the_route_tells_what_is_kept_and_how_to_get_it(run):
    from memviz.dashboards.app import create_app
    from memviz.dashboards.guard import make_guard
    from memviz.dashboards.source import Source

    model, trace = run
    client = create_app(Source([trace.path.parent]), make_guard("127.0.0.1")).server.test_client()

    def ask(query, status=200):
        answer = client.get(f"/api/v1/runs/run/ablation?{query}", headers={"Host": "localhost:8321"})
        assert answer.status_code == status, answer.text
        return answer.get_json()

    found = removals(model, trace[-1], most=2)
    query = f"record=0&memory={found.memory}&item=1"
    assert ask(query) == {"removals": None, "command": f"memviz ablate {trace.path}@0"}
    sidecar_room.keep(trace, found)
    told = ask(query)
    for one, known in zip(told["removals"], found.removals, strict=True):
        assert one["time"] == known.time
        np.testing.assert_allclose(one["effect"], known.effect[1], rtol=1e-3)
        assert one["largest"] == pytest.approx(known.effect[1].max(), rel=1e-3)
    assert told["source"] == "the live model"
    ask("record=5&memory=x", 404)
