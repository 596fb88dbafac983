"""From references to arrays: shapes, selections, formats, and the packed transfer."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
import torch

from memviz.errors import SchemaError
from memviz.recorders import staging
from memviz.recorders.capture import Channel
from memviz.recorders.layout import layout
from memviz.recorders.staging import DirectCopy, PinnedCopy, Selection, pack, snapshot, to_numpy, unpack


def stored(channel, values, items, size, dtype=None):
    return snapshot(channel, values, Selection(items, size), dtype).shaped()


@pytest.fixture(params=[0, 2**30], ids=["select first", "stack first"])
def any_size(request, monkeypatch):
    """Both orders of selecting and stacking."""
    monkeypatch.setattr(staging, "SMALL", request.param)


@pytest.mark.usefixtures("any_size")
@pytest.mark.parametrize("items", [(0,), (2,), (0, 1), (2, 0), (0, 1, 2)])
def test_values_are_stacked_along_time_and_items_selected(items):
    values = [torch.rand(3, 2, 4) for _ in range(5)]
    result = stored(Channel("m", "read_weights", ("batch", "read_head", "slot")), values, items, 3)
    assert torch.equal(result, torch.stack(values)[:, list(items)])


@pytest.mark.usefixtures("any_size")
def test_axes_are_brought_into_order_and_missing_ones_added():
    values = [torch.rand(4, 3) for _ in range(5)]
    result = stored(Channel("m", "write_weights", ("slot", "batch")), values, (1,), 3)
    assert result.shape == (5, 1, 1, 4)
    assert torch.equal(result[:, 0, 0], torch.stack(values)[:, :, 1])


@pytest.mark.usefixtures("any_size")
def test_a_batch_of_one_stands_for_all_items():
    values = [torch.rand(1, 4)] * 2
    result = stored(Channel("m", "usage", ("batch", "slot")), values, (0, 2), 3)
    assert result.shape == (2, 2, 4)
    assert torch.equal(result[:, 0], result[:, 1])


@pytest.mark.usefixtures("any_size")
def test_another_batch_is_an_error():
    with pytest.raises(SchemaError, match="2 batch items where the other fields have 3"):
        stored(Channel("m", "usage", ("batch", "slot")), [torch.rand(2, 4)], (0,), 3)


def test_the_finish_of_a_probe_sees_time_and_its_own_axes():
    seen = []

    def finish(values):
        seen.append(values.shape)
        return values.flip(-1)

    channel = Channel("m", "usage", ("batch", "slot"), finish=finish)
    values = [torch.rand(1, 4) for _ in range(2)]
    result = stored(channel, values, (0,), 1)
    assert seen == [(2, 1, 4)]
    assert torch.equal(result, torch.stack(values).flip(-1))


@pytest.mark.usefixtures("any_size")
@pytest.mark.parametrize("field", ["final/memory", "memory"])
def test_a_snapshot_shares_no_memory_with_the_model(field):
    value = torch.rand(2, 4, 3)
    result = snapshot(Channel("m", field, ("batch", "slot", "word")), [value], Selection((0, 1), 2), None)
    before = result.tensor.clone()
    value.zero_()
    assert torch.equal(result.tensor, before)


def test_a_snapshot_needs_no_gradient():
    with torch.no_grad():
        value = torch.rand(2, 4, requires_grad=True)
        for field in ("usage", "final/usage"):
            result = snapshot(Channel("m", field, ("batch", "slot")), [value], Selection((0,), 2), None)
            assert not result.shaped().requires_grad


@pytest.mark.parametrize(
    ("dtype", "asked", "name"),
    [
        (torch.float32, None, "float32"),
        (torch.float32, torch.float16, "float16"),
        (torch.float32, torch.bfloat16, "bfloat16"),
        (torch.bfloat16, None, "bfloat16"),
        (torch.float64, torch.float32, "float32"),
        (torch.int64, torch.float16, "int64"),
        (torch.bool, torch.float16, "bool"),
        (torch.float8_e4m3fn, None, "float16"),
        (torch.float8_e5m2, None, "float16"),
    ],
)
def test_number_formats(dtype, asked, name):
    value = torch.tensor([[0.0, 1.0, 2.0]]).to(dtype)
    result = to_numpy(stored(Channel("m", "usage", ("batch", "slot")), [value], (0,), 1, asked))
    assert result.dtype.name == name
    assert np.array_equal(result.astype(np.float32)[0], value.float().numpy())


def test_bfloat16_keeps_its_bits():
    value = torch.tensor([1.5, float("nan"), float("-inf"), -0.0], dtype=torch.bfloat16)
    array = to_numpy(value)
    assert array.dtype == ml_dtypes.bfloat16
    assert np.array_equal(array.view(np.uint16), value.view(torch.uint16).numpy())


TENSORS = {
    "a": torch.rand(3, 2),
    "b": torch.randint(0, 9, (5,), dtype=torch.int64),
    "c": torch.rand(2, 2, dtype=torch.bfloat16),
    "empty": torch.rand(0, 4),
    "scalar": torch.tensor(True),
    "strided": torch.rand(4, 6).T[::2],
}


def test_packing_is_undone_by_unpacking():
    packed, slots = pack(TENSORS, torch.device("cpu"))
    assert packed.dtype == torch.uint8
    assert all(offset % 16 == 0 for offset, _, _ in slots.values())
    arrays = unpack(packed, slots)
    for name, tensor in TENSORS.items():
        assert np.array_equal(arrays[name], to_numpy(tensor)), name


def snapshots():
    channel = Channel("m", "usage", ("batch", "slot"))
    bad = Channel("m", "memory", ("batch", "slot", "word"))
    good = snapshot(channel, [torch.rand(2, 4) for _ in range(3)], Selection((1,), 2), None)
    return [good, good._replace(channel=bad, tensor=torch.rand(3, 7, 4, 2), selection=Selection((1,), 2))]


def test_a_direct_copy_brings_what_it_can_and_says_the_rest():
    failed = []
    arrays = DirectCopy().start(snapshots(), lambda error, name: failed.append((name, str(error)))).wait()
    assert list(arrays) == ["m/usage"]
    assert arrays["m/usage"].shape == (3, 1, 4)
    assert failed[0][0] == "m/memory"


class FakeCuda:
    """The parts of torch.cuda that a transfer uses, in host memory, with a log of their order."""

    def __init__(self):
        self.log = []
        log = self.log

        class Event:
            def record(self, stream):
                log.append(f"record on {stream}")

            def synchronize(self):
                log.append("synchronize")

        class Stream:
            def __init__(self, device):
                pass

            def wait_event(self, event):
                log.append("side waits")

            def __str__(self):
                return "side"

        self.Event, self.Stream = Event, Stream

    def current_stream(self, device):
        return "compute"

    def stream(self, stream):
        import contextlib

        return contextlib.nullcontext()


def test_a_pinned_copy_waits_for_the_computing_stream_and_never_makes_it_wait(monkeypatch):
    fake = FakeCuda()
    monkeypatch.setattr(torch, "cuda", fake)
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda self, stream: fake.log.append(f"kept for {stream}"))
    empty = torch.empty
    monkeypatch.setattr(torch, "empty", lambda *args, pin_memory=False, **kwargs: empty(*args, **kwargs))
    failed = []
    given = snapshots()
    copy = PinnedCopy(torch.device("cpu")).start(given, lambda error, name: failed.append(name))
    assert fake.log == ["record on compute", "side waits", "kept for side", "record on side"]
    arrays = copy.wait()
    assert fake.log[-1] == "synchronize"
    assert np.array_equal(arrays["m/usage"], given[0].shaped().numpy())
    assert failed == ["m/memory"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_model_on_a_gpu_is_recorded_without_waiting_for_it(attach, tapping, trace_of):
    tapping.cuda()
    recorder = attach(tapping, batch="all")
    outputs = []
    for _ in range(20):
        x = torch.rand(4, 50, 3, device="cuda")
        outputs.append(tapping(x))
        recorder.log(loss=outputs[-1].sum())
    trace = trace_of(recorder)
    assert len(trace) + trace.dropped == 20
    for record in trace:
        expected = outputs[int(record.step)].detach().transpose(0, 1).cpu().numpy()
        assert np.array_equal(record["memory/usage"], expected)
        assert np.array_equal(record["model/output"], expected)


def test_a_layout_knows_the_axes_of_the_catalogue():
    plan = layout("read_weights", ("slot", "batch"))
    assert plan.stored == ("time", "batch", "read_head", "slot")
    assert (plan.timed, plan.batch, plan.missing) == (True, 1, 1)
    assert layout("usage", ("batch", "slot")).order == ()
    assert layout("mine", ("batch", "place")).stored == ("time", "batch", "place")
    assert layout("final/memory", ("batch", "slot", "word")).timed is False
    with pytest.raises(SchemaError, match="cannot have the axes"):
        layout("usage", ("batch", "word"))
