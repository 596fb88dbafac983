"""What holds while a model is recorded: numbers unchanged, hooks gone, threads apart, errors contained."""

from __future__ import annotations

import copy
import threading
import weakref

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import memviz
from memviz.recorders.adapters.base import MemoryPlan
from memviz.recorders.faults import RecorderWarning
from memviz.recorders.probes import MethodProbe


def run_and_flush(recorder, x):
    recorder._model(x)
    recorder.flush()


def train(model, batch, steps=4, recorder=None):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(steps):
        noise = torch.rand_like(batch)
        loss = (model(batch + noise) - batch).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if recorder is not None:
            recorder.log(loss=loss)
    return loss


def hooks_in(model):
    """Everything that a recorder could have left in a model."""
    return [
        (name, kind, len(getattr(module, kind)))
        for name, module in model.named_modules()
        for kind in ("_forward_hooks", "_forward_pre_hooks")
        if getattr(module, kind)
    ] + [(name, "write") for name, module in model.named_modules() if "write" in vars(module)]


@pytest.mark.parametrize("options", [{}, {"fields": "all", "batch": "all"}, {"dtype": "float16"}])
def test_training_is_the_same_bit_for_bit(attach, batch, model, options):
    plain = copy.deepcopy(model)
    torch.manual_seed(7)
    train(plain, batch)
    state = torch.get_rng_state()
    recorder = attach(model, **options)
    torch.manual_seed(7)
    train(model, batch, recorder=recorder)
    assert torch.equal(state, torch.get_rng_state())
    for a, b in zip(plain.parameters(), model.parameters(), strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a.grad, b.grad)
    assert recorder.flush()
    assert recorder.stats().recorded == 4


def test_the_nth_call_is_time_n(attach, model, batch, trace_of):
    seen = []
    model.cell.register_forward_hook(lambda module, args, out: seen.append(out[1]["memory"].detach().clone()))
    recorder = attach(model, batch="all")
    model(batch)
    record = trace_of(recorder)[0]
    assert np.array_equal(record["cell/memory"], torch.stack(seen).numpy())


def test_methods_are_recorded_by_argument_and_result(attach, model, batch, trace_of):
    recorder = attach(model, batch="all", fields="all")
    model(batch)
    record = trace_of(recorder)[0]
    assert np.array_equal(record["cell/write_vectors"][:, :, 0], batch.transpose(0, 1).numpy())
    assert np.array_equal(record["cell/written"], record["cell/memory"])


def test_a_submodule_is_recorded_by_its_path(attach, model, batch, trace_of):
    recorder = attach(model, batch="all", fields=["read_keys"])
    model(batch)
    expected = model.cell.key(batch).transpose(0, 1).detach().numpy()
    assert np.allclose(trace_of(recorder)[0]["cell/read_keys"][:, :, 0], expected, rtol=0, atol=1e-6)


def test_the_initial_state_is_recorded_where_it_is_not_zero(attach, model, batch, trace_of):
    recorder = attach(model)
    model(batch)
    initial = trace_of(recorder)[0]["cell/initial/memory"]
    assert initial.shape == (1, 1, 1), "a constant state is stored with length-1 axes"
    assert initial.item() == 1.0


def test_nothing_stays_plugged_in_between_sampled_forwards(attach, model, batch):
    recorder = attach(model, every=2)
    root = [("", "_forward_hooks", 1), ("", "_forward_pre_hooks", 1)]
    during = []
    model.out.register_forward_hook(lambda *args: during.append(len(hooks_in(model))))
    handles = [("out", "_forward_hooks", 1)]
    train(model, batch, steps=2)
    assert hooks_in(model) == root + handles
    assert during[0] > 3, "a sampled forward has probes"
    assert during[-1] == 3, "the one after it has none"
    recorder.close()
    assert hooks_in(model) == handles


def test_everything_comes_out_when_the_forward_fails(attach, model, batch, trace_of):
    recorder = attach(model)
    plugged = hooks_in(model)
    with pytest.raises(ValueError, match="the model fails"):
        model(batch, fail_at=2)
    assert hooks_in(model) == plugged
    model(batch)
    trace = trace_of(recorder)
    assert len(trace) == 1, "the failed forward left no record"
    assert trace[0].lengths["cell"] == 5


def test_the_next_forward_of_the_step_takes_the_place_of_a_failed_one(attach, model, batch, trace_of):
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    recorder = attach(model, every=100)
    recorder.label(note="kept")
    with pytest.raises(ValueError, match="the model fails"):
        model(batch, fail_at=0)
    model(batch).sum().backward()
    optimizer.step()
    trace = trace_of(recorder)
    assert trace.steps.tolist() == [0]
    assert trace[0].labels["note"] == "kept"


def test_an_interrupted_forward_leaves_no_trace_on_the_next(attach, model, batch, trace_of):
    recorder = attach(model)

    def interrupt(*args):
        raise KeyboardInterrupt

    handle = model.out.register_forward_hook(interrupt)
    with pytest.raises(KeyboardInterrupt):
        model(batch)
    handle.remove()
    model(batch)
    trace = trace_of(recorder)
    assert [record.lengths["cell"] for record in trace] == [5]
    assert "write" not in vars(model.cell)


def test_a_nested_forward_of_the_same_model_adds_no_times(attach, model, batch, trace_of):
    inside = []

    def call_again(module, args, output):
        if not inside:
            inside.append(True)
            model(batch)

    model.out.register_forward_hook(call_again)
    recorder = attach(model)
    model(batch)
    trace = trace_of(recorder)
    assert len(trace) == 1
    # The nested forward is part of the outermost one: its calls are calls of the memory within it.
    assert trace[0].lengths["cell"] == 10


def test_two_threads_on_one_model_stay_apart(attach, model, trace_of):
    recorder = attach(model, batch="all", policy="block")
    sequences = [torch.full((1, times, 3), float(times)) for times in (3, 7)]

    def run(sequence):
        for _ in range(20):
            model(sequence)

    threads = [threading.Thread(target=run, args=(sequence,)) for sequence in sequences]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    trace = trace_of(recorder)
    assert len(trace) > 10
    for record in trace:
        times = record.lengths["model"]
        assert record.lengths["cell"] == times
        assert (record["model/input"] == times).all()
    assert "write" not in vars(model.cell)


@pytest.mark.parametrize("reentrant", [True, False])
def test_recomputed_forwards_of_checkpointing_are_no_times(attach, model, batch, trace_of, reentrant):
    class Checkpointed(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model

        def forward(self, x):
            return checkpoint(self.inner, x, use_reentrant=reentrant)

    whole = Checkpointed()
    recorder = attach(whole, batch="all")
    for _ in range(2):
        whole(batch.clone().requires_grad_()).sum().backward()
    trace = trace_of(recorder)
    assert [record.lengths["inner.cell"] for record in trace] == [5, 5]


def test_a_checkpointed_model_that_is_attached_itself_counts_its_forwards_once(attach, model, batch, trace_of):
    recorder = attach(model)
    for _ in range(2):
        checkpoint(model, batch.clone().requires_grad_(), use_reentrant=False).sum().backward()
    assert trace_of(recorder).steps.tolist() == [0, 1]


class InPlace(nn.Module):
    """Taps a state and then writes into it, as SAM and SDNC of the package dnc do."""

    def forward(self, x):
        state = torch.zeros(x.shape[0], x.shape[2])
        for time in range(x.shape[1]):
            state += x[:, time]
            memviz.tap("usage", state)
        return x


def test_values_written_into_later_are_never_stored_wrong(attach, batch, trace_of):
    model = InPlace()
    recorder = attach(model)
    with pytest.warns(RecorderWarning, match="written into after it was captured"):
        model(batch)
    model(batch)
    trace = trace_of(recorder)
    assert "memory/usage" not in trace[0].stored, "the first record lacks the field"
    expected = batch[0].cumsum(0).numpy()
    assert np.allclose(trace[1]["memory/usage"][:, 0], expected), "later records copy at once"
    assert [event.kind for event in trace.events].count("note") == 1


def test_a_write_through_the_base_of_a_view_is_noticed(attach, batch, trace_of):
    class Views(nn.Module):
        def forward(self, x):
            base = x[:, 0].clone()
            memviz.tap("usage", base[:, :2])
            base.zero_()
            return x

    model = Views()
    recorder = attach(model)
    with pytest.warns(RecorderWarning, match="written into"):
        model(batch)
    model(batch)
    assert np.array_equal(trace_of(recorder)[1]["memory/usage"][0], batch[:1, 0, :2].numpy())


def test_no_tensor_of_the_model_outlives_the_forward(attach, batch):
    alive = []

    class Views(nn.Module):
        def forward(self, x):
            base = torch.rand(len(x), 1000)
            alive.append(weakref.ref(base))
            memviz.tap("usage", base[:, :4])
            memviz.tap("initial/usage", base[:, :4])
            return x

    recorder = attach(Views())
    recorder._sink._writer.append = lambda data: records.append(data)  # keeps what a slow writer would keep
    records = []
    recorder._model(batch)
    recorder.flush()
    assert len(records) == 1
    assert records[0].fields["memory/usage"].shape == (1, 1, 4)
    assert alive[0]() is None


def test_vmap_records_the_whole_batch(attach, trace_of):
    class Mapped(nn.Module):
        def forward(self, x):
            def one(row):
                memviz.tap("usage", row * 2)
                return row

            return torch.vmap(one, in_dims=1, out_dims=1)(x)

    model, x = Mapped(), torch.rand(4, 3)
    recorder = attach(model, batch="all")
    model(x)
    assert np.array_equal(trace_of(recorder)[0]["memory/usage"][0], (x.T * 2).numpy())


def test_a_model_inside_a_transform_is_recorded(attach, trace_of):
    class Scalar(nn.Module):
        def forward(self, x):
            memviz.tap("usage", x * 2)
            return (x**2).sum()

    model, x = Scalar(), torch.rand(2, 3)
    recorder = attach(model, batch="all")
    gradient = torch.func.grad(model)(x)
    assert torch.allclose(gradient, 2 * x)
    assert np.array_equal(trace_of(recorder)[0]["memory/usage"][0], (x * 2).numpy())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_number_formats_are_stored_as_they_are(attach, model, batch, trace_of, dtype):
    model.to(dtype)
    recorder = attach(model, batch="all")
    output = model(batch.to(dtype))
    record = trace_of(recorder)[0]
    assert record.schema("model/output").dtype == str(dtype).removeprefix("torch.")
    stored = record["model/output"].astype(np.float64)
    assert np.array_equal(stored, output.detach().double().transpose(0, 1).numpy())


def test_eight_bit_floats_are_stored_exactly_as_float16(attach, trace_of):
    class Eight(nn.Module):
        def forward(self, x):
            memviz.tap("usage", x.to(torch.float8_e4m3fn))
            return x

    x = torch.linspace(-400, 400, 12).view(2, 6)
    recorder = attach(Eight(), batch="all")
    recorder._model(x)
    stored = trace_of(recorder)[0]["memory/usage"]
    assert stored.dtype == np.float16
    assert np.array_equal(stored[0], x.to(torch.float8_e4m3fn).float().numpy())


def test_inference_mode_is_recorded(attach, model, batch, trace_of):
    recorder = attach(model, batch="all")
    with torch.inference_mode():
        output = model(batch)
    record = trace_of(recorder)[0]
    assert np.array_equal(record["model/output"], output.transpose(0, 1).numpy())
    assert record.lengths["cell"] == 5


def test_autocast_is_left_alone(attach, model, batch, trace_of):
    recorder = attach(model, batch="all")
    with torch.autocast("cpu", torch.bfloat16):
        output = model(batch)
    assert np.array_equal(
        trace_of(recorder)[0]["model/output"].astype(np.float32), output.detach().float().transpose(0, 1).numpy()
    )


def test_a_module_under_two_names_is_recorded_once_under_the_first(attach, model, batch, trace_of):
    model.alias = model.cell
    recorder = attach(model)
    model(batch)
    trace = trace_of(recorder)
    assert set(trace.memories) == {"cell", "model"}
    assert trace[0].lengths["cell"] == 5


def test_two_recorders_on_one_model_do_not_disturb_each_other(attach, model, batch, trace_of):
    first, second = attach(model), attach(model, fields="all")
    model(batch)
    first.close()
    model(batch)
    assert "write" not in vars(model.cell)
    assert len(memviz.open(first.path)) == 1
    trace = trace_of(second)
    assert len(trace) == 2
    assert np.array_equal(trace[0]["cell/written"], memviz.open(first.path)[0]["cell/written"])


def test_a_broken_probe_is_contained_and_said_once(attach, model, batch, trace_of):
    class Broken:
        name = "broken"

        def matches(self, module):
            return hasattr(module, "slots")

        def plan(self, module, path):
            from memviz.recorders.adapters.base import MemoryPlan
            from memviz.recorders.probes import OutputProbe

            good = OutputProbe(field="memory", pick=lambda out: out[1]["memory"])
            bad = OutputProbe(field="usage", pick=lambda out: out[1]["usage"])
            return [MemoryPlan("cell", module, [good, bad])]

    recorder = attach(model, adapter=Broken)
    with pytest.warns(RecorderWarning) as warnings:
        model(batch)
    assert sum("KeyError: 'usage'" in str(warning.message) for warning in warnings) == 1
    assert recorder.stats().errors == 5
    trace = trace_of(recorder)
    assert trace[0].lengths["cell"] == 5
    assert any("usage" in event.message for event in trace.events if event.kind == "error")


def test_too_many_errors_switch_the_recorder_off_and_training_goes_on(attach, tapping, batch, trace_of):
    class Bad(nn.Module):
        def forward(self, x):
            memviz.tap("usage", "no tensor")
            return x

    model = Bad()
    recorder = attach(model, policy="block")
    with pytest.warns(RecorderWarning):
        outputs = [model(batch) for _ in range(20)]
    assert all(output is batch for output in outputs)
    assert "10 errors" in recorder.stats().stopped
    assert recorder.stats().errors == 10
    assert [event.kind for event in trace_of(recorder).events].count("stopped") == 1


def test_where_warnings_are_errors_training_still_goes_on(attach, batch):
    class Bad(nn.Module):
        def forward(self, x):
            memviz.tap("usage", None)
            return x

    model = Bad()
    recorder = attach(model)
    assert model(batch) is batch  # pytest turns warnings into errors here
    assert recorder.stats().errors == 1


def test_a_field_that_comes_less_often_is_left_out_and_said(attach, batch, trace_of):
    class Sometimes(nn.Module):
        def forward(self, x):
            for time in range(x.shape[1]):
                memviz.tap("usage", x[:, time])
                memviz.tap("memory", x[:, time].unsqueeze(2))
                if time % 2:
                    memviz.tap("odd", x[:, time], axes=("batch", "slot"))
            return x

    recorder = attach(Sometimes())
    with pytest.warns(RecorderWarning, match="came 2 times where the other fields of memory came 5 times"):
        recorder._model(batch)
    assert set(trace_of(recorder)[0].stored) >= {"memory/usage"}
    assert "memory/odd" not in memviz.open(recorder.path)[0].stored


def test_fields_that_disagree_about_an_axis_are_left_out_and_said(attach, batch, trace_of):
    class Disagreeing(nn.Module):
        def forward(self, x):
            memviz.tap("usage", x[:, 0])
            memviz.tap("precedence_weights", x[:, :1, :2])
            return x

    recorder = attach(Disagreeing())
    with pytest.warns(RecorderWarning, match="its axis 'slot' has 2 entries, in other fields it has 3"):
        run_and_flush(recorder, batch)
    assert "memory/usage" in trace_of(recorder)[0].stored


def test_a_batch_item_that_is_not_there_is_said(attach, model, batch):
    recorder = attach(model, batch=5)
    with pytest.warns(RecorderWarning, match="batch item 5 was asked for, but the batch has 2"):
        model(batch)
    assert recorder.stats().recorded == 0


@pytest.mark.parametrize(
    ("choice", "items"), [(1, [1]), (-1, [1]), ("all", [0, 1]), ([1, 0], [1, 0]), (slice(0, 2), [0, 1])]
)
def test_batch_items_are_those_of_the_batch(attach, model, batch, trace_of, choice, items):
    recorder = attach(model, batch=choice)
    output = model(batch)
    record = trace_of(recorder)[0]
    assert list(record.batch) == items
    assert np.array_equal(record["model/output"], output.detach().transpose(0, 1)[:, items].numpy())
    assert record["cell/memory"].shape[1] == len(items)


def test_arguments_kept_as_they_were_passed_are_noticed_when_written_into(attach, batch, trace_of):
    """After a clean first record, arguments of methods are kept as one tuple without reading version counters."""

    class Store(nn.Module):
        slots, dirty = 4, False

        def write(self, x):
            return x + 1

        def forward(self, x):
            for time in range(x.shape[1]):
                word = x[:, time] * 2
                self.write(word)
                if self.dirty:
                    word.zero_()
            return x

    class Adapter:
        name = "store"

        def matches(self, module):
            return isinstance(module, Store)

        def plan(self, module, path):
            return [MemoryPlan("m", module, [MethodProbe(field="usage", method="write", argument="x")])]

    model = Store()
    recorder = attach(model, adapter=Adapter, batch="all", policy="block")
    for _ in range(2):
        model(batch)
    model.dirty = True
    with pytest.warns(RecorderWarning, match="written into after it was captured"):
        model(batch)
    model(batch)
    trace = trace_of(recorder)
    assert "m/usage" not in trace[2].stored
    for index in (0, 1, 3):
        assert np.array_equal(trace[index]["m/usage"], (batch * 2).transpose(0, 1).numpy()), index
