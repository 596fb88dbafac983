"""Whatever happens to a recorder, the training goes on as if it were not there, and the trace says what was lost."""

from __future__ import annotations

import ctypes
import errno
import os
import threading
import warnings

import pytest
import torch
from torch import nn

import memviz
from memviz.recorders import OnNaN
from memviz.recorders.adapters.base import MemoryPlan
from memviz.recorders.probes import MethodProbe, OutputProbe
from memviz.trace import writer as trace_writer

STEPS = 24
ACT = 8
"""The step at which something happens."""


class Memory(nn.Module):
    def __init__(self, width=3, slots=4):
        super().__init__()
        self.key = nn.Linear(width, width)
        self.slots = slots

    def write(self, memory, weights, word):
        return memory + weights.unsqueeze(2) * word.unsqueeze(1)

    def forward(self, x, memory):
        weights = torch.softmax(torch.einsum("bnw,bw->bn", memory, self.key(x)), 1)
        memory = self.write(memory, weights, x)
        return torch.einsum("bn,bnw->bw", weights, memory), memory, weights


class Model(nn.Module):
    """Dropout makes the random numbers part of what must not change."""

    batch_first = True

    def __init__(self):
        super().__init__()
        self.cell = Memory()
        self.drop = nn.Dropout(0.2)
        self.act = lambda time: None

    def forward(self, x):
        memory, outputs = torch.ones(len(x), self.cell.slots, x.shape[2]), []
        for time_ in range(x.shape[1]):
            self.act(time_)
            word, memory, _ = self.cell(self.drop(x[:, time_]), memory)
            outputs.append(word)
        return torch.stack(outputs, 1)


class Adapter:
    """Knows Memory; `pick` is where a probe may be made to fail."""

    name = "chaos"

    def __init__(self, pick=lambda out: out[1]):
        self.pick = pick

    def matches(self, module):
        return isinstance(module, Memory)

    def plan(self, module, path):
        probes = [
            OutputProbe(field="memory", pick=self.pick),
            OutputProbe(field="write_weights", pick=lambda out: out[2], axes="batch slot"),
            MethodProbe(field="write_vectors", method="write", argument="word", axes="batch word"),
        ]
        return [MemoryPlan(path, module, probes)]


def train(attach=None, act=lambda step, model, recorder: None):
    """Train some steps; returns the loss curve, and the recorder that saw it."""
    torch.manual_seed(0)
    model = Model()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    recorder = attach(model) if attach else None
    losses = []
    for step in range(STEPS):
        if recorder:
            act(step, model, recorder)
        x = torch.rand(2, 4, 3)
        try:
            output = model(x)
        except KeyboardInterrupt:
            output = model(x)
        loss = (output - x.flip(1)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if recorder:
            recorder.log(loss=loss)
    return losses, recorder


@pytest.fixture(scope="module")
def plain():
    """The loss curve of an unattached run."""
    return train()[0]


@pytest.fixture
def chaos(tmp_path, plain):
    """`chaos(act, **options)`: train recorded, check the loss curve, return the trace."""

    def run(act=lambda step, model, recorder: None, pick=lambda out: out[1], end=lambda: None, **options):
        options = {"every": 1, "adapter": Adapter(pick), "grads": True, "last": 3, "on": OnNaN(), **options}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # each of these says what happens; the trace says it too
            losses, recorder = train(lambda model: memviz.attach(model, tmp_path / "run", **options), act)
            end()
            recorder.close()
        assert losses == plain
        trace = memviz.open(recorder.path)
        assert not recorder.model._forward_hooks
        return trace, recorder

    return run


def messages(trace, kind):
    return [event.message for event in trace.events if event.kind == kind]


def test_nothing_happens(chaos):
    trace, _ = chaos(policy="block")
    assert len(trace) == STEPS
    assert {event.kind for event in trace.events} == {"opened", "closed"}


def test_a_probe_raises_every_time(chaos):
    def pick(output):
        raise LookupError("no such place")

    trace, recorder = chaos(pick=pick, policy="block")
    assert "LookupError: no such place" in messages(trace, "error")[0]
    assert "recording is switched off after 10 errors" in messages(trace, "stopped")[0]
    assert recorder.stats().errors <= 10 + 4, "the forward that was going on is the last one"
    assert 0 < len(trace) < STEPS


def test_a_probe_raises_once(chaos):
    calls = []

    def pick(output):
        calls.append(None)
        if len(calls) == 4 * ACT:
            raise LookupError("once")
        return output[1]

    trace, _ = chaos(pick=pick, policy="block")
    assert len(trace) == STEPS
    short = [step for step, record in zip(trace.steps, trace, strict=True) if "cell/memory" not in record.stored]
    assert short == [ACT - 1]


def test_a_trigger_raises(chaos):
    class Fails:
        def check(self, step):
            raise ArithmeticError("cannot say")

    trace, _ = chaos(on=Fails(), policy="block")
    assert any("the trigger Fails: ArithmeticError" in text for text in messages(trace, "error"))


def test_the_writer_thread_is_killed(chaos):
    def act(step, model, recorder):
        if step == ACT:
            recorder.flush()
            thread = recorder._sink._thread
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit))
        if step == ACT + 4:
            recorder._sink._thread.join(60)
            assert recorder.flush(60), "nobody waits for a thread that is gone"

    trace, recorder = chaos(act)
    assert ACT - 1 <= len(trace) <= ACT + 1
    assert "the thread that writes was ended by SystemExit" in messages(trace, "stopped")[0]
    assert trace.state == "closed"
    assert recorder.stats().stopped


def test_the_disk_is_full(chaos, monkeypatch):
    write = trace_writer.write_live

    def act(step, model, recorder):
        if step == ACT:
            recorder.flush()
            monkeypatch.setattr(trace_writer, "write_live", full)

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    trace, _ = chaos(act)
    monkeypatch.setattr(trace_writer, "write_live", write)
    # With grads a step is written once its optimizer has stepped, so all steps before are on disk.
    assert trace.steps.tolist() == list(range(ACT))
    assert "No space left on device" in messages(trace, "stopped")[0]


def test_the_disk_stalls(chaos, monkeypatch):
    release, append = threading.Event(), trace_writer.TraceWriter.append

    def stalled(self, record):
        release.wait(250)
        return append(self, record)

    def act(step, model, recorder):
        if step == ACT:
            recorder.flush()
            monkeypatch.setattr(trace_writer.TraceWriter, "append", stalled)

    waiting = []

    def end():
        waiting.append(release.is_set())
        release.set()

    trace, recorder = chaos(act, end=end)
    assert waiting == [False], "training was over while the disk still stood still"
    gaps = [event for event in trace.events if event.kind == "gap"]
    assert sum(event.data["dropped"] for event in gaps) == trace.dropped == recorder.stats().dropped > 0
    assert len(trace) + trace.dropped == STEPS


def test_the_process_forks(chaos):
    def act(step, model, recorder):
        if step == ACT:
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    model(torch.rand(2, 4, 3))
                    recorder.log(loss=1.0)
                    recorder.close()
                    status = 0
                finally:
                    os._exit(status)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    trace, _ = chaos(act, policy="block")
    assert trace.steps.tolist() == list(range(STEPS))
    assert trace.state == "closed"


def test_a_forward_is_interrupted(chaos, plain):
    """The loop tries the same forward again; its random numbers are those that an interrupted one did not use."""

    def act(step, model, recorder):
        def interrupt(time_):
            if step == ACT and time_ == 0:
                model.act = lambda time_: None
                raise KeyboardInterrupt

        model.act = interrupt

    trace, _ = chaos(act, policy="block")
    steps = trace.steps.tolist()
    assert steps == sorted(steps)
    assert set(range(STEPS)) - set(steps) <= {ACT}


def test_the_trace_fills_up(chaos):
    trace, _ = chaos(limit=20_000, policy="block")
    assert "half of the room" in messages(trace, "thinned")[0]
    assert 0 < len(trace) < STEPS
