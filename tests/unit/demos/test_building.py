"""Making models and tasks by name: every model fits every task of sequences, and bad options give one line."""

from __future__ import annotations

import pytest
import torch

from memviz.demos.building import make_model, make_task
from memviz.demos.parts import MODELS, TASKS
from memviz.demos.plan import Plan
from memviz.demos.tasks.sequence import SequenceTask
from memviz.errors import MemvizError, OptionError, UnknownNameError

SMALL = {"hidden_size": 5, "nr_cells": 6, "cell_size": 4}
SEQUENCES = [name for name in TASKS if issubclass(TASKS[name].load(), SequenceTask)]
MODELS_OF_SEQUENCES = [name for name in MODELS if not name.startswith("dmn")]


@pytest.mark.parametrize("model", MODELS_OF_SEQUENCES)
@pytest.mark.parametrize("task", SEQUENCES)
def test_every_model_answers_every_task_of_sequences(model, task):
    options = {"hidden_size": 5} if model == "lstm" else SMALL
    lengths = {"length": 8} if task == "ngrams" else {"longest": 4}
    plan = Plan(task, model=model, model_options=options, task_options=lengths)
    made = make_task(plan)
    batch = made.batch(2, torch.Generator().manual_seed(0))
    answer = made.answer(make_model(plan, made), batch)
    assert answer.shape == batch.target.shape
    assert torch.isfinite(made.loss(answer, batch))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"model_options": {"nr_cells": 0}}, r"nr_cells must be a whole number >= 1, not 0"),
        ({"model_options": {"hidden_size": -3}}, r"hidden_size must be a whole number >= 1, not -3"),
        (
            {"model_options": {"rnn_type": "ltsm"}},
            r"rnn_type must be lstm, gru or rnn, not 'ltsm'; did you mean 'lstm'\?",
        ),
        ({"model_options": {"nr_cell": 9}}, r"no option of the model dnc named 'nr_cell'\. Did you mean 'nr_cells'\?"),
        ({"task_options": {"width": 0}}, r"width must be a whole number >= 1, not 0"),
        ({"task_options": {"longes": 9}}, r"no option of the task copy named 'longes'\. Did you mean 'longest'\?"),
        ({"model": "dnk"}, r"no model named 'dnk'\. Did you mean 'dnc'\?"),
        ({"task": "copi"}, r"no task named 'copi'\. Did you mean 'copy'\?"),
        ({"package": "dncc"}, r"'dncc'.*Did you mean 'dnc'\?"),
        ({"optimizer": "adm"}, r"optimizer must be adam, rmsprop or graves, not 'adm'; did you mean 'adam'\?"),
        ({"steps": 0}, r"steps must be a whole number >= 1, not 0"),
        ({"learning_rate": -1.0}, r"learning_rate must be a number >= 0, not -1"),
    ],
)
def test_what_is_wrong_with_a_plan_is_said_in_one_line(changes, line):
    plan = Plan("copy").but(**changes)
    with pytest.raises((OptionError, UnknownNameError), match=line) as caught:
        make_model(plan, make_task(plan))
    assert isinstance(caught.value, MemvizError)
    assert "\n" not in str(caught.value)


@pytest.mark.thirdparty
@pytest.mark.parametrize("option", [{"rnn_type": "ltsm"}, {"nr_cells": 0}])
def test_options_that_a_package_chokes_on_are_one_line_too(option):
    plan = Plan("copy", package="dnc", model_options=option)
    with pytest.raises(OptionError, match=f"{next(iter(option))} must be"):
        make_model(plan, make_task(plan))
