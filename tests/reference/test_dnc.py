"""The torch DNC against the plain numpy one: every internal, and the gradient against finite differences of it."""

from __future__ import annotations

import collections

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import memviz
from memviz.demos.models import DNC
from memviz.demos.models.dnc_state import MemoryState
from memviz.demos.reference import dnc as reference
from memviz.fields import CATALOGUE, bare_name

SHARED = ("rnn_type", "nonlinearity", "clip", "masking", "deallocation", "link_sharpening", "wiring")
"""Options that the reference is told; it finds the others in the names of the weights."""


def sharpened(model, factor=4.0):
    """Larger weights than the initial ones, so that no weighting is flat and every gate moves."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(factor)
    return model.double().eval()


def weights_of(model):
    return {name: value.numpy() for name, value in model.state_dict().items()}


def internals(model, x, state=None, **options):
    """Output and everything tapped while the model runs over x, each [time, batch, ...], and the state afterwards."""
    seen = collections.defaultdict(list)
    names = {id(memory): f"memory.{number}/" for number, memory in enumerate(model.memories())}
    at = [""]

    def enter(module, _):
        at[0] = names[id(module)] if len(names) > 1 else ""

    handles = [memory.register_forward_pre_hook(enter) for memory in model.memories()]

    def tap(name, value=None, axes=None):
        # What brings axes of its own is computed for recorders alone, from what the reference has too.
        for field, tensor in ({name: value} if isinstance(name, str) else name).items() if axes is None else ():
            seen[at[0] + field].append(tensor.detach().numpy())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memviz, "tap", tap, raising=False)
        output, after = model(x, state, **options)
    for handle in handles:
        handle.remove()
    seen = {name: values for name, values in seen.items() if not ("initial/" in name or "final/" in name)}
    batch_first = output if model.batch_first else output.swapaxes(0, 1)
    fields = {name: np.array(values) for name, values in seen.items()}
    return fields | {"output": batch_first.detach().numpy().swapaxes(0, 1)}, after


def arrays(state):
    """A state of the torch model as the reference takes it."""
    memories = [state.memory] if isinstance(state.memory, MemoryState) else state.memory
    return (
        [[part.detach().numpy() for part in layer] for layer in state.controller_hidden],
        [{name: value.detach().numpy() for name, value in memory._asdict().items()} for memory in memories],
        state.last_read.detach().numpy(),
    )


def begun(model, batch):
    """A state as it is amid a sequence. No two slots are alike: those that are in equal use stay so up to rounding,
    and rounding would then decide which is allocated first."""
    state = model.initial_state(batch)
    memories = []
    for memory in listed(state.memory):
        values = {name: torch.rand_like(value) for name, value in memory._asdict().items()}
        for name in ("link_matrix", "precedence_weights", "read_weights", "write_weights"):
            values[name] = values[name] / (values[name].sum(-1, keepdim=True) + 0.2)
        values["link_matrix"] = values["link_matrix"] / len(memory.usage.T)
        values["link_matrix"].diagonal(dim1=-2, dim2=-1).zero_()
        values["memory"] = torch.randn_like(memory.memory)
        memories.append(MemoryState(**values))
    hidden = tuple(tuple(torch.randn_like(part) for part in layer) for layer in state.controller_hidden)
    held = memories[0] if isinstance(state.memory, MemoryState) else tuple(memories)
    return state._replace(controller_hidden=hidden, memory=held, last_read=torch.randn_like(state.last_read))


def listed(memory):
    return [memory] if isinstance(memory, MemoryState) else list(memory)


def assert_same(actual, expected):
    assert set(actual) == set(expected)
    for name, values in actual.items():
        assert values.ndim == len(CATALOGUE[bare_name(name)].axes), name
        # A controller of rectified units may emit numbers far above 1: what counts then is the relative error.
        np.testing.assert_allclose(values, expected[name], rtol=1e-10, atol=1e-10, err_msg=name)


flags = st.booleans()

OPTIONS = st.fixed_dictionaries(
    {
        "read_heads": st.integers(1, 3),
        "write_heads": st.integers(1, 2),
        "num_layers": st.integers(1, 3),
        "num_hidden_layers": st.integers(1, 2),
        "rnn_type": st.sampled_from(["lstm", "gru", "rnn"]),
        "nonlinearity": st.sampled_from(["tanh", "relu"]),
        "clip": st.sampled_from([0.0, 0.3, 20.0]),
        "bias": flags,
        "dropout": st.sampled_from([0.0, 0.5]),
        "independent_linears": flags,
        "share_memory": flags,
        "masking": flags,
        "deallocation": flags,
        "link_sharpening": flags,
        "wiring": st.sampled_from(["paper", "package"]),
        "batch_first": flags,
    }
)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    batch=st.integers(1, 2),
    time=st.integers(1, 4),
    slots=st.integers(1, 6),
    words=st.integers(1, 4),
    options=OPTIONS,
)
def test_every_internal_agrees_with_the_reference(seed, batch, time, slots, words, options):
    torch.manual_seed(seed)
    unbounded = options["rnn_type"] == "rnn" and options["nonlinearity"] == "relu"
    # Rectified units would saturate gates to exactly 1, and then two slots are in exactly equal use.
    model = sharpened(DNC(3, 5, 2, nr_cells=slots, cell_size=words, **options), 1.5 if unbounded else 4.0)
    x = torch.randn(batch, time, 3, dtype=torch.float64)
    state = begun(model, batch)

    told = {name: options[name] for name in (*SHARED, "read_heads", "write_heads")}
    expected = reference.run(x.numpy(), weights_of(model), slots=slots, words=words, state=arrays(state), **told)
    actual, after = internals(model, x if model.batch_first else x.swapaxes(0, 1), state)
    assert_same(actual, expected)
    for number, memory in enumerate(listed(after.memory)):
        prefix = "" if len(listed(after.memory)) == 1 else f"memory.{number}/"
        for name, value in memory._asdict().items():
            np.testing.assert_allclose(value.detach().numpy(), expected[prefix + name][-1], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("wiring", ["paper", "package"])
def test_the_controller_alone_agrees(wiring):
    torch.manual_seed(0)
    sizes = {"nr_cells": 5, "cell_size": 4, "read_heads": 2}
    model = sharpened(DNC(3, 8, num_layers=2, **sizes, wiring=wiring))
    x, state = torch.randn(2, 3, 3, dtype=torch.float64), begun(model, 2)
    expected = reference.run(
        x.numpy(),
        weights_of(model),
        slots=5,
        words=4,
        read_heads=2,
        wiring=wiring,
        state=arrays(state),
        pass_through_memory=False,
    )
    actual, after = internals(model, x, state, pass_through_memory=False)
    assert_same(actual, expected)
    assert set(actual) == {"output"}
    for before, value in zip(state.memory, after.memory, strict=True):
        assert torch.equal(before, value)


@pytest.mark.parametrize("wiring", ["paper", "package"])
def test_the_first_time_agrees_from_the_initial_state(wiring):
    torch.manual_seed(0)
    model = sharpened(DNC(3, 8, nr_cells=5, cell_size=4, read_heads=2, wiring=wiring))
    x = torch.randn(2, 1, 3, dtype=torch.float64)
    actual, _ = internals(model, x)
    assert_same(actual, reference.run(x.numpy(), weights_of(model), slots=5, words=4, read_heads=2, wiring=wiring))


EXTREMES = [
    pytest.param({}, id="plain"),
    pytest.param({"write_heads": 2, "num_layers": 2}, id="shared"),
    pytest.param(
        {"masking": True, "deallocation": True, "link_sharpening": True, "num_layers": 2, "share_memory": False},
        id="mds",
    ),
    pytest.param({"wiring": "package", "rnn_type": "gru", "independent_linears": True}, id="package"),
]


@pytest.mark.parametrize("options", EXTREMES)
def test_the_gradient_agrees_with_finite_differences_of_the_reference(options):
    """Along random directions in the space of all parameters, the input and the memory before the first time."""
    torch.manual_seed(1)
    sizes = {"nr_cells": 4, "cell_size": 3, "read_heads": 2}
    model = DNC(2, 3, 2, **sizes, **options).double()
    x = torch.randn(2, 4, 2, dtype=torch.float64, requires_grad=True)
    state = begun(model, 2)
    for memory in listed(state.memory):
        memory.memory.requires_grad_()
    loss_weights = np.random.default_rng(0).normal(size=(4, 2, 2))

    output, after = model(x, state)
    # The state afterwards counts too, so that a gradient lost in the last links or usage shows.
    loss = (output.swapaxes(0, 1) * torch.from_numpy(loss_weights)).sum()
    for memory in listed(after.memory):
        loss = loss + memory.link_matrix.square().sum() + memory.usage.square().sum() + memory.memory.square().sum()
    starts = [memory.memory for memory in listed(state.memory)]
    names, parameters = zip(*model.named_parameters(), strict=True)
    gradients = torch.autograd.grad(loss, [x, *starts, *parameters])
    told = {name: options[name] for name in (*SHARED, "write_heads") if name in options}
    controller, memories, last_read = arrays(state)

    def plain(step, directions):
        moved = [v.detach().numpy() + step * d for v, d in zip((x, *starts, *parameters), directions, strict=True)]
        held = [m | {"memory": value} for m, value in zip(memories, moved[1 : 1 + len(starts)], strict=True)]
        weights = dict(zip(names, moved[1 + len(starts) :], strict=True))
        result = reference.run(
            moved[0], weights, slots=4, words=3, read_heads=2, state=(controller, held, last_read), **told
        )
        total = (result["output"] * loss_weights).sum()
        for name, values in result.items():
            if bare_name(name) in ("link_matrix", "usage", "memory"):
                total += (values[-1] ** 2).sum()
        return total

    rng = np.random.default_rng(2)
    for _ in range(6):
        directions = [rng.normal(size=tuple(value.shape)) for value in (x, *starts, *parameters)]
        expected = (plain(1e-5, directions) - plain(-1e-5, directions)) / 2e-5
        actual = sum(float((g.numpy() * d).sum()) for g, d in zip(gradients, directions, strict=True))
        assert actual == pytest.approx(expected, rel=1e-6, abs=1e-7)


def test_the_reference_run_opens_beside_the_recorded_one(tmp_path):
    """Two memories: same names, same fields, same values, by the comparison that the dashboard shows."""
    torch.manual_seed(3)
    options = {"masking": True, "deallocation": True, "link_sharpening": True}
    model = sharpened(DNC(3, 6, 2, nr_cells=5, cell_size=4, num_layers=2, share_memory=False, **options))
    x, state = torch.randn(2, 6, 3, dtype=torch.float64), begun(model, 2)
    with memviz.attach(model, tmp_path / "torch", every=1, batch="all", fields="all"), torch.no_grad():
        model(x, state)
    path = reference.write_trace(
        tmp_path / "reference", x.numpy(), weights_of(model), slots=5, words=4, state=arrays(state), **options
    )
    ours, theirs = memviz.open(tmp_path / "torch")[-1], memviz.open(path)[-1]
    assert set(ours.memories) == set(theirs.memories) == {"model", "memory.0", "memory.1"}
    found = memviz.compare(ours, theirs)
    assert found.same, found.text()
    assert {memory.alignment.moved for memory in found.memories} == {0}
    np.testing.assert_allclose(ours["model/output"], theirs["model/output"], rtol=0, atol=1e-10)
    link = theirs["memory.1/link_matrix"]
    assert link.dtype == np.float64
