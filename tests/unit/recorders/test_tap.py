from __future__ import annotations

import threading
import weakref

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import memviz
from memviz.recorders import tap as tap_module
from memviz.recorders.faults import RecorderWarning


def run_and_flush(recorder, x):
    recorder._model(x)
    recorder.flush()


class Layer(nn.Module):
    memviz_law = "ntm"

    def __init__(self):
        super().__init__()
        self.memviz_attributes = {"write_order": "series"}

    def helper(self, x):
        return outside(x)

    def forward(self, x):
        memviz.tap("usage", x)
        self.helper(x + 1)
        return x


def outside(x):
    memviz.tap("own", x, axes=("batch", "slot"))


class Stack(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([Layer(), Layer()])

    def forward(self, x):
        memviz.tap("output_gate", x.sum(1), axes="batch")
        memviz.tap("far.away/usage", x * 3)
        for layer in self.layers:
            x = layer(x)
        return x


@pytest.fixture
def record(attach, trace_of):
    recorder = attach(Stack(), batch="all")
    recorder._model(torch.ones(2, 3))
    return trace_of(recorder)[0]


def test_a_tap_returns_its_tensor(attach, tapping, batch):
    x = torch.rand(2)
    assert memviz.tap("usage", x) is x
    seen = []

    class Same(nn.Module):
        def forward(self, x):
            seen.append(memviz.tap("usage", x))
            return x

    attach(Same())._model(x := torch.rand(2, 3))
    assert seen[0] is x


def test_memories_are_named_by_the_nearest_module(record):
    assert set(record.memories) == {"memory", "far.away", "layers.0", "layers.1"}
    assert set(record.stored) == {
        "memory/output_gate",
        "far.away/usage",
        "layers.0/usage",
        "layers.0/own",
        "layers.1/usage",
        "layers.1/own",
    }


def test_taps_in_helper_functions_belong_to_the_module_that_calls(record):
    assert (record["layers.0/own"] == 2).all()


def test_a_name_may_say_its_memory(record):
    assert (record["far.away/usage"] == 3).all()


def test_the_module_says_law_and_attributes(attach, trace_of):
    recorder = attach(Stack())
    recorder._model(torch.ones(2, 3))
    memory = trace_of(recorder).memories["layers.1"]
    assert memory.law == "ntm"
    assert memory.attributes["write_order"] == "series"
    assert memory.attributes["slots"] == 3
    assert memory.attributes["class"].endswith(".Layer")


def test_times_are_stacked_in_order(attach, tapping, batch, trace_of):
    recorder = attach(tapping, batch="all")
    output = tapping(batch)
    record = trace_of(recorder)[0]
    assert np.array_equal(record["memory/usage"], output.detach().transpose(0, 1).numpy())


@pytest.mark.parametrize(
    ("axes", "shape"),
    [
        (("time", "batch", "slot", "word"), (5, 2, 4, 3)),
        (("batch", "time", "slot", "word"), (2, 5, 4, 3)),
        ("word slot batch time", (3, 4, 2, 5)),
    ],
)
def test_one_call_may_bring_all_times_in_any_order_of_axes(attach, trace_of, axes, shape):
    class Whole(nn.Module):
        def forward(self, x):
            memviz.tap("memory", x, axes=axes)
            return x

    x = torch.rand(shape)
    recorder = attach(Whole(), batch="all")
    recorder._model(x)
    names = axes.split() if isinstance(axes, str) else axes
    expected = x.permute([names.index(axis) for axis in ("time", "batch", "slot", "word")]).numpy()
    assert np.array_equal(trace_of(recorder)[0]["memory/memory"], expected)


def test_chunks_of_times_are_joined(attach, trace_of):
    class Chunks(nn.Module):
        def forward(self, x):
            for part in x.split(2):
                memviz.tap("usage", part, axes=("time", "batch", "slot"))
            return x

    x = torch.rand(5, 2, 3)
    recorder = attach(Chunks(), batch="all")
    recorder._model(x)
    assert np.array_equal(trace_of(recorder)[0]["memory/usage"], x.numpy())


def test_an_axis_that_is_left_out_has_length_one(attach, trace_of):
    class OneHead(nn.Module):
        def forward(self, x):
            memviz.tap("write_weights", x, axes=("batch", "slot"))
            return x

    recorder = attach(OneHead())
    recorder._model(torch.rand(2, 3))
    assert trace_of(recorder)[0]["memory/write_weights"].shape == (1, 1, 1, 3)


def test_initial_and_final_states_are_the_first_and_the_last(attach, trace_of):
    class Ends(nn.Module):
        def forward(self, x):
            for time in range(3):
                memviz.tap("initial/memory", x + time)
                memviz.tap("usage", x[:, :, 0])
                memviz.tap("final/memory", x + time)
            return x

    x = torch.rand(2, 3, 4)
    recorder = attach(Ends(), batch="all")
    recorder._model(x)
    record = trace_of(recorder)[0]
    assert np.array_equal(record["memory/initial/memory"], x.numpy())
    assert np.array_equal(record["memory/final/memory"], (x + 2).numpy())


@pytest.mark.parametrize(
    ("name", "shape", "axes", "message"),
    [
        ("mine", (2, 3), None, "axes must be declared"),
        ("usage", (2, 3, 4), None, r"expected a tensor with axes \[batch, slot\], got shape \(2, 3, 4\)"),
        ("usage", (2, 3), ("batch", "place"), r"cannot have the axes \[batch, place\]"),
        ("usage", (2, 3), ("batch", "batch"), r"cannot have the axes \[batch, batch\]"),
    ],
)
def test_wrong_axes_are_said_and_never_raised(attach, name, shape, axes, message):
    class Wrong(nn.Module):
        def forward(self, x):
            memviz.tap(name, torch.rand(shape), axes=axes)
            return x

    recorder = attach(Wrong())
    with pytest.warns(RecorderWarning, match=message):
        run_and_flush(recorder, torch.rand(2, 3))


def test_ragged_values_are_said_and_never_raised(attach):
    class Growing(nn.Module):
        def forward(self, x):
            for time in range(1, 4):
                memviz.tap("usage", x[:, :time])
            return x

    recorder = attach(Growing())
    with pytest.warns(RecorderWarning, match="memory/usage"):
        recorder._model(torch.rand(2, 3))


def test_nothing_is_active_between_sampled_forwards(attach, tapping, batch):
    recorder = attach(tapping, every=100)
    assert tap_module._active == 0
    tapping(batch)
    assert tap_module._active == 0
    recorder.close()


def test_taps_of_another_thread_are_not_taken(attach, trace_of):
    class Elsewhere(nn.Module):
        def forward(self, x):
            memviz.tap("usage", x)
            thread = threading.Thread(target=lambda: memviz.tap("usage", x + 1))
            thread.start()
            thread.join()
            return x

    recorder = attach(Elsewhere())
    recorder._model(torch.rand(2, 3))
    assert trace_of(recorder)[0].lengths["memory"] == 1


@pytest.mark.parametrize("reentrant", [True, False])
def test_recomputation_taps_nothing(attach, trace_of, reentrant):
    class Checkpointed(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = Layer()

        def forward(self, x):
            return checkpoint(self.layer, x * 2, use_reentrant=reentrant)

    model = Checkpointed()
    recorder = attach(model)
    model(torch.rand(2, 3, requires_grad=True)).sum().backward()
    assert trace_of(recorder)[0].lengths["layer"] == 1


def test_state_that_a_law_derives_is_left_out_but_for_its_last_value(attach, trace_of):
    class Ntm(nn.Module):
        memviz_law = "ntm"

        def forward(self, x):
            memory = torch.zeros(2, 4, 3)
            for _ in range(3):
                w, e, v = torch.rand(2, 1, 4), torch.rand(2, 1, 3), torch.rand(2, 1, 3)
                memory = memory * (1 - w.mT @ e) + w.mT @ v
                memviz.tap("write_weights", w)
                memviz.tap("erase_vectors", e)
                memviz.tap("write_vectors", v)
                memviz.tap("memory", memory)
            self.last = memory
            return x

    model = Ntm()
    recorder = attach(model, batch="all")
    model(torch.rand(2, 3))
    record = trace_of(recorder)[0]
    assert "memory/memory" not in record.stored
    assert record.is_derived("memory/memory")
    assert np.array_equal(record["memory/final/memory"], model.last.numpy())
    assert np.allclose(record["memory/memory"][-1], model.last.numpy(), rtol=0, atol=1e-6)


def test_without_a_law_everything_tapped_is_stored(attach, trace_of):
    class Lawless(nn.Module):
        def forward(self, x):
            memviz.tap("write_weights", x[:, None])
            memviz.tap("allocation_weights", x[:, None])
            return x

    recorder = attach(Lawless())
    recorder._model(torch.rand(2, 3))
    assert set(trace_of(recorder)[0].stored) == {"memory/write_weights", "memory/allocation_weights"}


def test_a_last_value_written_into_later_is_not_stored_wrong(attach, trace_of):
    class Late(nn.Module):
        memviz_law = "ntm"

        def forward(self, x):
            memory = torch.ones(2, 4, 3)
            memviz.tap("write_weights", torch.rand(2, 1, 4))
            memviz.tap("erase_vectors", torch.rand(2, 1, 3))
            memviz.tap("write_vectors", torch.rand(2, 1, 3))
            memviz.tap("memory", memory)
            memory.zero_()
            return x

    recorder = attach(Late())
    with pytest.warns(RecorderWarning, match="written into"):
        recorder._model(torch.rand(2, 3))
    recorder._model(torch.rand(2, 3))
    first, second = trace_of(recorder)
    assert "memory/final/memory" not in first.stored
    assert (second["memory/final/memory"] == 1).all()


class Growing(nn.Module):
    """Taps one field more from its third forward on, and keeps weak references to what it tapped of another."""

    def __init__(self):
        super().__init__()
        self.calls, self.seen = 0, []

    def forward(self, x):
        self.calls += 1
        for time in range(4):
            usage = x + time
            memviz.tap("usage", usage)
            memviz.tap("write_weights", x[:, None] + time)
            if self.calls > 2:
                memviz.tap("extra", x, axes=("batch", "slot"))
            self.seen.append(weakref.ref(usage))
            del usage
        self.kept = sum(reference() is not None for reference in self.seen[-4:])
        return x


def test_what_nobody_records_is_not_even_kept_once_that_is_known(attach, trace_of):
    model = Growing()
    recorder = attach(model, fields=["write_weights", "extra"], batch="all")
    kept = []
    for _ in range(3):
        model(torch.zeros(2, 3))
        kept.append(model.kept)
    assert kept[0] == 4, "the first forward tells what there is"
    assert kept[1] <= 1, "at most what the frame of the first tap holds by itself"
    model(torch.zeros(2, 3))
    records = list(trace_of(recorder))
    assert [sorted(record.stored) for record in records[:2]] == [["memory/write_weights"]] * 2
    assert sorted(records[3].stored) == ["memory/extra", "memory/write_weights"]
    for record in records:
        np.testing.assert_array_equal(record["write_weights"][:, 0, 0, 0], [0, 1, 2, 3])


def test_several_fields_in_one_call_are_as_one_by_one(tmp_path):
    class Both(nn.Module):
        def __init__(self, together):
            super().__init__()
            self.together = together

        def forward(self, x):
            for time in range(3):
                values = {"usage": x + time, "write_gate": x[:, :1] * time, "final/usage": x - time}
                if self.together:
                    assert memviz.tap(values) is values
                else:
                    for name, value in values.items():
                        assert memviz.tap(name, value) is value
            return x

    records = []
    for together in (True, False):
        with memviz.attach(Both(together), tmp_path / str(together), every=1, batch="all") as recorder:
            recorder.model(torch.rand(2, 4, generator=torch.Generator().manual_seed(0)))
        records.append(memviz.open(recorder.path)[0])
    assert records[0].stored == records[1].stored
    for name in records[0].stored:
        assert np.array_equal(records[0][name], records[1][name]), name


def test_a_bad_value_among_several_is_said_and_the_others_are_recorded(attach, trace_of):
    class Bad(nn.Module):
        def forward(self, x):
            memviz.tap({"usage": x, "memory": "no tensor", "nonsense": x})
            return x

    model = Bad()
    recorder = attach(model, batch="all")
    with pytest.warns(RecorderWarning, match="expected a tensor|axes must be declared"):
        model(torch.ones(2, 3))
    assert recorder.stats().errors == 2
    assert trace_of(recorder)[0].stored == ("memory/usage",)


def test_a_function_is_called_when_its_value_is_recorded_and_only_then(attach, trace_of):
    calls = []

    class Lazy(nn.Module):
        def forward(self, x):
            def usage():
                calls.append(torch.is_grad_enabled())
                return x * 2

            memviz.tap("usage", usage)
            memviz.tap("output_gate", lambda: calls.append("unwanted") or x[:, 0], axes=("batch",))
            return x

    model = Lazy()
    recorder = attach(model, fields=["usage"], every=2, batch="all", strict=False)
    for step in range(4):
        model(torch.full((2, 3), float(step)))
    trace = trace_of(recorder)
    assert calls == [False, "unwanted", False], "what nobody records is asked for once, to learn what there is"
    assert [record["usage"][0, 0, 0] for record in trace] == [0, 4]


def test_an_inference_tensor_is_copied_at_once(attach, trace_of):
    with torch.inference_mode():
        kept = torch.ones(2, 3)

    class Holds(nn.Module):
        def forward(self, x):
            memviz.tap("usage", kept)
            memviz.tap({"write_gate": kept[:, :1]})
            with torch.inference_mode():
                kept.mul_(5)
            return x

    recorder = attach(Holds(), batch="all")
    recorder.model(torch.ones(2, 3))
    record = trace_of(recorder)[0]
    assert record["usage"].tolist() == [[[1, 1, 1]] * 2]
    assert record["write_gate"].ravel().tolist() == [1, 1]
