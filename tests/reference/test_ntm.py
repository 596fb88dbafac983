"""The torch NTM against the plain numpy one, internal by internal, and gradients against finite differences."""

from __future__ import annotations

import collections

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import memviz
from memviz.demos.models.ntm import NTM
from memviz.demos.models.ntm_options import TANH_FIELDS, Dialect, Start
from memviz.demos.reference import ntm as reference
from memviz.fields import CATALOGUE

SETTINGS = ("rnn_type", "clip", "heads_see", "output_sees", "output_activation")
DIALECT = ("strengths", "sharpening", "erase", "bounded_by_tanh", "cosine_delta", "normalizing_delta")
DOUBLE = torch.float64


def sharpened(model):
    """Larger weights than the initial ones, so that no weighting is flat and every gate moves."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    return model


def internals(model, x, state=None):
    """Output and everything tapped while the model runs over x, each [time, batch, ...]; and the initial state."""
    seen = collections.defaultdict(list)

    def tap(name, value=None, axes=None):
        # What brings axes of its own is computed for recorders alone, from what the reference has too.
        for field, tensor in ({name: value} if isinstance(name, str) else name).items() if axes is None else ():
            seen[field].append(tensor.detach().numpy())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memviz, "tap", tap, raising=False)
        output, _ = model(x, state)
    keyframes = {name: seen.pop(name) for name in list(seen) if "/" in name}
    np.testing.assert_array_equal(keyframes["final/memory"][-1], seen["memory"][-1])
    values = {name: np.array(values) for name, values in seen.items()}
    output = output.detach().numpy()
    return values | {"output": output.swapaxes(0, 1) if model.batch_first else output}, keyframes


def expected(model, x, state, options, waits=None):
    """What the reference gives for the same parameters, from the same state."""
    dialect = options.get("dialect", Dialect())
    known = {"write_order": options.get("write_order", "parallel"), "shifts": options.get("shifts", (-1, 0, 1))}
    return reference.run(
        x.numpy() if model.batch_first else x.numpy().swapaxes(0, 1),
        {name: value.numpy() for name, value in model.state_dict().items()},
        **{name: value.detach().numpy() for name, value in state.memory._asdict().items()},
        read_vectors=state.read_vectors.detach().numpy(),
        **{name: options[name] for name in SETTINGS if name in options},
        options=reference.Options(**known, waits=waits, **{name: getattr(dialect, name) for name in DIALECT}),
    )


def assert_same(actual, expected):
    assert set(actual) == set(expected)
    for name, values in actual.items():
        assert values.ndim == len(CATALOGUE[name].axes), name
        np.testing.assert_allclose(values, expected[name], rtol=0, atol=1e-10, err_msg=name)


DIALECTS = st.builds(
    Dialect,
    strengths=st.sampled_from(["softplus", "oneplus"]),
    sharpening=st.sampled_from(["softplus", "sigmoid"]),
    erase=st.sampled_from(["sigmoid", "ones"]),
    bounded_by_tanh=st.lists(st.sampled_from(TANH_FIELDS), unique=True).map(tuple),
    cosine_delta=st.sampled_from([0.0, 1e-16, 1e-5]),
    normalizing_delta=st.sampled_from([0.0, 1e-16, 1e-3]),
)
STARTS = st.sampled_from(["constant", "learned"]) | st.builds(
    Start,
    memory=st.sampled_from(["constant", "learned", "sigmoid", "random"]),
    read_vectors=st.sampled_from(["zero", "learned", "random", "redrawn"]),
    weights=st.sampled_from(["first_slot", "zero", "learned", "random"]),
    controller=st.sampled_from(["zero", "learned"]),
    value=st.sampled_from([1e-6, 0.5]),
)


@st.composite
def configurations(draw):
    """Sizes and options of a model, and for each read head how many write heads come before it."""
    reads, writes = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    order = draw(st.sampled_from(["after_write", "before_write", "in_turn", "listed"]))
    waits = {
        "after_write": [writes] * reads,
        "before_write": [0] * reads,
        "in_turn": [min(head, writes) for head in range(reads)],
        "listed": draw(st.lists(st.integers(0, writes), min_size=reads, max_size=reads)),
    }[order]
    between = bool(set(waits) - {0, writes})
    rnn_type = draw(st.sampled_from(["lstm", "gru", "rnn", "feedforward"]))
    options = {
        "rnn_type": rnn_type,
        "num_layers": draw(st.integers(1, 2)),
        "nr_cells": draw(st.integers(1, 6)),
        "cell_size": draw(st.integers(1, 4)),
        "read_heads": reads,
        "write_heads": writes,
        "batch_first": draw(st.booleans()),
        "clip": draw(st.sampled_from([0.0, 0.3, 20.0])),
        "shifts": tuple(draw(st.lists(st.integers(-3, 3), unique=True, min_size=1, max_size=4))),
        "write_order": draw(st.sampled_from(["series"] if between else ["parallel", "series", "last"])),
        "read_order": waits if order == "listed" else order,
        "initial_state": draw(STARTS),
        "heads_see": draw(st.sampled_from(["output", "cell"])) if rnn_type == "lstm" else "output",
        "output_sees": draw(st.sampled_from(["controller and reads", "controller"])),
        "output_activation": draw(st.sampled_from(["none", "sigmoid"])),
        "dialect": draw(DIALECTS),
    }
    return options, waits


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), batch=st.integers(1, 3), time=st.integers(1, 5), made=configurations())
def test_every_internal_agrees_with_the_reference(seed, batch, time, made):
    options, waits = made
    torch.manual_seed(seed)
    model = sharpened(NTM(3, 6, 2, **options).double())
    x = torch.randn(*((batch, time) if model.batch_first else (time, batch)), 3, dtype=DOUBLE)
    state = model.initial_state(batch)
    actual, keyframes = internals(model, x, state)
    assert_same(actual, expected(model, x, state, options, waits))
    for name, value in (*state.memory._asdict().items(), ("read_vectors", state.read_vectors)):
        np.testing.assert_array_equal(keyframes[f"initial/{name}"][0], value.detach().numpy())


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    name=st.sampled_from(["diffmem", "pytorch-ntm", "ntm-pytorch"]),
    heads=st.integers(1, 2),
    slots=st.integers(3, 6),
)
def test_presets_agree_with_the_reference(seed, name, heads, slots):
    torch.manual_seed(seed)
    model = NTM.preset(name, 3, 6, 2, read_heads=heads, nr_cells=slots, cell_size=4).double()
    x = torch.randn(2, 4, 3, dtype=DOUBLE)
    state = model.initial_state(2)
    options = {
        "diffmem": {
            "rnn_type": "feedforward",
            "shifts": (0, 1, -1),
            "write_order": "last",
            "output_sees": "controller",
            "dialect": Dialect(sharpening="sigmoid", bounded_by_tanh=TANH_FIELDS, cosine_delta=1e-5),
        },
        "pytorch-ntm": {"dialect": Dialect(cosine_delta=1e-16, normalizing_delta=1e-16)},
        "ntm-pytorch": {
            "heads_see": "cell",
            "dialect": Dialect(erase="ones", cosine_delta=1e-16, normalizing_delta=1e-16),
        },
    }[name]
    in_turn = {} if name == "diffmem" else {"clip": 0, "shifts": (1, 0, -1), "write_order": "series"}
    waits = [0] * heads if name == "diffmem" else range(heads)
    actual, _ = internals(model, x, state)
    assert_same(actual, expected(model, x, state, {"output_activation": "sigmoid", **in_turn, **options}, waits))


@pytest.mark.parametrize(
    "options",
    [
        {"read_heads": 2, "initial_state": "learned"},
        {"rnn_type": "feedforward", "write_heads": 2, "write_order": "series", "read_order": "before_write"},
        {"read_heads": 2, "write_heads": 2, "write_order": "series", "read_order": "in_turn", "heads_see": "cell"},
        {"write_heads": 2, "write_order": "last", "shifts": (0, 1), "dialect": Dialect(normalizing_delta=0.1)},
    ],
    ids=["learned", "feedforward", "series", "last"],
)
def test_the_gradient_agrees_with_finite_differences(options):
    torch.manual_seed(0)
    # Away from the initial constant: next to a row of 1e-6 a finite difference leaves the linear range of the cosine.
    start = {"initial_state": Start(value=0.3)} | options
    model = NTM(2, 3, 2, nr_cells=3, cell_size=2, **start).double()
    names, values = zip(*model.named_parameters(), strict=True)

    def loss(x, *parameters):
        output, state = torch.func.functional_call(model, dict(zip(names, parameters, strict=True)), (x,))
        return output.square().sum() + state.memory.memory.square().sum() + state.memory.read_weights.square().sum()

    x = torch.randn(1, 3, 2, dtype=DOUBLE, requires_grad=True)
    assert torch.autograd.gradcheck(loss, (x, *values), eps=1e-6, atol=1e-5, fast_mode=True)


def test_the_gradient_agrees_with_finite_differences_of_the_reference():
    torch.manual_seed(1)
    options = {"read_heads": 2, "write_heads": 2, "write_order": "series", "initial_state": Start(value=0.3)}
    model = sharpened(NTM(2, 4, 2, nr_cells=4, cell_size=3, **options).double())
    x = torch.randn(2, 3, 2, dtype=DOUBLE)
    model(x)[0].square().sum().backward()
    state = model.initial_state(2)
    rng = np.random.default_rng(0)
    for parameter in model.parameters():
        index = tuple(int(rng.integers(length)) for length in parameter.shape)
        sides = []
        for step in (1e-6, -1e-6):
            with torch.no_grad():
                parameter[index] += step
                sides.append(np.square(expected(model, x, state, options)["output"]).sum())
                parameter[index] -= step
        assert parameter.grad[index].item() == pytest.approx((sides[0] - sides[1]) / 2e-6, rel=1e-4, abs=1e-7)
