from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from memviz.demos.models.sparse_bank import dense
from memviz.demos.models.sparse_sets import largest, merge, value_at

EMPTY = 5


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**31), count=st.integers(1, 9))
def test_merging_keeps_the_sums_and_names_each_slot_once(seed, count):
    random = torch.Generator().manual_seed(seed)
    positions = torch.randint(0, EMPTY + 1, (2, count), generator=random)
    values = torch.rand(2, count, generator=random, dtype=torch.float64)
    where, summed = merge(positions, values, EMPTY)
    expected = torch.zeros(2, EMPTY + 1, dtype=torch.float64).scatter_add(1, positions, values)[:, :EMPTY]
    torch.testing.assert_close(dense(where, summed, EMPTY), expected)
    for row in where.tolist():
        named = [slot for slot in row if slot != EMPTY]
        assert len(named) == len(set(named))
    wanted = torch.arange(EMPTY).expand(2, -1)
    torch.testing.assert_close(value_at(where, summed, wanted), expected)


def test_the_largest_entries_are_kept_and_the_rest_is_counted():
    positions, values = torch.tensor([[3, 1, EMPTY]]), torch.tensor([[0.2, 0.5, 0.0]])
    where, kept, left = largest(positions, values, 1, EMPTY)
    assert where.tolist() == [[1]]
    torch.testing.assert_close(kept, torch.tensor([[0.5]]))
    torch.testing.assert_close(left, torch.tensor([0.2]))
    where, kept, left = largest(positions, values, 4, EMPTY)
    assert where.tolist() == [[1, 3, EMPTY, EMPTY]]
    assert left.tolist() == [0]
