"""product-key-memory: the slots and weights recorded are the top k of all num_keys² scores, worked out in full."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

pytestmark = pytest.mark.thirdparty

BATCH, TIMES, WIDTH, HEADS, KEYS, TOP, CHANNELS = 2, 5, 8, 2, 6, 3, 4


def make(**options):
    from product_key_memory import PKM

    torch.manual_seed(0)
    options = {"heads": HEADS, "num_keys": KEYS, "topk": TOP, "dim_head": CHANNELS, **options}
    return PKM(WIDTH, **options).double().eval()


@pytest.fixture
def x():
    return torch.randn(BATCH, TIMES, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def best(model, x):
    """Indices and scores [time, batch, head, rank] of the best of all pairs of keys (Lample et al. 2019)."""
    queries = (x @ model.to_queries.weight.T).reshape(BATCH, TIMES, 2, HEADS, CHANNELS)
    queries = functional.layer_norm(queries, (CHANNELS,), model.norm.weight, model.norm.bias)
    first = torch.einsum("bthd,hnd->bthn", queries[:, :, 0], model.keys[:, :, 0])
    second = torch.einsum("bthd,hnd->bthn", queries[:, :, 1], model.keys[:, :, 1])
    scores = (first[..., :, None] + second[..., None, :]).flatten(-2).transpose(0, 1).detach().numpy()
    order = np.argsort(-scores, axis=-1)[..., :TOP]
    return order, np.take_along_axis(scores, order, -1)


def test_the_slots_read_are_the_best_of_all_pairs_of_keys(x, recorded):
    model = make()
    record = recorded(model, x)
    slots, scores = best(model, x)
    assert np.array_equal(record["read_indices"], slots)
    expected = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    assert np.allclose(record["read_values"], expected, atol=1e-12)
    memory = record.memories["memory"]
    assert (memory.attributes["slots"], memory.attributes["words"]) == (KEYS**2, WIDTH)


def test_gates_that_do_not_compete(x, recorded):
    model = make(non_competitive_gates=True)
    record = recorded(model, x)
    slots, scores = best(model, x)
    assert np.array_equal(record["read_indices"], slots)
    assert np.allclose(record["read_values"], np.maximum(scores, 0), atol=1e-12)


def test_values_that_are_combined_by_a_layer_of_their_own(x, recorded):
    model = make(concat_values_and_combine=True)
    record = recorded(model, x)
    assert np.array_equal(record["read_indices"], best(model, x)[0])


def test_what_was_read_adds_up_to_the_output(x, recorded):
    model = make()
    record = recorded(model, x)
    rows = model.values.weight.detach().numpy()[record["read_indices"]]
    assert np.allclose(
        (record["read_values"][..., None] * rows).sum((2, 3)).swapaxes(0, 1), model(x).detach(), atol=1e-12
    )


def test_one_item_of_the_batch(x, recorded):
    model = make()
    record = recorded(model, x, options={"batch": [1]})
    assert np.array_equal(record["read_indices"][:, 0], best(model, x)[0][:, 1])
