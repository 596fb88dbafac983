"""Each kind of memory against its equation written out, and the residual that finds where a recording breaks it."""

from __future__ import annotations

import numpy as np
import pytest

from memviz.analysis.array_record import ArrayRecord
from memviz.analysis.lineage.scan import contributions, delta_contributions
from memviz.analysis.replay import derive
from memviz.analysis.updates import DeltaRule, EraseAdd, episode, residual, sparse_access

T, H, N, W = 9, 2, 6, 4


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def generators(rng):
    weights = rng.dirichlet(np.ones(N), size=(T, H))
    return weights, rng.normal(size=(T, H, W)), rng.random((T, H, W))


@pytest.mark.parametrize("series", [False, True])
@pytest.mark.parametrize("freeing", [False, True])
def test_erase_and_add_follows_its_equation(rng, series, freeing):
    weights, vectors, erase = generators(rng)
    retention = rng.random((T, N)) if freeing else None
    update = EraseAdd.of(weights, vectors, erase, retention=retention, series=series)
    memory = first = rng.normal(size=(N, W))
    states = list(update.replay(first))
    assert len(states) == T * update.steps_per_time
    for t in range(T):
        memory = memory * retention[t][:, None] if freeing else memory
        keep = [1 - np.outer(weights[t, h], erase[t, h]) for h in range(H)]
        added = [np.outer(weights[t, h], vectors[t, h]) for h in range(H)]
        memory = (
            (memory * keep[0] + added[0]) * keep[1] + added[1] if series else memory * keep[0] * keep[1] + sum(added)
        )
        np.testing.assert_allclose(states[(t + 1) * update.steps_per_time - 1], memory, atol=1e-13)


def test_a_sparse_memory_clears_whole_slots(rng):
    weights, vectors, _ = generators(rng)
    least_used = np.eye(N)[rng.integers(N, size=(T, H))]
    memory = first = rng.normal(size=(N, W))
    for state, w, a, i in zip(
        sparse_access(weights, vectors, least_used).replay(first), weights, vectors, least_used, strict=True
    ):
        memory = np.prod(1 - i, axis=0)[:, None] * memory + w.T @ a
        np.testing.assert_allclose(state, memory, atol=1e-13)


def test_the_share_of_a_fact_in_an_episode_is_its_effective_gate(rng):
    gates, candidates = rng.random(8), rng.normal(size=(8, W))
    h = first = rng.normal(size=W)
    for g, c in zip(gates, candidates, strict=True):
        h = g * c + (1 - g) * h
    before, facts = contributions(episode(gates, candidates), first[None], np.ones((1, 1)), 8)
    effective = gates * np.array([np.prod(1 - gates[i + 1 :]) for i in range(8)])
    np.testing.assert_allclose(facts[:, 0, 0, 0], effective[:, None] * candidates, atol=1e-14)
    np.testing.assert_allclose(before[0] + facts.sum((0, 1, 2, 3)), h, atol=1e-13)


@pytest.mark.parametrize("kind", ["linear", "gated", "delta", "gated delta"])
def test_tokens_of_a_fast_weight_memory_sum_to_its_read(rng, kind):
    keys, values, rates = rng.normal(size=(T, N)), rng.normal(size=(T, W)), rng.random(T)
    keys /= np.linalg.norm(keys, axis=1, keepdims=True)
    decay = rng.random((T, N)) if "gated" in kind else np.ones((T, N))
    update = (
        DeltaRule.delta_net(keys, values, rates, decay)
        if "delta" in kind
        else DeltaRule.linear_attention(keys, values, decay)
    )
    memory = first = rng.normal(size=(N, W))
    states = list(update.replay(first))
    for t in range(T):
        memory = np.diag(decay[t]) @ memory
        k = keys[t][:, None]
        if "delta" in kind:
            memory = (np.eye(N) - rates[t] * k @ k.T) @ memory + rates[t] * k @ values[t][None]
        else:
            memory = memory + k @ values[t][None]
        np.testing.assert_allclose(states[t], memory, atol=1e-13)
    query = rng.normal(size=N)
    before, tokens = delta_contributions(update, first, query, T)
    np.testing.assert_allclose(before + tokens.sum(0), query @ memory, atol=1e-12)
    # Without a token the read changes by that token's contribution: keys and queries are given, so nothing else moves.
    silent = values.copy()
    silent[2] = 0
    without = type(update)(keys, silent, update.removal, update.gain, update.decay)
    *_, last = without.replay(first)
    np.testing.assert_allclose(query @ memory - query @ last, tokens[2], atol=1e-12)
    assert residual(update, first, np.array(states)).max() < 1e-12


@pytest.mark.parametrize("series", [False, True])
def test_the_residual_is_at_the_time_of_the_fault(rng, series):
    weights, vectors, erase = generators(rng)
    update = EraseAdd.of(weights, vectors, erase, series=series, retention=rng.random((T, N)))
    first = rng.normal(size=(N, W))
    memory = np.array(list(update.replay(first)))[update.steps_per_time - 1 :: update.steps_per_time]
    assert residual(update, first, memory).max() < 1e-12
    memory[4:] += 0.25
    gaps = residual(update, first, memory)
    assert gaps[4] == pytest.approx(0.25)
    assert gaps[:4].max() < 1e-12


def test_derived_fields_follow_the_attributes(rng):
    weights, vectors, erase = generators(rng)
    reads, gates = rng.dirichlet(np.ones(N), size=(T, 3)), rng.random((T, 3))
    fields = {
        "write_weights": weights[:, None],
        "write_vectors": vectors[:, None],
        "erase_vectors": erase[:, None],
        "read_weights": reads[:, None],
        "free_gates": gates[:, None],
    }
    attributes = {"write_heads": H, "write_order": "series", "read_order": [0, 1, 2], "deallocation": True}
    record = ArrayRecord(fields, attributes=attributes)
    earlier = np.concatenate([np.zeros((1, 3, N)), reads[:-1]])
    retention = np.prod(1 - gates[:, :, None] * earlier, axis=1)
    steps = list(EraseAdd.of(weights, vectors, erase, retention=retention, series=True).replay(np.zeros((N, W))))
    memory = np.array(steps[1::2])
    np.testing.assert_allclose(derive(record, "memory", "memory")[:, 0], memory, atol=1e-6)
    vectors_read = derive(record, "memory", "read_vectors")[:, 0]
    np.testing.assert_allclose(vectors_read[:, 2], np.einsum("ti,tik->tk", reads[:, 2], memory), atol=1e-6)
    between = np.array(steps[0::2])
    np.testing.assert_allclose(vectors_read[:, 1], np.einsum("ti,tik->tk", reads[:, 1], between), atol=1e-6)
