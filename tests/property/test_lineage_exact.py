"""Lineage over random shapes and values: it sums to the read, equals autograd, and every split keeps the sum."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from memviz.analysis.array_record import ArrayRecord
from memviz.analysis.lineage import lineage
from memviz.analysis.lineage.history import destruction
from memviz.analysis.lineage.table import lineage_table


@st.composite
def memories(draw, dtype=np.float64):
    """A memory with random writes: soft, one-hot, zero; gates at 0 and 1; one or several heads in either order."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    T, B, H, R = (draw(st.integers(1, most)) for most in (40, 2, 3, 3))
    N, W = draw(st.integers(1, 7)), draw(st.integers(1, 5))

    def weighting(*shape):
        sharp = rng.choice([0.5, 5.0, 200.0], size=(*shape, 1))
        scores = np.exp(sharp * (logits := rng.normal(size=(*shape, N))) - (sharp * logits).max(-1, keepdims=True))
        gate = rng.choice([0.0, 1.0, 0.7], size=(*shape, 1))
        return gate * scores / scores.sum(-1, keepdims=True)

    def gate(*shape):
        return rng.choice([0.0, 1.0, 0.3], size=shape)

    fields = {
        "write_weights": weighting(T, B, H),
        "erase_vectors": gate(T, B, H, W),
        "write_vectors": rng.normal(size=(T, B, H, W)) * rng.choice([0.0, 1.0], size=(T, B, H, 1)),
        "read_weights": weighting(T, B, R),
        "free_gates": gate(T, B, R),
        "initial/memory": rng.normal(size=(1, N, W)) * draw(st.sampled_from([0.0, 1.0])),
    }
    attributes = {
        "write_heads": H,
        "write_order": draw(st.sampled_from(["parallel", "series"])),
        "read_order": draw(st.sampled_from(["after_write", "before_write"])),
        "deallocation": draw(st.booleans()),
    }
    if attributes["write_order"] == "series" and draw(st.booleans()):
        attributes["read_order"] = [draw(st.integers(0, H)) for _ in range(R)]
    fields = {name: values.astype(dtype) for name, values in fields.items()}
    return ArrayRecord(fields, law="ntm" if not attributes["deallocation"] else "dnc", attributes=attributes)


def frozen_read(record, time, head, batch):
    """The read by a plain torch unroll with the recorded weightings, and the write vectors and initial memory in it."""
    get = {name.removeprefix("memory/"): torch.tensor(record.read(name).astype(np.float64)) for name in record.stored}
    attributes = record.memories["memory"].attributes
    w, e = get["write_weights"][:, batch], get["erase_vectors"][:, batch]
    v = get["write_vectors"][:, batch].clone().requires_grad_()
    first = get["initial/memory"][0].clone().requires_grad_()
    r, f = get["read_weights"][:, batch], get["free_gates"][:, batch]
    memory = first
    for t in range(time + 1):
        seen = [memory]
        if attributes["deallocation"] and t:
            memory = memory * torch.prod(1 - f[t][:, None] * r[t - 1], 0)[:, None]
        if attributes["write_order"] == "series":
            for h in range(w.shape[1]):
                memory = memory * (1 - torch.outer(w[t, h], e[t, h])) + torch.outer(w[t, h], v[t, h])
                seen.append(memory)
        else:
            keep = torch.prod(1 - w[t][:, :, None] * e[t][:, None, :], 0)
            memory = memory * keep + w[t].T @ v[t]
            seen.append(memory)
        order = attributes["read_order"]
        at = order[head] if isinstance(order, list) else {"after_write": -1, "before_write": 0}[order]
    return r[time, head] @ seen[at], v, first


@st.composite
def reads(draw, dtype=np.float64):
    record = draw(memories(dtype))
    times, items, heads = record.read("memory/read_weights").shape[:3]
    return record, draw(st.integers(0, times - 1)), draw(st.integers(0, heads - 1)), draw(st.integers(0, items - 1))


@given(reads())
def test_contributions_sum_to_the_read_and_equal_gradient_times_input(read):
    record, time, head, batch = read
    found = lineage(record, time, head, batch)
    expected, v, first = frozen_read(record, time, head, batch)
    assert found.contributions.shape == (time + 2, len(expected))
    np.testing.assert_allclose(found.contributions.sum(0), expected.detach(), rtol=0, atol=1e-12)
    for word in range(len(expected)):
        grad_v, grad_first = torch.autograd.grad(
            expected[word], (v, first), retain_graph=True, allow_unused=True, materialize_grads=True
        )
        # A read is linear in what was written, so gradient x input is the contribution itself.
        np.testing.assert_allclose(
            found.by_head[:, :, word], (grad_v * v).sum(-1).detach()[: time + 1], rtol=0, atol=1e-12
        )
        np.testing.assert_allclose(found.contributions[0, word], (grad_first * first).sum().detach(), atol=1e-12)


@given(reads(np.float32))
def test_float32_contributions_sum_to_the_float32_read(read):
    record, time, head, batch = read
    expected, *_ = frozen_read(record, time, head, batch)
    found = lineage(record, time, head, batch)
    np.testing.assert_allclose(found.total, expected.detach(), rtol=0, atol=1e-12)


@given(reads())
def test_shares_sum_to_one_over_sources_and_over_slots(read):
    record, time, head, batch = read
    found = lineage(record, time, head, batch)
    if not found.total.any():
        assert np.isnan(found.shares).all()
        assert np.isnan(found.by_slot).all()
        assert "the read is zero" in found.text()
        return
    scale = found.cancellation
    assert scale >= 1 - 1e-12
    assert found.shares.sum() == pytest.approx(1, abs=1e-11 * scale)
    np.testing.assert_allclose(found.by_slot.sum(1), found.shares, rtol=0, atol=1e-11 * scale)
    assert 1 - 1e-9 <= found.sources <= time + 2 + 1e-9
    assert "addressing frozen" in found.text()


@given(memories())
def test_the_table_holds_the_lineage_of_every_read(record):
    times, items, heads = record.read("memory/read_weights").shape[:3]
    for batch in range(items):
        table = lineage_table(record, batch=batch)
        assert table.shares.shape == (times, heads, times + 1)
        for time in range(0, times, 3):
            for head in range(heads):
                one = lineage(record, time, head, batch)
                norms = np.linalg.norm(one.contributions, axis=1)
                np.testing.assert_allclose(table.norms[time, head, : time + 2], norms, rtol=0, atol=1e-11)
                assert not table.norms[time, head, time + 2 :].any()
                # Near a read of zero a share is a quotient of two roundings.
                if np.linalg.norm(one.total) > 1e-6:
                    scale = one.cancellation
                    shares = table.shares[time, head]
                    np.testing.assert_allclose(shares[: time + 2], one.shares, rtol=0, atol=1e-9 * scale)
                    assert table.cancellation[time, head] == pytest.approx(scale)
                    np.testing.assert_allclose(table.sources[time, head], one.sources, rtol=1e-6)
                    np.testing.assert_allclose(table.age[time, head], one.age, rtol=1e-6, atol=1e-6)


@given(memories(), st.data())
def test_what_is_lost_and_what_survives_make_the_whole_write(record, data):
    times, items, heads = record.read("memory/write_weights").shape[:3]
    time = data.draw(st.integers(-1, times - 1))
    head, batch = data.draw(st.integers(0, heads - 1)), data.draw(st.integers(0, items - 1))
    found = destruction(record, time, head, batch=batch)
    if np.isnan(found.survives[-1]):
        assert "put nothing" in found.text()
        return
    assert not found.lost[: max(time, 0)].any()
    np.testing.assert_allclose(found.survives, 1 - np.cumsum(found.lost.sum(1)), rtol=0, atol=1e-12)
    assert (found.lost >= 0).all()
