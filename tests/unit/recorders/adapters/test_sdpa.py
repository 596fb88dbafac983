"""Attention of modules that call scaled_dot_product_attention, against the formula in numpy and the kernel's output."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import memviz
from memviz.recorders import shadow
from memviz.recorders.adapters.sdpa import ScaledDotProductAdapter, calls_attention

BATCH, HEADS, QUERIES, KEYS, WIDTH = 3, 4, 5, 7, 6


class Kernel(nn.Module):
    """Calls the function with what it is given, once per sequence of keys."""

    def forward(self, query, *keys, **options):
        return [functional.scaled_dot_product_attention(query, key, key, **options) for key in keys]


class Lookalike(nn.Module):
    def forward(self, x):
        return x


def reference(query, key, scale=None, mask=None, causal=False):
    """softmax(Q Kᵀ scale + mask) in float64; shapes as the function takes them."""
    query, key = query.double().numpy(), key.double().numpy()
    if key.ndim > 2 and key.shape[-3] != query.shape[-3]:
        key = np.repeat(key, query.shape[-3] // key.shape[-3], axis=-3)
    logits = query @ key.swapaxes(-1, -2) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if mask is not None:
        mask = mask.numpy()
        logits = np.where(mask, logits, -np.inf) if mask.dtype == bool else logits + mask
    if causal:
        logits = np.where(np.tri(*logits.shape[-2:], dtype=bool), logits, -np.inf)
    with np.errstate(invalid="ignore"):
        weights = np.exp(logits - logits.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
    return np.nan_to_num(weights)


def some(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


LOOK = torch.ones(QUERIES, KEYS, dtype=torch.bool).tril(1)
NOWHERE = LOOK.clone()
NOWHERE[2] = False
CASES = {
    "plain": {},
    "causal": {"is_causal": True},
    "scale": {"scale": 0.9},
    "mask": {"attn_mask": LOOK},
    "numbers to add": {"attn_mask": some(BATCH, HEADS, QUERIES, KEYS)},
    "a mask per item": {"attn_mask": some(BATCH, 1, 1, KEYS) > 0},
    "a query that may look nowhere": {"attn_mask": NOWHERE},
}


@pytest.mark.parametrize("case", CASES)
def test_weights_are_the_formula(case, recorded):
    options = CASES[case]
    query, key = some(BATCH, HEADS, QUERIES, WIDTH), some(BATCH, HEADS, KEYS, WIDTH)
    record = recorded(Kernel(), query, key, **options)
    expected = reference(query, key, options.get("scale"), options.get("attn_mask"), options.get("is_causal", False))
    assert np.allclose(record["attention"][0], expected, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_times_values_are_what_the_kernel_gave(dtype, recorded):
    query, key = some(BATCH, HEADS, QUERIES, WIDTH).to(dtype), some(BATCH, HEADS, KEYS, WIDTH).to(dtype)
    record = recorded(Kernel(), query, key)
    given = functional.scaled_dot_product_attention(query, key, key)
    assert np.allclose(
        record["attention"][0] @ key.float().numpy(), given.float(), atol=1e-6 if dtype == torch.float32 else 2e-2
    )


def test_grouped_queries(recorded):
    query, key = some(BATCH, HEADS, QUERIES, WIDTH), some(BATCH, 2, KEYS, WIDTH)
    record = recorded(Kernel(), query, key, enable_gqa=True)
    assert np.allclose(record["attention"][0], reference(query, key), atol=1e-6)


@pytest.mark.parametrize("shape", [(), (BATCH,), (2, BATCH, HEADS)], ids=["2 axes", "3 axes", "5 axes"])
def test_other_numbers_of_axes(shape, recorded):
    query, key = some(*shape, QUERIES, WIDTH), some(*shape, KEYS, WIDTH)
    record = recorded(Kernel(), query, key)
    expected = reference(query, key)
    size = shape[0] if shape else 1
    assert np.allclose(record["attention"][0], expected.reshape(size, -1, QUERIES, KEYS), atol=1e-6)


def test_each_call_is_a_time_and_keys_may_grow(recorded):
    query, keys = some(BATCH, HEADS, QUERIES, WIDTH), [some(BATCH, HEADS, n, WIDTH) for n in (2, 3, KEYS)]
    record = recorded(Kernel(), query, *keys)
    assert record["attention"].shape == (3, BATCH, HEADS, QUERIES, KEYS)
    for time, key in enumerate(keys):
        length = key.shape[2]
        assert np.allclose(record["attention"][time, ..., :length], reference(query, key), atol=1e-6)
        assert not record["attention"][time, ..., length:].any()


def test_a_large_attention_is_thinned_to_evenly_spaced_queries(recorded, monkeypatch):
    monkeypatch.setattr(shadow, "LIMIT", 4 * HEADS * KEYS * 3)
    query, key = some(BATCH, HEADS, QUERIES, WIDTH), some(BATCH, HEADS, KEYS, WIDTH)
    mask = some(QUERIES, KEYS) > 0
    record = recorded(Kernel(), query, key, attn_mask=mask)
    assert record["query_positions"][0].tolist() == [[0, 2, 4]] * BATCH
    assert np.allclose(record["attention"][0], reference(query, key, mask=mask)[:, :, [0, 2, 4]], atol=1e-6)


def test_only_the_items_that_were_asked_for_are_computed(recorded, monkeypatch):
    seen = []
    attention = shadow.attention
    monkeypatch.setattr(shadow, "attention", lambda *args: seen.append(attention(*args)) or seen[-1])
    query, key = some(BATCH, HEADS, QUERIES, WIDTH), some(BATCH, HEADS, KEYS, WIDTH)
    record = recorded(Kernel(), query, key, options={"batch": [1]})
    assert [one.shape[0] for one in seen] == [1]
    assert np.allclose(record["attention"][0, 0], reference(query, key)[1], atol=1e-6)


def test_modules_are_found_by_the_code_of_their_class():
    adapter = ScaledDotProductAdapter()
    assert adapter.matches(Kernel())
    assert not adapter.matches(Lookalike())
    assert not calls_attention(nn.Linear), "what torch itself does is known to other adapters"


def test_the_kernel_that_runs_is_said_to_be_unchanged(tmp_path):
    with memviz.attach(Kernel(), tmp_path / "run", every=1) as recorder:
        assert "the kernel runs unchanged" in " ".join(recorder.explain().split())
        recorder.model(some(1, 1, 2, 3), some(1, 1, 2, 3))
