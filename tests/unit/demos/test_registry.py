"""The demos by name: listing needs no torch, and a misspelt name is answered with the nearest."""

from __future__ import annotations

import subprocess
import sys

import pytest

from memviz.demos import registry
from memviz.demos.building import make_task
from memviz.errors import UnknownNameError


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
