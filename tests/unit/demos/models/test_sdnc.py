"""What an SDNC has besides a SAM: links between slots, in two directions that agree, and the order of its writes."""

from __future__ import annotations

import pytest
import torch

from memviz.demos.models import SDNC

SIZES = {"nr_cells": 9, "cell_size": 4, "read_heads": 2, "sparse_reads": 3}


def made(cls, seed=0, **options):
    torch.manual_seed(seed)
    model = cls(3, 6, 2, **{**SIZES, **options}).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    return model


def test_links_lead_from_slot_to_slot_and_never_to_themselves():
    model = made(SDNC, nr_cells=30, temporal_reads=3)
    state = model(torch.randn(2, 25, 3, dtype=torch.float64))[1].memory
    links = state.link_matrix
    assert not links.diagonal(dim1=1, dim2=2).any()
    assert (links > 0).sum() > 30
    assert int((links > 0).sum(dim=1).max()) <= 3
    assert int((links > 0).sum(dim=2).max()) <= 3


def test_both_link_tables_hold_the_same_links():
    model = made(SDNC, nr_cells=8, temporal_reads=2)
    state = model(torch.randn(3, 40, 3, dtype=torch.float64))[1].memory
    bank = state.bank
    bank.versions.checkout(state.version)
    n, width = 8, 2
    source, place = bank.links.source.view(3, n + 1, width), bank.links.place.view(3, n + 1, width)
    for item in range(3):
        into = {
            (to * width + q, int(source[item, to, q]))
            for to in range(n)
            for q in range(width)
            if source[item, to, q] < n
        }
        away = {(int(e), slot) for slot in range(n) for e in place[item, slot] if e < n * width}
        assert into == away
        assert into
        assert source[item, n].eq(n).all()
        assert place[item, n].eq(n * width).all()


def test_the_newest_write_has_the_largest_precedence():
    model = made(SDNC, temporal_reads=3)
    state = model(torch.randn(2, 10, 3, dtype=torch.float64))[1].memory
    last = state.precedence_weights
    assert last.shape == (2, 9)
    assert ((last > 0).sum(dim=1) <= 3).all()
    assert (last.sum(dim=1) <= 1 + 1e-12).all()


def test_a_head_reads_at_most_k_and_twice_k_l_slots():
    model = made(SDNC, nr_cells=50, temporal_reads=2)
    state = model(torch.randn(2, 30, 3, dtype=torch.float64))[1].memory
    assert model.memory.positions == 3 + 2 * 2
    assert int((state.read_weights > 0).sum(dim=2).max()) <= 7
    torch.testing.assert_close((state.read_weights.sum(dim=2) <= 1 + 1e-12).all(), torch.tensor(True))


@pytest.mark.parametrize("slots", [1, 2])
def test_more_links_than_slots_are_no_trouble(slots):
    output, _ = made(SDNC, nr_cells=slots, temporal_reads=8)(torch.randn(1, 6, 3, dtype=torch.float64))
    assert output.isfinite().all()
