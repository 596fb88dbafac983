from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import memviz
from memviz.errors import MissingFieldError, NoAdapterError, RecorderError, TraceError, UnknownNameError


def test_three_lines_record_a_model(attach, model, batch, trace_of):
    recorder = attach(model)
    output = model(batch)
    recorder.log(loss=0.5)
    trace = trace_of(recorder)
    assert len(trace) == 1
    assert trace.memories["cell"].attributes["slots"] == 4
    record = trace[0]
    assert record["cell/memory"].shape == (5, 1, 4, 3)
    assert record["cell/write_weights"].shape == (5, 1, 1, 4)
    assert np.array_equal(record["model/output"], output.detach().transpose(0, 1)[:, :1].numpy())
    assert np.array_equal(record["model/input"], batch.transpose(0, 1)[:, :1].numpy())
    assert trace.scalars["loss"].values.tolist() == [0.5]


def test_the_header_says_what_was_attached(attach, model, batch, trace_of):
    recorder = attach(model, attributes={"task": "copy", "seed": 3})
    model(batch)
    header = trace_of(recorder).header
    assert header.model == {"class": "Model", "parameters": sum(p.numel() for p in model.parameters())}
    assert header.attributes == {"task": "copy", "seed": 3}
    assert header.run == "run"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": 0}, "every=0"),
        ({"every": True}, "every=True"),
        ({"schedule": 3}, "schedule=3"),
        ({"batch": "some"}, "batch='some'"),
        ({"batch": [0.5]}, "batch="),
        ({"batch": []}, "batch="),
        ({"dtype": "float8"}, "dtype='float8'"),
        ({"fields": "most"}, "fields='most'"),
        ({"fields": []}, "fields="),
        ({"policy": "wait"}, "policy='wait'"),
        ({"ranks": "some"}, "ranks='some'"),
        ({"adapter": 3}, "adapter=3"),
    ],
)
def test_wrong_arguments_are_named(model, tmp_path, options, message):
    with pytest.raises(RecorderError, match=message):
        memviz.attach(model, tmp_path / "run", **{"strict": False, **options})
    assert not list(tmp_path.iterdir()), "a refused attach leaves no trace"


def test_only_modules_can_be_attached_to(tmp_path):
    with pytest.raises(RecorderError, match="got function"):
        memviz.attach(lambda x: x, tmp_path / "run")


def test_a_model_without_memory_is_refused_with_a_remedy(tmp_path):
    with pytest.raises(NoAdapterError, match=r"memviz\.tap"):
        memviz.attach(nn.Linear(2, 2), tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_not_strict_records_input_and_output_alone(tmp_path, batch):
    with pytest.warns(UserWarning, match="no adapter knows Linear"):
        recorder = memviz.attach(nn.Linear(3, 3), tmp_path / "run", strict=False, every=1)
    with recorder:
        recorder._model(batch)
    assert set(memviz.open(recorder.path)[0].stored) == {"model/input", "model/output"}


def test_an_unknown_adapter_offers_the_known_ones(model, tmp_path):
    with pytest.raises(UnknownNameError, match="Did you mean 'dnc'"):
        memviz.attach(model, tmp_path / "run", adapter="dcn")


def test_an_unknown_field_offers_the_nearest(attach, model):
    with pytest.raises(UnknownNameError, match="Did you mean 'write_weights'"):
        attach(model, fields=["write_weight"])


def test_a_field_out_of_reach_is_an_error(attach, model):
    with pytest.raises(MissingFieldError, match="usage"):
        attach(model, fields=["usage"])


def test_fields_by_name_record_nothing_else(attach, model, batch, trace_of):
    recorder = attach(model, fields=["write_weights", "cell/final/memory", "model/output"])
    model(batch)
    record = trace_of(recorder)[0]
    assert set(record.stored) == {"cell/write_weights", "cell/final/memory", "model/output"}
    assert record["cell/final/memory"].shape == (1, 4, 3)


def test_a_second_run_goes_beside_the_first(attach, model, batch, tmp_path, caplog):
    attach(model).close()
    second = attach(model)
    assert second.path == tmp_path / "run-2"
    assert "holds a trace already" in caplog.text


def test_resume_continues_steps_and_records(attach, model, batch, trace_of):
    first = attach(model)
    for _ in range(3):
        model(batch)
    first.log(step=4, loss=1.0)
    first.close()
    second = attach(model, resume=True)
    model(batch)
    trace = trace_of(second)
    assert second.path == first.path
    assert trace.steps.tolist() == [0, 1, 2, 5]


def test_a_path_that_cannot_be_written_is_an_error_at_attach(model, tmp_path, attach):
    (tmp_path / "run").write_text("a file")
    with pytest.raises((TraceError, OSError)):
        attach(model)
    assert not model._forward_pre_hooks


@pytest.mark.parametrize("ranks", [1, [1, 2]])
def test_a_rank_that_does_not_record_gets_a_silent_recorder(attach, model, batch, tmp_path, ranks):
    with attach(model, ranks=ranks) as recorder:
        model(batch)
        recorder.log(loss=1.0)
        assert recorder.flush()
        assert recorder.path is None
        assert "does not record" in recorder.explain()
    assert not list(tmp_path.iterdir())


def test_data_parallel_over_several_devices_is_refused(model, tmp_path):
    parallel = nn.DataParallel(model)
    parallel.device_ids = [0, 1]
    with pytest.raises(RecorderError, match="DistributedDataParallel"):
        memviz.attach(parallel, tmp_path / "run")


@pytest.mark.parametrize("wrap", [nn.DataParallel, nn.Sequential])
def test_memories_of_a_wrapped_model_keep_their_names(attach, model, batch, trace_of, wrap):
    recorder = attach(wrap(model))
    recorder._model(batch)
    expected = "cell" if wrap is nn.DataParallel else "0.cell"
    assert set(trace_of(recorder).memories) == {expected, "model"}


def test_importing_memviz_and_its_attach_does_not_seed_or_draw(attach, model):
    before = torch.get_rng_state()
    attach(model)
    assert torch.equal(before, torch.get_rng_state())
