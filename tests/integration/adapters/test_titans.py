"""titans-pytorch: surprise, gates and weights against the recurrence of the paper, one chunk after the other.

S_n = η_n S_{n-1} - ∇ Σ θ ℓ(W_0; k, v)        W_n = (1 - α_n) W_{n-1} + S_n        (Behrouz et al. 2024, eq. 8 to 13)
"""

from __future__ import annotations

import importlib
import warnings

import numpy as np
import pytest
import torch
from torch.func import functional_call

pytestmark = pytest.mark.thirdparty

BATCH, TIMES, WIDTH, HEADS, CHUNK = 2, 9, 8, 2, 2


@pytest.fixture(scope="module")
def package():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return importlib.import_module("titans_pytorch")


@pytest.fixture
def make(package):
    def made(**options):
        torch.manual_seed(0)
        options = {"dim": WIDTH, "chunk_size": CHUNK, "heads": HEADS, "dim_head": 4, **options}
        return package.NeuralMemory(**options).double()

    return made


@pytest.fixture
def x():
    return torch.randn(BATCH, TIMES, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def split(value):
    """[batch, time, (head channel)] to [batch, head, time, channel]."""
    return value.unflatten(-1, (HEADS, -1)).transpose(1, 2)


def by_hand(model, x):
    """Every quantity of one pass over x: per token, per chunk, and per chunk and weight matrix."""
    chunks = x.shape[1] // CHUNK
    seq = model.store_norm(x[:, : chunks * CHUNK]).detach()
    means = seq.unflatten(1, (chunks, CHUNK)).mean(2)
    keys, values = split(model.to_keys(seq)), split(model.to_values(seq))
    rate = model.to_adaptive_step[0](seq).sigmoid().transpose(1, 2)
    decay = model.to_decay_factor[0](means).sigmoid().transpose(1, 2)
    has_momentum = model.to_momentum is not None
    carry = model.to_momentum[0](means).sigmoid().transpose(1, 2) if has_momentum else None
    names = model.memory_model_parameter_names
    found = {"step_size": rate, "decay_gate": decay, "surprise_loss": torch.zeros(BATCH, HEADS, chunks * CHUNK)}
    if has_momentum:
        found["momentum_gate"] = carry
    inside = {
        name: {
            key: np.zeros((chunks, BATCH, HEADS))
            for key in ("gradient_norm", "momentum_norm", "weight_norm", "update_norm")
        }
        for name in names
    }
    weights = {name: [] for name in names}
    for item in range(BATCH):
        for head in range(HEADS):
            start = {n: p[head].detach() for n, p in zip(names, model.memory_model_parameters, strict=True)}
            now, moment = dict(start), {name: torch.zeros_like(value) for name, value in start.items()}
            for n in range(chunks):
                here = slice(n * CHUNK, (n + 1) * CHUNK)
                given = {name: value.clone().requires_grad_() for name, value in start.items()}
                told = functional_call(model.memory_model, given, keys[item, head, here].detach()[None])[0]
                loss = (told - values[item, head, here].detach()).square().mean(-1)
                found["surprise_loss"][item, head, here] = loss.detach()
                gradients = torch.autograd.grad((loss * rate[item, head, here].detach()).sum(), list(given.values()))
                for name, gradient in zip(names, gradients, strict=True):
                    moment[name] = (carry[item, head, n] if has_momentum else 0) * moment[name] - gradient
                    after = (1 - decay[item, head, n]) * now[name] + moment[name]
                    numbers = {
                        "gradient_norm": gradient, "momentum_norm": moment[name], "weight_norm": after,
                        "update_norm": after - now[name],
                    }  # fmt: skip
                    for key, value in numbers.items():
                        inside[name][key][n, item, head] = value.detach().norm()
                    now[name] = after
                    weights[name].append(after.detach())
    return found, inside, weights


@pytest.mark.parametrize("options", [{}, {"momentum": False}, {"batch_size": 4}], ids=["", "no momentum", "in batches"])
def test_every_quantity_is_that_of_the_recurrence(options, make, x, recorded):
    model = make(**options)
    record = recorded(model, x)
    if "batch_size" in options:
        # A batch of four tokens ends with new weights to start from: the first batch is as without.
        tokens = options["batch_size"]
        found, inside, weights = by_hand(model, x[:, :tokens])
    else:
        tokens = TIMES // CHUNK * CHUNK
        found, inside, weights = by_hand(model, x)
    chunks = tokens // CHUNK
    for name, value in found.items():
        memory, times = ("memory.chunks", chunks) if name.endswith("gate") else ("memory", tokens)
        expected = value.permute(2, 0, 1).detach()
        assert np.allclose(record[f"{memory}/{name}"][:times], expected, atol=1e-6), name
    for parameter, values in inside.items():
        memory = f"memory.chunks.{parameter}"
        if not model.to_momentum:
            values.pop("momentum_norm")
        for name, expected in values.items():
            assert np.allclose(record[f"{memory}/{name}"][:chunks], expected, atol=1e-6), f"{memory}/{name}"
        fast = record[f"{memory}/fast_weights"][:chunks]
        shape = weights[parameter][0].shape
        expected = (
            torch.stack(weights[parameter])
            .unflatten(0, (BATCH, HEADS, chunks))
            .permute(2, 0, 1, *range(3, 3 + len(shape)))
        )
        assert np.allclose(fast.reshape(chunks, BATCH, HEADS, *shape), expected, atol=1e-6)


def test_the_last_weights_and_surprises_are_those_that_the_package_returns(make, x, recorded):
    model = make()
    _, state, (losses, rates) = model(x, return_surprises=True)
    record = recorded(model, x)
    assert np.allclose(record["memory/surprise_loss"], losses.permute(2, 0, 1).detach(), atol=1e-6)
    assert np.allclose(record["memory/step_size"], rates.permute(2, 0, 1).detach(), atol=1e-6)
    last, momentum = state.states
    for name in model.memory_model_parameter_names:
        sizes = last[name].unflatten(0, (BATCH, HEADS)).flatten(2).norm(dim=-1).detach()
        assert np.allclose(record[f"memory.chunks.{name}/weight_norm"][-1], sizes, atol=1e-6)
        sizes = momentum[name][0].unflatten(0, (BATCH, HEADS)).flatten(2).norm(dim=-1).detach()
        assert np.allclose(record[f"memory.chunks.{name}/momentum_norm"][-1], sizes, atol=1e-6)


def test_one_item_of_the_batch(make, x, recorded):
    model = make()
    whole, one = recorded(model, x), recorded(model, x, options={"batch": [1]})
    for name in one.stored:
        axis = one.schema(name).axes.index("batch")
        assert np.allclose(one[name], np.take(whole[name], [1], axis), atol=1e-6), name


def test_a_sequence_shorter_than_a_chunk_updates_nothing(make, x, tmp_path):
    import memviz

    model = make()
    with memviz.attach(model, tmp_path / "run", every=1, batch="all") as recorder:
        model(x[:, :1])
        model(x)
        assert recorder.stats().errors == 0, recorder.explain()
    last = memviz.open(tmp_path / "run")[-1]
    assert last["memory/surprise_loss"].shape == (TIMES // CHUNK * CHUNK, BATCH, HEADS)
