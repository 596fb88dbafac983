"""The end of a recorder: by close, by the end of the program, in a forked child."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest
import torch

import memviz
from memviz.errors import MissingFieldError
from memviz.recorders import lifecycle


def script(tmp_path, text):
    file = tmp_path / "script.py"
    file.write_text(textwrap.dedent(text))
    return subprocess.run([sys.executable, file], cwd=tmp_path, capture_output=True, text=True, timeout=120)


TAPPING = """
    import os, sys
    import torch
    import memviz
    torch.set_num_threads(1)

    class Model(torch.nn.Module):
        def forward(self, x):
            memviz.tap("usage", x)
            return x

    model = Model()
    memviz.attach(model, "run", every=1)
    for _ in range(3):
        model(torch.rand(2, 4))
"""


def test_the_end_of_the_program_closes(tmp_path):
    done = script(tmp_path, TAPPING)
    assert done.returncode == 0, done.stderr
    trace = memviz.open(tmp_path / "run")
    assert trace.state == "closed"
    assert len(trace) == 3


def test_an_exception_that_ends_the_program_closes(tmp_path):
    done = script(tmp_path, TAPPING + "\n    raise SystemError('the end')\n")
    assert "the end" in done.stderr
    trace = memviz.open(tmp_path / "run")
    assert trace.state == "closed"
    assert len(trace) == 3


def test_a_forked_child_is_silent_and_leaves_the_trace_alone(attach, model, batch, trace_of):
    recorder = attach(model)
    model(batch)
    recorder.log(loss=1.0)
    recorder.flush()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            model(batch)
            recorder.log(loss=2.0)
            recorder.label(note="child")
            recorder.flush()
            recorder.close()
            status = 0 if "forked" in recorder.stats().stopped else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    model(batch)
    trace = trace_of(recorder)
    assert len(trace) == 2
    assert trace.scalars["loss"].values.tolist() == [1.0]
    assert trace.state == "closed"


def test_a_fork_within_a_sampled_forward_does_not_hang(attach, model, batch):
    statuses = []

    def fork(*args):
        child = os.fork()
        if child:
            statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            return
        raise SystemExit  # caught below, in the child

    handle = model.out.register_forward_hook(fork)
    recorder = attach(model)
    try:
        model(batch)
    except SystemExit:
        handle.remove()
        try:
            model(batch)
            recorder.close()
        finally:
            os._exit(7)
    assert statuses == [7] * 5


def test_close_is_safe_twice_and_leaves_nothing_open(attach, model, batch):
    recorder = attach(model)
    assert recorder in lifecycle._open
    model(batch)
    recorder.close()
    recorder.close()
    assert recorder not in lifecycle._open
    assert not model._forward_hooks
    assert not model._forward_pre_hooks
    recorder.log(loss=1.0)
    assert recorder.flush()


def test_a_context_manager_closes(attach, model, batch):
    with attach(model) as recorder:
        model(batch)
    assert memviz.open(recorder.path).state == "closed"


def test_a_context_manager_lets_the_error_of_its_body_through(attach, model):
    with pytest.raises(ZeroDivisionError), attach(model):
        raise ZeroDivisionError


def test_strict_close_tells_that_nothing_was_recorded(tmp_path, attach):
    class Skips(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.active = False

        def forward(self, x):
            if self.active:
                memviz.tap("usage", x)
            return x

    recorder = memviz.attach(Skips(), tmp_path / "strict", every=1)
    with pytest.warns(UserWarning, match="no memory to record"):
        recorder._model(torch.rand(2, 3))
    with pytest.raises(MissingFieldError, match="not one record"):
        recorder.close()
    recorder.close()


def test_a_recorder_that_saw_no_forward_closes_quietly(attach, model):
    attach(model).close()


def test_detach_stops_recording_but_not_logging(attach, model, batch, trace_of):
    recorder = attach(model)
    model(batch)
    recorder.detach()
    model(batch)
    recorder.log(step=7, loss=1.0)
    trace = trace_of(recorder)
    assert len(trace) == 1
    assert trace.scalars["loss"].steps.tolist() == [7]
