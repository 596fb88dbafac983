"""Lineage of recorded torch models: our DNC in both precisions, and the unmodified `dnc` package."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

import memviz
from memviz.analysis.lineage.table import lineage_table
from memviz.demos.models import DNC

TIMES, BATCH = 15, 2


def sharpened(model):
    """Larger weights than the initial ones, so that weightings are sharp, gates move and writes overwrite."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)
    return model


def recorded(model, path, x, fields="all"):
    """With all fields stored, the reads compared with are those of the model; by default they would be derived."""
    with memviz.attach(model, path, every=1, batch="all", fields=fields), torch.no_grad():
        model(x)
    return memviz.open(path)[-1]


def assert_every_read_is_explained(record, tolerance):
    reads = record["read_vectors"].astype(np.float64)
    assert np.abs(reads).max() > 0.1, "the model must read for the comparison to mean anything"
    times, batch, heads, _ = reads.shape
    for item in range(batch):
        table = lineage_table(record, batch=item)
        for time in range(times):
            for head in range(heads):
                found = memviz.lineage(record, time, head, batch=item)
                np.testing.assert_allclose(found.contributions.sum(0), reads[time, item, head], rtol=0, atol=tolerance)
                assert found.error <= tolerance
                np.testing.assert_allclose(
                    table.shares[time, head, : time + 2], found.shares, atol=1e-9 * found.cancellation
                )


@pytest.mark.parametrize("write_heads", [1, 2])
def test_every_read_of_our_dnc_in_float32(tmp_path, write_heads):
    torch.manual_seed(0)
    model = sharpened(DNC(4, 16, nr_cells=8, cell_size=5, read_heads=3, write_heads=write_heads))
    record = recorded(model, tmp_path / "run", torch.randn(BATCH, TIMES, 4))
    assert_every_read_is_explained(record, 1e-5)
    split = memviz.lineage(record, -1, 0).split
    np.testing.assert_allclose(split.read, record["read_vectors"][-1, 0, 0], rtol=0, atol=1e-5)


def test_the_default_fields_suffice(tmp_path):
    torch.manual_seed(0)
    model = sharpened(DNC(4, 16, nr_cells=8, cell_size=5, read_heads=3))
    x = torch.randn(BATCH, TIMES, 4)
    few = recorded(model, tmp_path / "default", x, fields="default")
    full = recorded(model, tmp_path / "all", x)
    assert len(few.stored) < len(full.stored)
    for time in range(TIMES):
        found, expected = memviz.lineage(few, time, 2, batch=1), memviz.lineage(full, time, 2, batch=1)
        np.testing.assert_array_equal(found.contributions, expected.contributions)
        np.testing.assert_allclose(found.split.contributions, expected.split.contributions, rtol=0, atol=1e-5)


def test_every_read_of_our_dnc_in_float64(tmp_path):
    torch.manual_seed(0)
    model = sharpened(DNC(4, 16, nr_cells=8, cell_size=5, read_heads=3).double())
    x = torch.randn(BATCH, TIMES, 4, dtype=torch.float64)
    record = recorded(model, tmp_path / "run", x)
    assert record["read_vectors"].dtype == np.float64
    assert_every_read_is_explained(record, 1e-12)
    split = memviz.lineage(record, -1, 0).split
    np.testing.assert_allclose(split.read, record["read_vectors"][-1, 0, 0], rtol=0, atol=1e-12)


@pytest.mark.thirdparty
def test_every_read_of_the_dnc_package(tmp_path):
    with warnings.catch_warnings():
        # The package carries an invalid escape sequence and a deprecated tensor constructor.
        warnings.simplefilter("ignore")
        from dnc import DNC as PackageDNC

        torch.manual_seed(0)
        model = PackageDNC(4, 16, num_hidden_layers=1, nr_cells=8, cell_size=5, read_heads=3)
        with torch.no_grad():
            model.memories[0].interface_weights.weight.mul_(6)
        record = recorded(model, tmp_path / "run", torch.randn(BATCH, TIMES, 4))
    assert_every_read_is_explained(record, 1e-5)
    found = memviz.lineage(record, -1, 0)
    np.testing.assert_allclose(found.split.read, found.read, rtol=0, atol=1e-5)
    assert found.split.modes == ("backward", "content", "forward")
