"""The queue and its thread: what is written, what is dropped and said, what ends recording and never training."""

from __future__ import annotations

import errno
import threading
import time

import numpy as np
import pytest
import torch

import memviz
from memviz.recorders.capture import Channel, MemoryInfo
from memviz.recorders.faults import Faults, RecorderWarning
from memviz.recorders.sink import Draft, Sink
from memviz.trace.schema import Event, TraceHeader
from memviz.trace.writer import TraceWriter


class Held:
    """A copy that arrives when the test lets it."""

    def __init__(self, arrays, gate=None):
        self.arrays = arrays
        self.gate = gate

    def wait(self):
        if self.gate is not None:
            assert self.gate.wait(30)
        return dict(self.arrays)


def draft(step=0, gate=None, nbytes=100, labels=None, **arrays):
    arrays = arrays or {"usage": np.full((2, 1, 3), step, np.float32)}
    channels = [Channel("m", name.replace("__", "/"), axes_of(array)) for name, array in arrays.items()]
    named = {f"m/{name.replace('__', '/')}": array for name, array in arrays.items()}
    memories = {"m": MemoryInfo("dnc", {"class": "Toy"})}
    copies = [Held(named, gate)]
    return Draft(step, step, 1e9 + step, (0,), labels or {}, copies, channels, memories, nbytes)


def axes_of(array):
    return {3: ("batch", "slot"), 4: ("batch", "read_head", "slot"), 2: ("batch", "slot")}[array.ndim]


class Harness:
    def __init__(self, path, **options):
        self.stopped, self.halves = [], 0
        limit = options.pop("limit", 2**30)
        self.writer = TraceWriter.create(path, TraceHeader("", 0.0, "run"), limit=limit)
        self.faults = Faults(lambda kind, text: self.sink.event(Event(kind, text, 0.0)), self.stopped.append)
        self.sink = Sink(self.writer, self.faults, on_stop=self.stopped.append, on_half=self.half, **options)

    def half(self):
        self.halves += 1

    def trace(self):
        self.sink.close()
        return memviz.open(self.writer.path)


@pytest.fixture
def harness(tmp_path):
    made = []

    def make(**options):
        made.append(Harness(tmp_path / "run", **options))
        return made[-1]

    yield make
    for harness in made:
        harness.sink.close()


def test_drafts_scalars_and_events_arrive_in_order(harness):
    h = harness()
    for step in range(3):
        assert h.sink.put(draft(step))
        h.sink.log(step, {"loss": step / 2})
    h.sink.event(Event("note", "here", 0.0))
    trace = h.trace()
    assert trace.steps.tolist() == [0, 1, 2]
    assert trace[2]["usage"].tolist() == [[[2, 2, 2]]] * 2
    assert trace.scalars["loss"].values.tolist() == [0, 0.5, 1]
    assert "here" in [event.message for event in trace.events]
    assert trace.memories["m"].law == "dnc"
    assert trace.memories["m"].attributes == {"class": "Toy", "slots": 3}


def test_a_full_queue_drops_the_newest_and_writes_a_gap(harness):
    gate = threading.Event()
    h = harness(records=2)
    taken = [h.sink.put(draft(step, gate)) for step in range(5)]
    assert taken == [True, True, False, False, False]
    assert not h.sink.room()
    gate.set()
    assert h.sink.flush(30)
    assert h.sink.room()
    assert h.sink.put(draft(9))
    trace = h.trace()
    assert trace.steps.tolist() == [0, 1, 9]
    assert trace.dropped == h.sink.dropped == 3
    gap = next(event for event in trace.events if event.kind == "gap")
    assert gap.step == 2
    assert gap.data == {"dropped": 3, "reason": "queue full"}


def test_the_last_gap_is_written_at_close(harness):
    gate = threading.Event()
    h = harness(records=1)
    h.sink.put(draft(0, gate))
    h.sink.put(draft(1, gate))
    gate.set()
    assert h.trace().dropped == 1


def test_the_queue_is_bounded_in_bytes_but_takes_one_record_of_any_size(harness):
    gate = threading.Event()
    h = harness()
    assert h.sink.put(draft(0, gate, nbytes=2**40))
    assert not h.sink.put(draft(1, gate, nbytes=1))
    gate.set()


def test_the_policy_block_waits_and_loses_nothing(harness):
    gate = threading.Event()
    h = harness(records=1, policy="block")
    threading.Timer(0.2, gate.set).start()
    for step in range(4):
        assert h.sink.put(draft(step, gate))
    assert h.trace().steps.tolist() == [0, 1, 2, 3]
    assert h.sink.dropped == 0


def test_flush_means_on_disk(harness):
    h = harness()
    for step in range(5):
        h.sink.put(draft(step))
    assert h.sink.flush(30)
    assert len(memviz.open(h.writer.path)) == 5
    assert h.sink.recorded == 5


def test_flush_gives_up_in_time(harness):
    gate = threading.Event()
    h = harness()
    h.sink.put(draft(0, gate))
    assert not h.sink.flush(0.05)
    gate.set()


def test_a_scalar_on_a_device_is_read_by_the_thread(harness):
    h = harness()
    h.sink.log(0, {"loss": torch.tensor(0.25)})
    assert h.trace().scalars["loss"].values.tolist() == [0.25]


def test_a_full_disk_ends_recording_with_one_warning_and_one_event(harness, monkeypatch):
    h = harness()
    h.sink.put(draft(0))
    h.sink.flush(30)

    def refuse(data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(h.writer, "append", refuse)
    for step in range(1, 4):
        h.sink.put(draft(step))
    h.sink.flush(30)
    h.sink.log(4, {"loss": 1.0})
    assert len(h.stopped) == 1
    assert "No space left" in h.sink.stopped
    assert not h.sink.put(draft(5))
    trace = h.trace()
    assert trace.steps.tolist() == [0]
    assert [event.kind for event in trace.events].count("stopped") == 1


def test_the_size_limit_thins_and_then_stops(harness):
    h = harness(limit=60_000)
    step = 0
    while not h.sink.stopped and step < 500:
        h.sink.put(draft(step, usage=np.zeros((10, 1, 100), np.float32)))
        h.sink.flush(30)
        step += 1
    assert h.halves >= 2, "half of the room, then half of what was left"
    assert len(h.stopped) == 1
    assert "limit" in h.stopped[0]
    trace = h.trace()
    assert 5 < len(trace) < step
    assert trace.nbytes < 70_000


def test_one_bad_record_is_said_and_the_next_is_written(harness):
    h = harness()

    class Lost:
        def wait(self):
            raise RuntimeError("the device is gone")

    bad = draft(0)
    bad = Draft(0, 0, 0.0, (0,), {}, [Lost()], bad.channels, bad.memories, 0)

    def put_both():
        h.sink.put(bad)
        h.sink.put(draft(1))
        h.sink.flush(30)

    with pytest.warns(RecorderWarning, match="the device is gone"):
        put_both()
    assert h.trace().steps.tolist() == [1]


def test_labels_that_json_cannot_hold_are_left_out_and_said(harness):
    h = harness()

    def put():
        h.sink.put(draft(0, labels={"good": [1, "two"], "bad": object()}))
        h.sink.flush(30)

    with pytest.warns(RecorderWarning, match="label 'bad'"):
        put()
    assert h.trace()[0].labels == {"good": [1, "two"]}


def test_fields_and_number_formats_may_change_from_record_to_record(harness):
    h = harness()
    h.sink.put(draft(0))
    h.sink.put(draft(1, usage=np.zeros((2, 1, 3), np.float64), read_weights=np.ones((2, 1, 1, 3), np.float32)))
    h.sink.put(draft(2))
    trace = h.trace()
    assert [str(record["usage"].dtype) for record in trace] == ["float32", "float64", "float32"]
    assert "m/read_weights" in trace[1].stored
    assert "m/read_weights" not in trace[2].stored


@pytest.mark.parametrize(
    ("initial", "stored"),
    [
        (np.zeros((1, 3)), None),
        (np.full((1, 3), 0.5), (1, 1)),
        (np.array([[0.0, 0.0, 1.0]]), (1, 3)),
        (np.full((1, 3), np.nan), (1, 3)),
    ],
)
def test_initial_states_are_stored_in_short(harness, initial, stored):
    h = harness()
    h.sink.put(draft(0, usage=np.ones((2, 1, 3), np.float32), initial__usage=initial.astype(np.float32)))
    record = h.trace()[0]
    if stored is None:
        assert "m/initial/usage" not in record.stored
    else:
        values = record["m/initial/usage"]
        assert values.shape == stored
        assert np.array_equal(np.broadcast_to(values, initial.shape), initial.astype(np.float32), equal_nan=True)


def test_a_final_state_keeps_its_shape(harness):
    h = harness()
    h.sink.put(draft(0, final__usage=np.zeros((1, 3), np.float32)))
    assert h.trace()[0]["m/final/usage"].shape == (1, 3)


def test_closing_is_safe_twice_and_later_puts_are_refused(harness):
    h = harness()
    h.sink.put(draft(0))
    h.sink.close()
    h.sink.close()
    assert not h.sink.put(draft(1))
    h.sink.log(1, {"loss": 1.0})
    assert h.sink.flush()
    assert len(memviz.open(h.writer.path)) == 1


def test_no_record_is_kept_alive_while_the_thread_waits(harness):
    import weakref

    h = harness()
    array = np.zeros((2, 1, 3), np.float32)
    alive = weakref.ref(array)
    h.sink.put(draft(0, usage=array))
    del array
    h.sink.flush(30)
    deadline = time.monotonic() + 10
    while alive() is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert alive() is None
