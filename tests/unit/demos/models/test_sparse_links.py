"""Sparse links against the dense law of a DNC, where they have room for all of them."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from memviz.demos.models.sparse_bank import dense
from memviz.demos.models.sparse_links import Precedence, SparseLinks
from memviz.demos.models.sparse_versions import Versions

SLOTS = 5


def empty(width):
    return Precedence(torch.full((1, width), SLOTS), torch.zeros(1, width, dtype=torch.float64))


def write_of(generator):
    """Some slots with weights that sum to less than 1."""
    positions = torch.randperm(SLOTS, generator=generator)[:3].unsqueeze(0)
    weights = torch.rand(1, 3, generator=generator, dtype=torch.float64)
    return positions, weights / weights.sum() * 0.9


@settings(max_examples=30)
@given(st.integers(0, 2**31), st.integers(1, 12))
def test_with_room_for_all_links_they_are_the_dense_ones(seed, times):
    g = torch.Generator().manual_seed(seed)
    links = SparseLinks(1, SLOTS, SLOTS, torch.zeros(0, dtype=torch.float64), Versions())
    token, last = torch.zeros(0, dtype=torch.float64), empty(SLOTS)
    matrix, before = torch.zeros(SLOTS, SLOTS, dtype=torch.float64), torch.zeros(SLOTS, dtype=torch.float64)
    for _ in range(times):
        positions, weights = write_of(g)
        w = dense(positions, weights, SLOTS)[0]
        matrix = (1 - w[:, None] - w[None]) * matrix + w[:, None] * before[None]
        matrix.fill_diagonal_(0)
        before = (1 - w.sum()) * before + w
        token, last, left = links.update(token, last, positions, weights)
        assert left.max() < 1e-12
    torch.testing.assert_close(links.dense()[0], matrix, rtol=0, atol=1e-12)
    torch.testing.assert_close(dense(*last, SLOTS)[0], before, rtol=0, atol=1e-12)
    read = torch.rand(1, 1, SLOTS, generator=g, dtype=torch.float64)
    where = torch.arange(SLOTS).view(1, 1, -1)
    for (positions, values, left), expected in zip(
        links.walk(token, where, read), (matrix @ read[0, 0], matrix.T @ read[0, 0]), strict=True
    ):
        torch.testing.assert_close(dense(positions, values, SLOTS)[0, 0], expected, rtol=0, atol=1e-12)
        assert left.max() < 1e-12


def test_without_room_the_smallest_are_left_out_and_counted():
    g = torch.Generator().manual_seed(1)
    links = SparseLinks(1, SLOTS, 1, torch.zeros(0, dtype=torch.float64), Versions())
    token, last, left = torch.zeros(0, dtype=torch.float64), empty(1), None
    for _ in range(6):
        token, last, left = links.update(token, last, *write_of(g))
    assert (links.dense()[0] > 0).sum(dim=0).max() <= 1
    assert (links.dense()[0] > 0).sum(dim=1).max() <= 1
    assert left.max() > 0
