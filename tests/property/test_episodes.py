"""Effective gates for any gates: they and the leftover sum to 1, and they rebuild the episode."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from memviz.analysis.episodes import effective_gates, rebuild

shapes = st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 12))
gates_of = shapes.flatmap(
    lambda shape: arrays.arrays(
        np.float64, shape, elements=st.floats(0, 1) | st.sampled_from([0.0, 1.0, 1e-300, 1 - 2**-53])
    )
)


@given(gates_of, st.integers(0, 2**32 - 1))
def test_a_gated_episode_is_rebuilt_exactly(gates, seed):
    rng = np.random.default_rng(seed)
    candidates, start = rng.normal(size=(*gates.shape, 4)), rng.normal(size=(*gates.shape[:2], 4))
    effective, left = effective_gates(gates)
    assert (effective >= 0).all()
    np.testing.assert_allclose(effective.sum(axis=-1) + left, 1, rtol=0, atol=1e-12)
    state = start
    for fact in range(gates.shape[-1]):
        gate = gates[..., fact, None]
        state = gate * candidates[..., fact, :] + (1 - gate) * state
    np.testing.assert_allclose(rebuild(effective, candidates) + left[..., None] * start, state, rtol=0, atol=1e-12)


@given(gates_of, st.integers(0, 2**32 - 1))
def test_a_sum_keeps_its_gates(gates, seed):
    candidates = np.random.default_rng(seed).normal(size=(*gates.shape, 4))
    weights = gates / max(1.0, gates.sum(axis=-1).max())
    effective, left = effective_gates(weights, "sum")
    assert effective is weights
    np.testing.assert_allclose(effective.sum(axis=-1) + left, 1, rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        rebuild(effective, candidates), (weights[..., None] * candidates).sum(axis=-2), atol=1e-12
    )


@given(gates_of)
def test_a_fact_of_padding_changes_nothing(gates):
    padded = np.concatenate([gates, np.zeros_like(gates[..., :1])], axis=-1)
    effective, left = effective_gates(padded)
    np.testing.assert_array_equal(effective[..., :-1], effective_gates(gates)[0])
    np.testing.assert_array_equal(left, effective_gates(gates)[1])
    assert not effective[..., -1].any()
