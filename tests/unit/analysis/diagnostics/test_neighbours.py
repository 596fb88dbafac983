"""The recall of a sparse memory's lookups against a search written out, on planted numbers and on a real model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import memviz
from memviz.analysis.diagnostics import MemoryView, diagnose, get
from memviz.demos.gallery import write_run
from memviz.demos.models import SAM
from memviz.demos.models.sparse_search import has_faiss

faiss = pytest.mark.skipif(not has_faiss(), reason="faiss is not installed")


def measured(path):
    view = MemoryView(memviz.open(path)[-1], "memory")
    (measure,) = get("missed_neighbours").measure(view)
    return measure, view


def by_hand(view):
    """[time, batch, read_head]: share of the nearest slots that was not chosen."""
    memory, keys, chosen = view["memory"], view["read_keys"], view["read_content_indices"].astype(int)
    result = np.zeros(chosen.shape[:3])
    for time, item, head in np.ndindex(result.shape):
        rows, key = memory[time, item], keys[time, item, head]
        cosine = [row @ key / (np.linalg.norm(row) * np.linalg.norm(key) + 1e-6) for row in rows]
        best = sorted(cosine, reverse=True)[: chosen.shape[-1]]
        found = [slot for slot in chosen[time, item, head] if cosine[slot] >= best[-1] - 1e-5]
        result[time, item, head] = 1 - len(found) / len(best)
    return result


def recorded(model, path, memory):
    with memviz.attach(model, path, every=1, batch="all", policy="block"):
        model(torch.randn(2, 6, 3), model.initial_state(2, memory))
    return path


def test_the_planted_share_is_measured_where_it_was_planted(tmp_path):
    run = write_run("missed_neighbours", tmp_path / "run")
    measure, view = measured(run.path)
    expected = np.median(by_hand(view), axis=0).max(axis=-1)
    np.testing.assert_allclose(measure.values, expected, atol=1e-12)
    assert measure.values[run.item] == 0.75
    assert "Read head 1 misses 75 %" in measure.say(run.item)
    assert "100 % at time 6" in measure.say(run.item)


@faiss
def test_an_index_that_looks_into_few_cells_is_found_out(tmp_path):
    torch.manual_seed(0)
    model = SAM(3, 8, nr_cells=500, cell_size=8, read_heads=2, search="faiss", index_checks=1)
    measure, view = measured(recorded(model, tmp_path / "run", torch.randn(2, 500, 8)))
    np.testing.assert_allclose(measure.values, np.median(by_hand(view), axis=0).max(axis=-1), atol=1e-12)
    assert (measure.values > 0.15).all()
    assert "missed_neighbours" in [finding.diagnostic for finding in diagnose(view.record)]


@pytest.mark.parametrize("memory", [None, torch.randn(2, 500, 8, generator=torch.Generator().manual_seed(0))])
def test_exact_search_misses_nothing_also_among_equal_rows(memory, tmp_path):
    torch.manual_seed(0)
    model = SAM(3, 8, nr_cells=500, cell_size=8, read_heads=2, search="exact")
    measure, _ = measured(recorded(model, tmp_path / "run", memory))
    np.testing.assert_array_equal(measure.values, 0)


@faiss
def test_of_a_memory_too_large_to_derive_the_model_says_it_itself(tmp_path):
    torch.manual_seed(0)
    model = SAM(3, 8, nr_cells=70_000, cell_size=4, read_heads=2, search="faiss", index_checks=1, num_lists=50)
    measure, view = measured(recorded(model, tmp_path / "run", torch.randn(2, 70_000, 4)))
    assert "memory" not in view.fields
    np.testing.assert_allclose(measure.values, 1 - view["neighbour_recall"][-1].min(axis=-1), atol=1e-6)
    assert (measure.values > 0).any()


def test_a_lookup_without_keys_is_left_alone(tmp_path):
    run = write_run("duplicate_positions", tmp_path / "run")
    assert not [finding for finding in diagnose(memviz.open(run.path)) if finding.diagnostic == "missed_neighbours"]
