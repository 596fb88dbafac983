"""A demo from its name to the trace: trained, played, interrupted."""

from __future__ import annotations

import json

import numpy as np
import pytest

import memviz
from memviz.demos import registry
from memviz.demos.progress import Display
from memviz.demos.running import PLAYED, run_demo
from memviz.errors import MemvizError, UnknownNameError


def test_ctrl_c_leaves_a_closed_trace(tmp_path, monkeypatch, capsys):
    def interrupt(self, done, *_):
        if done == 7:
            raise KeyboardInterrupt

    monkeypatch.setattr(Display, "step", interrupt)
    assert run_demo("copy", out=tmp_path / "run", every=5, serve=False) is None
    trace = memviz.open(tmp_path / "run")
    assert trace.steps.tolist() == [0, 5]
    assert trace.state == "closed"
    assert "stopped; what was recorded is in" in capsys.readouterr().out


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """The run of a demo that comes trained."""
    outcome = run_demo("adding", out=tmp_path_factory.mktemp("demo") / "adding", serve=False)
    return outcome, memviz.open(outcome.path)


def test_a_trained_demo_is_recorded_on_fresh_items(played):
    outcome, trace = played
    assert (outcome.solved, outcome.steps, len(trace)) == (True, 0, PLAYED)
    assert trace.state == "closed"
    assert trace.header.attributes["trained"] is True
    first = trace[0]
    assert first["model/input"].shape[0] == registry.get("adding").plan.task_options["longest"] + 2
    assert not np.array_equal(trace[1]["model/input"], trace[2]["model/input"])
    errors = [abs(record["model/output"][-1] - record["model/target"][-1]).max() for record in trace]
    assert np.mean(np.array(errors) < 0.04) > 0.8


def test_the_evaluation_lies_beside_the_trace(played):
    path = played[0].path
    figures = json.loads(path.with_name("adding.generalisation.json").read_text())
    assert figures["mistakes"] < figures["limit"]
    assert path.with_name("adding.generalisation.html").is_file()


@pytest.mark.parametrize("changes", [{"steps": 1}, {"from_scratch": True, "steps": 1}])
def test_a_changed_plan_is_trained(changes, tmp_path):
    outcome = run_demo("adding", out=tmp_path / "run", serve=False, **changes)
    assert (outcome.steps, outcome.solved) == (1, False)
    assert outcome.checkpoint.is_file()


def test_another_seed_plays_the_trained_model_on_other_items(played, tmp_path):
    outcome = run_demo("adding", out=tmp_path / "run", serve=False, seed=5)
    assert outcome.steps == 0
    one, other = played[1][1]["model/input"], memviz.open(outcome.path)[1]["model/input"]
    assert one.shape != other.shape or not np.array_equal(one, other)


def test_what_is_wrong_is_said_before_anything_is_written(tmp_path):
    with pytest.raises(UnknownNameError, match="no demo named 'copi'"):
        run_demo("copi", out=tmp_path / "run", serve=False)
    with pytest.raises(MemvizError, match="port"):
        run_demo("copy", out=tmp_path / "run", serve=False, visdom="http://localhost:port", steps=1)
    assert not list(tmp_path.iterdir())
