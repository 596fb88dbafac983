"""Models and tasks by name: each can be had, and a misspelt name is answered with the nearest."""

from __future__ import annotations

import subprocess
import sys

import pytest
from torch import nn

from memviz.demos.models import DNC, NTM, SAM, SDNC
from memviz.demos.parts import MODELS, TASKS, part
from memviz.errors import UnknownNameError


@pytest.mark.parametrize("name", MODELS)
def test_every_model_is_a_module(name):
    assert issubclass(part("model", name, MODELS), nn.Module)
    assert MODELS[name].summary


def test_names_are_those_of_the_classes():
    assert [part("model", name, MODELS) for name in ("ntm", "dnc", "sam", "sdnc")] == [NTM, DNC, SAM, SDNC]


@pytest.mark.parametrize("name", TASKS)
def test_every_task_can_be_made_without_options(name):
    task = part("task", name, TASKS)()
    assert len(task.probe()) == 1
    assert task.measure
    assert TASKS[name].summary


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match=r"no task named 'recal'\. Did you mean 'recall'"):
        part("task", "recal", TASKS)


def test_listing_them_loads_no_torch():
    code = "import sys; from memviz.demos.parts import MODELS, TASKS; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
