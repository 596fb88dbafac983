from __future__ import annotations

import pytest
import torch

from memviz.demos.models.sparse_lru import LeastRecentlyUsed


@pytest.mark.parametrize("slots", [1, 2, 63, 64, 65, 5000])
def test_the_least_recently_used_slot_is_that_of_a_plain_search(slots):
    torch.manual_seed(slots)
    batch = 3
    order = LeastRecentlyUsed(batch, slots, torch.device("cpu"))
    stamps = torch.zeros(batch, slots, dtype=torch.int64)
    first = torch.arange(batch).unsqueeze(1) * (slots + 1)
    for time in range(1, 40):
        # The first of those with the smallest stamp.
        assert order.least().tolist() == [row.tolist().index(row.min()) for row in stamps]
        touched = torch.randint(0, slots + 1, (batch, 5))
        rows = (touched + first).flatten()
        order.keys[rows] = order.key(touched, time).flatten()
        order.repair(rows)
        for item in range(batch):
            stamps[item, [slot for slot in touched[item].tolist() if slot < slots]] = time
