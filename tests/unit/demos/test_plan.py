"""Plans: how they change, what a curriculum makes of a step, and that JSON keeps them."""

from __future__ import annotations

import json

import pytest

from memviz.demos.plan import Plan
from memviz.errors import OptionError


def test_changes_add_to_options_and_none_changes_nothing():
    plan = Plan("copy", model_options={"nr_cells": 4, "cell_size": 3}, steps=9)
    changed = plan.but(steps=None, seed=2, model_options={"nr_cells": 8}, task_options={"width": 2})
    assert changed.steps == 9
    assert changed.seed == 2
    assert changed.model_options == {"nr_cells": 8, "cell_size": 3}
    assert changed.task_options == {"width": 2}
    assert plan.model_options["nr_cells"] == 4


def test_a_curriculum_raises_the_level_to_one():
    plan = Plan("copy", curriculum=10)
    assert [plan.level(step) for step in (5, 10, 99)] == [0.5, 1, 1]
    assert 0 < plan.level(0) < 0.01
    assert Plan("copy").level(0) == 1


def test_the_learning_rate_falls_to_a_twentieth_and_stays():
    plan = Plan("copy", learning_rate=0.2, decay=10)
    assert [plan.rate(step) for step in (0, 10, 99)] == pytest.approx([0.2, 0.01, 0.01])
    assert plan.rate(5) == pytest.approx(0.2 * 0.525)
    assert Plan("copy", learning_rate=0.2).rate(99) == 0.2


def test_json_keeps_a_plan():
    plan = Plan("copy", model_options={"rnn_type": "gru"}, task_options={"width": 2}, package="dnc", seed=3)
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
    assert plan.attributes()["plan"] == plan.to_json()
    with pytest.raises(OptionError, match=r"no plan of a training run: .*stepz"):
        Plan.from_json({"task": "copy", "stepz": 3})
