from __future__ import annotations

import pytest
import torch

from memviz.demos.models.sparse_store import Store
from memviz.demos.models.sparse_versions import Versions


@pytest.fixture
def store():
    versions = Versions()
    return Store(torch.arange(10.0, dtype=torch.float64).view(5, 2), versions)


def dense(start, steps):
    """The same as `run`, with whole arrays and autograd."""
    rows, found = start.clone(), []
    for at, keep, add in steps:
        factor = torch.ones(5, 1, dtype=start.dtype).index_put((at,), keep)
        rows = rows * factor + torch.zeros_like(rows).index_put((at,), add)
        found.append(rows)
    return found


def steps_of(count):
    torch.manual_seed(0)
    return [
        (
            torch.randperm(5)[:3],
            torch.rand(3, 1, dtype=torch.float64, requires_grad=True),
            torch.randn(3, 2, dtype=torch.float64, requires_grad=True),
        )
        for _ in range(count)
    ]


def run(store, steps, read):
    token, found = store.values.new_zeros(0), []
    for at, keep, add in steps:
        token = store.update(token, at, keep, add)
        store.versions.commit()
        found.append(store.gather(token, read))
    return found


def test_values_and_gradients_equal_those_of_the_dense_array(store):
    steps, read = steps_of(4), torch.tensor([0, 3, 3])
    start = store.values.clone()
    weights = torch.randn(4, 3, 2, dtype=torch.float64)
    loss = sum((w * found.sin()).sum() for w, found in zip(weights, run(store, steps, read), strict=True))
    expected = sum((w * rows[read].sin()).sum() for w, rows in zip(weights, dense(start, steps), strict=True))
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)
    inputs = [tensor for step in steps for tensor in step[1:]]
    wanted = torch.autograd.grad(expected, inputs)
    for actual, right in zip(torch.autograd.grad(loss, inputs, retain_graph=True), wanted, strict=True):
        torch.testing.assert_close(actual, right, rtol=1e-12, atol=1e-12)
    # A second pass over the same graph starts from a clean buffer.
    for actual, right in zip(torch.autograd.grad(loss, inputs), wanted, strict=True):
        torch.testing.assert_close(actual, right, rtol=1e-12, atol=1e-12)


def test_a_pass_through_a_part_leaves_nothing_behind(store):
    steps, read = steps_of(3), torch.tensor([0, 1, 2, 3, 4])
    found = run(store, steps, read)
    # Ends before the first write, whose buffer is then still full.
    torch.autograd.grad(found[2].sum(), [steps[2][2]], retain_graph=True)
    (actual,) = torch.autograd.grad(found[1].sum(), [steps[0][2]])
    (expected,) = torch.autograd.grad(
        dense(torch.arange(10.0, dtype=torch.float64).view(5, 2), steps)[1].sum(), [steps[0][2]]
    )
    torch.testing.assert_close(actual, expected)


def test_backward_rolls_the_array_back_bit_by_bit(store):
    start, steps = store.values.clone(), steps_of(3)
    found = run(store, steps, torch.tensor([1]))
    after, last = store.values.clone(), store.versions.current
    found[-1].sum().backward()
    assert torch.equal(store.values, start)
    store.versions.checkout(last)
    assert torch.equal(store.values, after)


def test_a_pass_inside_of_another_one_is_refused(store):
    steps = steps_of(2)
    first, second = run(store, steps, torch.tensor([0, 1, 2, 3, 4]))

    class Nested(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            with torch.enable_grad():
                torch.autograd.grad(second.sum(), [steps[1][2]], retain_graph=True)
            return grad

    loss = (Nested.apply(first) + second).sum()
    with pytest.raises(RuntimeError, match="inside of another one"):
        loss.backward()
