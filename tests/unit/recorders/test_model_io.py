from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import memviz
from memviz.recorders.model_io import is_batch_first, model_input, model_output, sequence


def test_only_sequences_of_numbers_are_taken():
    assert sequence(torch.rand(2, 3, 4)) is not None
    assert sequence(np.zeros((2, 3, 4))).dtype == torch.float64
    for other in (torch.rand(2, 3), torch.zeros(2, 3, 4, dtype=torch.int64), "text", None, [1.0]):
        assert sequence(other) is None


def test_the_first_argument_and_the_first_result():
    x, y = torch.rand(2, 3, 4), torch.rand(2, 3, 4)
    assert model_input((x, y), {}) is x
    assert model_input((), {"input": x, "hidden": y}) is x
    assert model_input((), {}) is None
    assert model_output((y, x)) is y
    assert model_output(y) is y
    assert model_output(()) is None
    assert model_output({"y": y}) is None


class Says(nn.Module):
    def __init__(self, batch_first):
        super().__init__()
        if batch_first is not None:
            self.batch_first = batch_first

    def forward(self, x, tap_axis=0):
        memviz.tap("usage", x.mean(tap_axis))
        return x


@pytest.mark.parametrize("value", [True, False, None])
def test_the_model_says_which_axis_is_the_batch_through_wrappers(value):
    assert is_batch_first(Says(value), []) is value
    assert is_batch_first(nn.DataParallel(Says(value)), []) is value


@pytest.mark.parametrize(
    ("says", "tap_axis", "time_first"),
    [(True, 1, False), (False, 0, True), (None, 1, False), (None, 0, True)],
    ids=["says batch first", "says time first", "memory has the first axis", "memory has the second axis"],
)
def test_the_batch_is_found(attach, trace_of, says, tap_axis, time_first):
    recorder = attach(Says(says), batch="all")
    x = torch.rand(2, 5, 3)
    recorder._model(x, tap_axis)
    record = trace_of(recorder)[0]
    expected = x if time_first else x.transpose(0, 1)
    assert np.array_equal(record["model/input"], expected.numpy())
    assert np.array_equal(record["model/output"], expected.numpy())


def test_an_output_label_replaces_the_output(attach, trace_of):
    recorder = attach(Says(True), batch="all")
    x = torch.rand(2, 5, 3)
    recorder.label(output=x + 1)
    recorder._model(x, 1)
    assert np.array_equal(trace_of(recorder)[0]["model/output"], (x + 1).transpose(0, 1).numpy())
