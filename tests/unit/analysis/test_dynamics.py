"""Each update law against its equation written out in loops, and against properties the paper states."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memviz.analysis import dynamics


@st.composite
def sizes(draw):
    return (draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 6)), draw(st.integers(1, 4)))


def substochastic(rng, *shape):
    """Weightings: non-negative, summing to at most 1 over the last axis."""
    values = rng.random(shape)
    return values / values.sum(-1, keepdims=True) * rng.random((*shape[:-1], 1))


@given(sizes(), st.integers(0, 2**31))
def test_parallel_and_serial_writes_follow_their_equations(size, seed):
    batch, heads, slots, words = size
    rng = np.random.default_rng(seed)
    memory = rng.normal(size=(batch, slots, words))
    weights, erase, add = (
        substochastic(rng, batch, heads, slots),
        rng.random((batch, heads, words)),
        rng.normal(size=(batch, heads, words)),
    )
    together, serial = memory.copy(), memory.copy()
    for b, i, k in np.ndindex(memory.shape):
        together[b, i, k] *= np.prod([1 - weights[b, h, i] * erase[b, h, k] for h in range(heads)])
        together[b, i, k] += sum(weights[b, h, i] * add[b, h, k] for h in range(heads))
        for h in range(heads):
            serial[b, i, k] = (
                serial[b, i, k] * (1 - weights[b, h, i] * erase[b, h, k]) + weights[b, h, i] * add[b, h, k]
            )
    np.testing.assert_allclose(dynamics.write_in_parallel(memory, weights, erase, add), together, atol=1e-14)
    np.testing.assert_allclose(dynamics.write_in_series(memory, weights, erase, add), serial, atol=1e-14)


@given(sizes(), st.integers(0, 2**31))
def test_the_link_matrix_follows_its_equation_and_keeps_its_bounds(size, seed):
    batch, heads, slots, _ = size
    rng = np.random.default_rng(seed)
    link, precedence = np.zeros((batch, heads, slots, slots)), np.zeros((batch, heads, slots))
    for _ in range(5):
        write = substochastic(rng, batch, heads, slots)
        expected = np.zeros_like(link)
        for b, h, i, j in np.ndindex(link.shape):
            if i != j:
                w = write[b, h]
                expected[b, h, i, j] = (1 - w[i] - w[j]) * link[b, h, i, j] + w[i] * precedence[b, h, j]
        link = dynamics.update_link(link, precedence, write)
        np.testing.assert_allclose(link, expected, atol=1e-15)
        precedence = dynamics.update_precedence(precedence, write)
        assert link.sum(-1).max() <= 1 + 1e-12
        assert link.sum(-2).max() <= 1 + 1e-12
        assert precedence.sum(-1).max() <= 1 + 1e-12


def test_links_point_from_the_slot_written_before_to_the_slot_written_next():
    link, precedence = np.zeros((1, 1, 4, 4)), np.zeros((1, 1, 4))
    for slot in (2, 0, 3):
        write = np.eye(4)[None, None, slot]
        link = dynamics.update_link(link, precedence, write)
        precedence = dynamics.update_precedence(precedence, write)
    assert {tuple(edge) for edge in np.argwhere(link[0, 0])} == {(0, 2), (3, 0)}
    at_zero = np.eye(4)[None, None, 0]
    np.testing.assert_array_equal(dynamics.step_forward(link, at_zero)[0, 0, 0], np.eye(4)[3])
    np.testing.assert_array_equal(dynamics.step_backward(link, at_zero)[0, 0, 0], np.eye(4)[2])


def test_forward_and_backward_weights_put_the_read_head_before_the_write_head():
    rng = np.random.default_rng(0)
    link, reads = rng.random((2, 3, 5, 5)), rng.random((2, 4, 5))
    expected = np.einsum("bwij,brj->brwi", link, reads)
    np.testing.assert_allclose(dynamics.step_forward(link, reads), expected)
    np.testing.assert_allclose(dynamics.step_backward(link, reads), np.einsum("bwij,bri->brwj", link, reads))


@given(st.integers(1, 8), st.integers(0, 2**31), st.sampled_from([0.0, 1e-6, 1e-2]))
def test_allocation_follows_the_free_list(slots, seed, delta):
    usage = np.random.default_rng(seed).random((2, slots))
    allocation = dynamics.allocate(usage, delta)
    for b in range(2):
        lifted = delta + (1 - delta) * usage[b]
        taken = 1.0
        for slot in sorted(range(slots), key=lambda i: lifted[i]):
            assert allocation[b, slot] == pytest.approx((1 - lifted[slot]) * taken)
            taken *= lifted[slot]
    np.testing.assert_allclose(allocation.sum(-1), 1 - np.prod(delta + (1 - delta) * usage, axis=-1))


def test_a_second_write_head_is_given_another_slot():
    usage = np.array([[0.0, 0.1, 1.0]])
    both = dynamics.allocate_per_head(usage, np.array([[1.0, 1.0]]))
    assert both[0, 0].argmax() == 0
    assert both[0, 1].argmax() == 1
    idle = dynamics.allocate_per_head(usage, np.array([[0.0, 1.0]]))
    np.testing.assert_array_equal(idle[0, 0], idle[0, 1])


def test_usage_rises_with_a_write_and_falls_with_a_freed_read():
    usage = np.array([[0.5, 0.0]])
    write, read = np.array([[[0.0, 1.0]]]), np.array([[[1.0, 0.0]]])
    np.testing.assert_allclose(dynamics.update_usage(usage, write, read, np.array([[0.0]])), [[0.5, 1.0]])
    np.testing.assert_allclose(dynamics.update_usage(usage, write, read, np.array([[1.0]])), [[0.0, 1.0]])


def test_content_lookup_is_a_softmax_of_cosines_and_survives_an_empty_slot():
    memory = np.array([[[3.0, 0.0], [0.0, 0.0], [1.0, 1.0]]])
    keys, strengths = np.array([[[2.0, 0.0]]]), np.array([[5.0]])
    scores = np.exp(5 * np.array([1.0, 0.0, np.sqrt(0.5)]))
    np.testing.assert_allclose(dynamics.content_weights(memory, keys, strengths)[0, 0], scores / scores.sum())


@given(st.integers(1, 6), st.integers(0, 2**31))
def test_a_masked_lookup_compares_only_the_masked_words(size, seed):
    rng = np.random.default_rng(seed)
    memory, keys = rng.normal(size=(2, size, 4)), rng.normal(size=(2, 3, 4))
    strengths, masks = 1 + rng.random((2, 3)), rng.random((2, 3, 4))
    found = dynamics.masked_content_weights(memory, keys, strengths, masks)
    for item, head in np.ndindex(2, 3):
        scores = []
        for slot in range(size):
            key, row = masks[item, head] * keys[item, head], masks[item, head] * memory[item, slot]
            scores.append(strengths[item, head] * (key @ row) / np.sqrt((key @ key) * (row @ row)))
        powers = np.exp(scores)
        np.testing.assert_allclose(found[item, head], powers / powers.sum(), atol=1e-12)
    whole = dynamics.masked_content_weights(memory, keys, strengths, np.ones_like(masks))
    np.testing.assert_allclose(whole, dynamics.content_weights(memory, keys, strengths), atol=1e-12)


@given(st.integers(1, 6), st.integers(0, 2**31))
def test_a_sharpened_walk_is_a_distribution_with_the_same_order(size, seed):
    rng = np.random.default_rng(seed)
    walk, powers = rng.random((2, 3, 1, size)), 1 + 4 * rng.random((2, 3))
    found = dynamics.sharpen(walk, powers, 1e-6)
    plain = (walk + 1e-6) ** powers[..., None, None]
    np.testing.assert_allclose(found, plain / plain.sum(axis=-1, keepdims=True), atol=1e-12)
    np.testing.assert_array_equal(found.argmax(axis=-1), walk.argmax(axis=-1))


def test_a_walk_that_leads_nowhere_stays_so_or_is_spread():
    nowhere, powers = np.zeros((1, 1, 1, 4)), np.full((1, 1), 3.0)
    np.testing.assert_array_equal(dynamics.sharpen(nowhere, powers), 0)
    np.testing.assert_allclose(dynamics.sharpen(nowhere, powers, 1e-6), 0.25)
