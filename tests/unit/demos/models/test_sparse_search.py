from __future__ import annotations

import pytest
import torch

from memviz.demos.models import sparse_search
from memviz.demos.models.sparse_search import Finder
from memviz.errors import MemvizError

BATCH, SLOTS, WORDS, COUNT = 2, 600, 8, 4

faiss = pytest.mark.skipif(not sparse_search.has_faiss(), reason="faiss is not installed")


def made(search, **options):
    random = torch.Generator().manual_seed(0)
    values = torch.randn(BATCH, SLOTS + 1, WORDS, generator=random, dtype=torch.float64)
    values[:, SLOTS] = 0
    flat = values.view(-1, WORDS)
    keys = torch.randn(BATCH, 3, WORDS, generator=random, dtype=torch.float64)
    return values, keys, Finder(flat, BATCH, COUNT, search, **options)


def expected(values, keys):
    unit = torch.nn.functional.normalize
    scores = unit(keys, dim=2) @ unit(values[:, :SLOTS], dim=2).mT
    return scores.topk(COUNT, dim=2).indices.sort(dim=2).values


def find(finder, keys, reached=SLOTS):
    return finder.nearest(keys, torch.ones(keys.shape[:2], dtype=keys.dtype), reached)


def test_exact_search_finds_the_nearest():
    values, keys, finder = made("exact")
    assert torch.equal(find(finder, keys)[0].sort(dim=2).values, expected(values, keys))
    assert finder.recall is None


@pytest.mark.parametrize("reached", [0, 1, 5, 40])
def test_rows_that_were_never_written_stand_for_each_other(reached):
    values, keys, finder = made("exact")
    values[:, reached:SLOTS] = 0.3
    found, left = find(finder, keys, reached)
    unit = torch.nn.functional.normalize
    scores = (unit(keys, dim=2) @ unit(values[:, :SLOTS], dim=2).mT).softmax(dim=2)
    best = scores.topk(COUNT, dim=2).values
    torch.testing.assert_close(scores.gather(2, found).sort(dim=2, descending=True).values, best, atol=1e-6, rtol=0)
    torch.testing.assert_close(left, 1 - best.sum(dim=2), atol=1e-5, rtol=0)


def test_without_faiss_search_is_exact_whatever_the_size(monkeypatch):
    monkeypatch.setattr(sparse_search, "has_faiss", lambda: False)
    monkeypatch.setattr(sparse_search, "APPROXIMATE_FROM", 10)
    values, keys, finder = made("auto")
    assert torch.equal(find(finder, keys)[0].sort(dim=2).values, expected(values, keys))
    with pytest.raises(MemvizError, match=r"memviz\[sparse\]"):
        made("faiss")


@faiss
def test_faiss_that_looks_into_every_cell_is_exact():
    values, keys, finder = made("faiss", index_checks=10_000)
    found, left = find(finder, keys)
    assert torch.equal(found.sort(dim=2).values, expected(values, keys))
    assert finder.recall.eq(1).all()
    torch.testing.assert_close(left, find(made("exact")[2], keys)[1])


@faiss
def test_faiss_follows_rows_that_change_and_rows_that_are_new():
    values, keys, finder = made("faiss", index_checks=10_000)
    find(finder, keys, 300)
    values[:, 7] = keys[:, 0]
    finder.changed(torch.tensor([7, SLOTS + 1 + 7]))
    values[:, 450] = keys[:, 1]
    finder.changed(torch.tensor([450, SLOTS + 1 + 450]))
    found, _ = find(finder, keys)
    assert (found[:, 0] == 7).any(dim=1).all()
    assert (found[:, 1] == 450).any(dim=1).all()
    assert torch.equal(found.sort(dim=2).values, expected(values, keys))


@faiss
def test_a_search_that_looks_into_few_cells_says_what_it_misses(monkeypatch):
    monkeypatch.setattr(sparse_search, "RECALL_EVERY", 1)
    values, keys, finder = made("faiss", index_checks=2, index_lists=15)
    found, _ = find(finder, keys)
    right = expected(values, keys)
    hits = [
        [len(set(a) & set(b)) / COUNT for a, b in zip(*of_item, strict=True)]
        for of_item in zip(found.tolist(), right.tolist(), strict=True)
    ]
    assert finder.recall.tolist() == hits
    assert 0 < finder.recall.mean() < 1
    assert all(len(set(row)) == COUNT for item in found.tolist() for row in item)


@faiss
def test_cells_with_too_few_rows_are_searched_exactly():
    values, keys, finder = made("faiss", index_checks=1, index_lists=15)
    # All rows of one cell but two are moved away from the keys.
    values[:, :SLOTS] = -keys[:, :1] + 0.01 * values[:, :SLOTS]
    values[:, :2] = keys[:, :1]
    finder.changed(torch.arange(2 * (SLOTS + 1)))
    found, _ = find(finder, keys[:, :1])
    assert {0, 1} <= set(found[0, 0].tolist())
    assert len(set(found[0, 0].tolist())) == COUNT
