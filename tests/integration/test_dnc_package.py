"""The PyPI package `dnc`, unmodified: what is recorded equals what its own debug=True reports."""

from __future__ import annotations

import inspect
import warnings

import numpy as np
import pytest
import torch

import memviz
from memviz.recorders.adapters.dnc import DNCAdapter

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its source has escape sequences that Python warns about when it compiles them
    dnc = pytest.importorskip("dnc")
pytestmark = pytest.mark.thirdparty

DEBUG_NAMES = {
    "memory": "memory",
    "link_matrix": "link_matrix",
    "precedence_weights": "precedence",
    "read_weights": "read_weights",
    "write_weights": "write_weights",
    "usage": "usage_vector",
}
BATCH, TIMES, BITS, SLOTS, WORDS, HEADS = 3, 7, 6, 16, 5, 4
CONFIGURATIONS = {
    "one layer": {},
    "two layers share": {"num_layers": 2},
    "three layers share, separate linears": {"num_layers": 3, "independent_linears": True},
    "two layers of their own": {"num_layers": 2, "share_memory": False},
    "gru": {"rnn_type": "gru"},
    "rnn, time first": {"rnn_type": "rnn", "batch_first": False},
    "separate linears, one head": {"independent_linears": True, "read_heads": 1},
    "no clipping, deep controller": {"clip": 0, "num_hidden_layers": 3},
}


def make(**options):
    torch.manual_seed(0)
    options = {"nr_cells": SLOTS, "cell_size": WORDS, "read_heads": HEADS, "num_hidden_layers": 1, **options}
    return dnc.DNC(BITS, 12, **options)


def sequence(model):
    torch.manual_seed(1)
    x = torch.rand(BATCH, TIMES, BITS)
    return x if model.batch_first else x.transpose(0, 1)


def layers_of(model):
    return [f"layer{layer}" for layer in range(model.num_layers)]


@pytest.fixture
def attach(tmp_path):
    made = []

    def attach_every_step(model, **options):
        made.append(memviz.attach(model, tmp_path / "run", **{"every": 1, **options}))
        return made[-1]

    yield attach_every_step
    for recorder in made:
        recorder.close()


def record_of(recorder, index=0):
    recorder.close()
    return memviz.open(recorder.path)[index]


@pytest.mark.parametrize("options", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_the_record_equals_debug(attach, options):
    model = make(debug=True, **options)
    recorder = attach(model, fields="all")
    _, _, debug = model(sequence(model))
    record = record_of(recorder)
    for field, name in DEBUG_NAMES.items():
        for number, layer in enumerate(layers_of(model)):
            rows = debug[name][number :: model.num_layers]
            values = record[f"{layer}/{field}"]
            assert len(values) == TIMES
            assert np.array_equal(values.reshape(TIMES, -1), rows), (layer, field)


@pytest.mark.parametrize("options", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_every_promised_field_arrives_with_the_axes_of_the_catalogue(attach, options):
    model = make(**options)
    recorder = attach(model, fields="all", batch="all")
    model(sequence(model))
    record = record_of(recorder)
    lengths = {
        "time": TIMES,
        "batch": BATCH,
        "slot": SLOTS,
        "slot_to": SLOTS,
        "slot_from": SLOTS,
        "word": WORDS,
        "read_head": model.read_heads,
        "write_head": 1,
        "mode": 3,
    }
    for plan in DNCAdapter().plan(model, ""):
        for probe in plan.probes:
            if probe.field.startswith("initial/"):
                continue  # zero in this package, so not stored
            name = f"{plan.name}/{probe.field}"
            expected = tuple(lengths[axis] for axis in memviz_axes(probe.field))
            assert record.shape(name) == expected, name


def memviz_axes(field):
    from memviz.fields import lookup

    return lookup(field).axes


def interface_of(memory, xi):
    """The interface of one call as the package computes it, from the arguments of its own write and read."""
    seen = {}
    write, read = memory.write, memory.read

    def spy(function):
        def call(*args):
            seen.update(zip(inspect.signature(function).parameters, args, strict=True))
            return function(*args)

        return call

    memory.write, memory.read = spy(write), spy(read)
    try:
        memory(xi, memory.reset(len(xi)))
    finally:
        del memory.write, memory.read
    return seen


@pytest.mark.parametrize("independent", [False, True])
def test_keys_strengths_gates_and_modes_are_what_the_memory_used(attach, independent):
    model = make(independent_linears=independent)
    memory = model.memories[0]
    controller = []
    memory.register_forward_pre_hook(lambda module, args: controller.append(args[0].detach()))
    recorder = attach(model, batch="all")
    model(sequence(model))
    record = record_of(recorder)
    for time, xi in enumerate(list(controller)):
        used = interface_of(memory, xi)
        expected = {
            "read_keys": used["read_keys"],
            "read_strengths": used["read_strengths"],
            "write_keys": used["write_key"],
            "write_strengths": used["write_strength"].view(BATCH, 1),
            "erase_vectors": used["erase_vector"],
            "write_vectors": used["write_vector"],
            "free_gates": used["free_gates"],
            "write_gate": used["write_gate"],
            "allocation_gate": used["allocation_gate"],
            "read_modes": used["read_modes"][..., [0, 2, 1]],
        }
        for field, value in expected.items():
            assert np.array_equal(record[field][time], value.detach().numpy()), (field, time)


def test_read_modes_are_reordered_so_that_they_compose_the_read_weights(attach):
    model = make()
    recorder = attach(model, fields="all", batch="all")
    model(sequence(model))
    record = record_of(recorder)
    backward, content, forward = np.moveaxis(record["read_modes"], -1, 0)
    composed = (
        backward[..., None] * record["backward_weights"][..., 0, :]
        + content[..., None] * record["read_content_weights"]
        + forward[..., None] * record["forward_weights"][..., 0, :]
    )
    assert np.allclose(composed, record["read_weights"], rtol=0, atol=1e-6)


def test_gates_compose_the_write_weights(attach):
    model = make(num_layers=2)
    recorder = attach(model, fields="all", batch="all")
    model(sequence(model))
    record = record_of(recorder)
    for layer in layers_of(model):
        get = lambda name, layer=layer: record[f"{layer}/{name}"]  # noqa: E731
        share = get("allocation_gate")[..., None]
        mixed = share * get("allocation_weights") + (1 - share) * get("write_content_weights")
        assert np.allclose(get("write_gate")[..., None] * mixed, get("write_weights"), rtol=0, atol=1e-6)


@pytest.mark.parametrize("options", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_training_is_the_same_bit_for_bit(attach, options):
    plain, recorded = make(**options), make(**options)
    recorder = attach(recorded, fields="all", batch="all", policy="block")
    results = []
    for model in (plain, recorded):
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        torch.manual_seed(2)
        x, hidden = sequence(model), None
        for _ in range(3):
            output, hidden = model(x, hidden or (None, None, None), reset_experience=True)
            hidden = detached(hidden)
            optimizer.zero_grad()
            output.square().mean().backward()
            optimizer.step()
        results.append((output, [p.grad for p in model.parameters()], list(model.parameters()), torch.rand(1)))
    for first, second in zip(flat(results[0]), flat(results[1]), strict=True):
        assert (first is None and second is None) or torch.equal(first, second)
    recorder.flush()
    assert recorder.stats().recorded == 3


def flat(result):
    output, gradients, parameters, random = result
    return [output, *gradients, *parameters, random]


def detached(value):
    if isinstance(value, torch.Tensor):
        return value.detach()
    if isinstance(value, dict):
        return {key: detached(item) for key, item in value.items()}
    return type(value)(detached(item) for item in value)


def test_the_whole_batch_equals_item_by_item(attach):
    model = make(num_layers=2)
    recorder = attach(model, fields="all", batch="all")
    single = [attach(model, fields="all", batch=item) for item in range(BATCH)]
    torch.manual_seed(3)
    model(sequence(model))
    whole = record_of(recorder)
    for item, one in enumerate(single):
        record = record_of(one)
        assert list(record.batch) == [item]
        for name in whole.stored:
            axis = whole.schema(name).axes.index("batch")
            of_item = np.take(whole[name], [item], axis)
            if name.endswith("memory_influence"):  # a product of matrices, which rounds by the size of the batch
                assert np.allclose(of_item, record[name], rtol=1e-5), name
            else:
                assert np.array_equal(of_item, record[name]), name


def test_default_fields_derive_the_state_as_the_package_computed_it(attach):
    model = make(debug=True, num_layers=2, share_memory=False)
    recorder = attach(model)
    x = sequence(model)
    _, hidden, _ = model(x)
    _, _, debug = model(x, detached(hidden))  # the second sequence starts from a state
    record = record_of(recorder, 1)
    for layer in layers_of(model):
        assert record.is_derived(f"{layer}/link_matrix")
        assert f"{layer}/initial/memory" in record.stored
    for field, name in DEBUG_NAMES.items():
        for number, layer in enumerate(layers_of(model)):
            rows = debug[name][number::2]
            derived = record[f"{layer}/{field}"].reshape(TIMES, -1)
            assert np.allclose(derived, rows, rtol=0, atol=1e-5), (layer, field)


def test_a_shared_memory_has_no_law_so_its_state_is_stored(attach):
    model = make(num_layers=2)
    recorder = attach(model)
    model(sequence(model))
    record = record_of(recorder)
    for layer in layers_of(model):
        assert set(DEBUG_NAMES) <= {name.split("/", 1)[1] for name in record.stored if name.startswith(layer)}
    assert not any(record.is_derived(f"layer0/{field}") for field in DEBUG_NAMES)
    memories = memviz.open(recorder.path).memories
    assert memories["layer1"].law == ""
    assert memories["layer1"].attributes["shared_by_layers"] == 2


def test_schema_attributes_tell_the_memory(attach):
    model = make()
    recorder = attach(model)
    model(sequence(model))
    recorder.close()
    memory = memviz.open(recorder.path).memories["layer0"]
    assert memory.law == "dnc"
    assert (
        memory.attributes.items()
        >= {
            "class": "dnc.memory.Memory",
            "layer": 0,
            "slots": SLOTS,
            "words": WORDS,
            "read_heads": HEADS,
            "write_heads": 1,
            "allocation_delta": 1e-6,
            "cosine_delta": 1e-6,
        }.items()
    )


def test_input_and_output_follow_batch_first(attach):
    model = make(batch_first=False)
    recorder = attach(model, batch="all")
    x = sequence(model)
    output, _ = model(x)
    record = record_of(recorder)
    assert np.array_equal(record["model/input"], x.numpy())
    assert np.array_equal(record["model/output"], output.detach().numpy())


def test_a_memory_used_on_its_own_is_recorded(attach):
    class Own(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.store = dnc.Memory(12, SLOTS, WORDS, HEADS)

        def forward(self, x):
            hidden = self.store.reset(len(x))
            for time in range(x.shape[1]):
                vectors, hidden = self.store(x[:, time], hidden)
            return vectors

    model = Own()
    recorder = attach(model)
    model(torch.rand(BATCH, TIMES, 12))
    record = record_of(recorder)
    assert record.shape("store/read_weights") == (TIMES, 1, HEADS, SLOTS)


def test_a_memory_that_is_attached_itself_is_recorded(attach):
    memory = dnc.Memory(12, SLOTS, WORDS, HEADS)
    recorder = attach(memory)
    state = memory.reset(BATCH)
    for _ in range(2):
        _, state = memory(torch.rand(BATCH, 12), detached(state))
    record = record_of(recorder, 1)
    assert record.shape("memory/read_weights") == (1, 1, HEADS, SLOTS)
    assert record.shape("memory/initial/memory") == (1, SLOTS, WORDS)
    assert not memory._forward_hooks


def test_a_network_inside_a_model_is_recorded_under_its_path(attach):
    model = torch.nn.Sequential(make(), Last())
    recorder = attach(model)
    model(sequence(model[0]))
    recorder.close()
    assert set(memviz.open(recorder.path).memories) == {"0.layer0", "model"}


class Last(torch.nn.Module):
    def forward(self, result):
        return result[0]


def test_a_memory_that_is_passed_by_records_nothing_and_says_so(tmp_path):
    model = make()
    recorder = memviz.attach(model, tmp_path / "run", every=1)
    with pytest.warns(UserWarning, match="layer0 was not called"):
        model(sequence(model), pass_through_memory=False)
    recorder.close()
    assert set(memviz.open(recorder.path)[0].stored) == {"model/input", "model/output"}


def test_explain_names_what_is_recorded_derived_and_skipped(attach):
    text = attach(make(num_layers=2, share_memory=False)).explain()
    assert "dnc.Memory by adapter dnc, law dnc" in text
    assert f"{SLOTS} slots, {WORDS} words, {HEADS} read heads" in text
    assert "derives usage" in text
    assert "every step" in text
