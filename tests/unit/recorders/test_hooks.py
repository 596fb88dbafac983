"""Copies of an attached model: they work, they can be saved, and they never record."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch

from memviz.recorders.hooks import inert, is_running


@pytest.mark.parametrize("attached", ["before", "during"])
def test_a_deep_copy_does_not_record(attach, model, batch, trace_of, attached):
    recorder = attach(model)
    if attached == "before":
        model(batch)
    twin = copy.deepcopy(model)
    assert torch.equal(twin(batch), model(batch))
    twin(batch)
    model(batch)
    assert len(trace_of(recorder)) == (3 if attached == "before" else 2)


def test_an_average_of_weights_does_not_record(attach, model, batch, trace_of):
    recorder = attach(model)
    average = torch.optim.swa_utils.AveragedModel(model)
    for _ in range(2):
        model(batch)
        average.update_parameters(model)
        average(batch)
    assert len(trace_of(recorder)) == 2


def test_an_attached_model_is_saved_and_loaded(attach, model, batch, trace_of):
    recorder = attach(model)
    model(batch)
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    assert torch.equal(loaded(batch), model(batch))
    assert len(trace_of(recorder)) == 2
    assert torch.equal(loaded(batch), model(batch))


def test_a_pickled_model_carries_no_recorder(attach, model):
    attach(model)
    assert b"Recorder" not in pickle.dumps(model)
    assert b"Sampler" not in pickle.dumps(model)


def test_the_state_of_an_attached_model_is_its_own(attach, model):
    before = list(model.state_dict())
    attach(model)
    assert list(model.state_dict()) == before


def test_an_inert_hook_gives_nothing():
    assert inert(1, 2, three=3) is None


def test_a_frame_runs_while_it_is_on_the_stack():
    import sys

    frames = []

    def inner():
        frames.append(sys._getframe())
        return is_running(frames[0])

    assert inner()
    assert not is_running(frames[0])
