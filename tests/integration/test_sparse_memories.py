"""SAM and SDNC recorded by memviz: what is recorded sparsely gives dense state, lineage, laws and a diagnosis."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import memviz
from memviz.analysis.compare import compare
from memviz.analysis.diagnostics import diagnose
from memviz.analysis.laws import check_laws
from memviz.analysis.laws.conformance import conformance
from memviz.analysis.lineage.table import lineage_table
from memviz.analysis.replay import replay_error
from memviz.demos.models import SAM, SDNC
from memviz.demos.reference import sparse as reference
from memviz.demos.reference.record import ReferenceTrace
from memviz.errors import FieldError

BATCH, TIMES, SLOTS, WORDS = 2, 14, 12, 5
SIZES = {"nr_cells": SLOTS, "cell_size": WORDS, "read_heads": 2, "sparse_reads": 3}


def made(cls, **options):
    torch.manual_seed(3)
    model = cls(4, 12, 3, **{**SIZES, **options})
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    return model


@pytest.fixture(scope="module", params=[SAM, SDNC], ids=["sam", "sdnc"])
def kind(request, tmp_path_factory):
    """A model, the record of a sequence that goes on from another one, and the state before and after it."""
    model = made(request.param)
    x = torch.randn(2, BATCH, TIMES, 4)
    _, before = model(x[0])
    path = tmp_path_factory.mktemp("runs") / "sparse"
    with memviz.attach(model, path, every=1, batch=slice(None), policy="block", grads=True):
        output, after = model(x[1], before)
        output.sum().backward()
    return model, memviz.open(path)[0], before, after


def test_what_is_recorded_is_sparse(kind):
    model, record, _, _ = kind
    for name in ("read", "write", "read_content"):
        assert {f"memory/{name}_indices", f"memory/{name}_values"} <= set(record.stored)
    assert not [
        name
        for name in record.stored
        if "slot" in record.schema(name).axes and "/initial/" not in name and "/final/" not in name
    ]
    assert ("memory/forward_indices" in record.stored) == (model.memory.temporal_reads > 0)
    assert "memory/grad/read_values" in record.stored


def test_state_is_derived_as_the_model_had_it(kind):
    model, record, _, after = kind
    np.testing.assert_allclose(record["memory"][-1], after.memory.memory, atol=1e-5)
    np.testing.assert_allclose(record["read_weights"][-1], after.memory.read_weights.detach(), atol=1e-5)
    np.testing.assert_allclose(record["read_vectors"][-1], after.read_vectors.detach(), atol=1e-5)
    assert replay_error(record, "memory") < 1e-5
    if model.memory.temporal_reads:
        np.testing.assert_allclose(record["link_matrix"][-1, :, 0], after.memory.link_matrix, atol=1e-5)
        expected = after.memory.precedence_weights.detach()
        np.testing.assert_allclose(record["precedence_weights"][-1, :, 0], expected, atol=1e-5)
    assert record.shape("memory/memory") == (TIMES, BATCH, SLOTS, WORDS)


def test_lineage_sums_to_every_read(kind):
    _, record, _, after = kind
    for batch in range(BATCH):
        for head in range(2):
            lineage = memviz.lineage(record, TIMES - 1, head, batch)
            np.testing.assert_allclose(lineage.contributions.sum(axis=0), lineage.read, atol=1e-12)
            np.testing.assert_allclose(lineage.read, after.read_vectors[batch, head].detach(), atol=1e-5)
            assert np.isclose(lineage.shares.sum(), 1)
    assert np.allclose(lineage_table(record).shares.sum(axis=-1), 1)


def test_laws_hold_and_nothing_is_found_wrong(kind):
    _, record, _, _ = kind
    broken = [check.text() for check in check_laws(record) if not check.holds]
    assert not broken
    assert conformance(record).conforms, conformance(record).text()
    assert not [finding for finding in diagnose(record) if finding.severity == "error"]


def test_a_run_of_the_reference_compares_equal(tmp_path):
    model = made(SDNC, temporal_reads=2).double()
    x, start = torch.randn(1, 6, 4, dtype=torch.float64), torch.randn(1, SLOTS, WORDS, dtype=torch.float64)
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    result = reference.run(
        x.numpy(),
        weights,
        slots=SLOTS,
        words=WORDS,
        read_heads=2,
        sparse_reads=3,
        temporal_reads=2,
        memory=start.numpy(),
    )
    with ReferenceTrace(tmp_path / "reference", "sparse") as trace:
        trace.append(0, [reference.memory_of(result, 2)], input=x.numpy().swapaxes(0, 1), output=result["output"])
    with memviz.attach(model, tmp_path / "torch", every=1, policy="block"):
        model(x, model.initial_state(1, start))
    ours, theirs = memviz.open(tmp_path / "torch")[0], memviz.open(trace.path)[0]
    assert compare(ours, theirs).same


def test_a_memory_too_large_for_dense_arrays_says_so(tmp_path):
    model = made(SAM, nr_cells=100_000)
    with memviz.attach(model, tmp_path / "run", every=1, policy="block"):
        model(torch.randn(1, 3, 4))
    record = memviz.open(tmp_path / "run")[0]
    assert "memory/read_values" in record.stored
    assert record.fields == tuple(record.stored)
    with pytest.raises(FieldError, match="at most 65536 slots"):
        memviz.lineage(record, 0, 0, memory="memory")
    assert not [finding for finding in diagnose(record) if finding.severity == "error"]
