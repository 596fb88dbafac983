from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from memviz.demos.models.sparse_versions import Versions


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_version_can_be_gone_back_to_bit_by_bit(data):
    array, other = torch.zeros(6, 2), torch.arange(6)
    versions = Versions()
    known = [(versions.current, array.clone(), other.clone())]
    for step in range(data.draw(st.integers(1, 12))):
        start, before, ints = known[data.draw(st.integers(0, len(known) - 1))]
        versions.checkout(start)
        assert torch.equal(array.view(torch.int32), before.view(torch.int32))
        assert torch.equal(other, ints)
        rows = torch.tensor(sorted(data.draw(st.sets(st.integers(0, 5), min_size=1))))
        versions.put(array, rows, torch.full((len(rows), 2), 0.1 * (step + 1)))
        versions.put(other, rows[:1], torch.tensor([100 + step]))
        versions.put(array, rows[:1], torch.full((1, 2), float("nan") if step % 3 else -1.0))
        known.append((versions.commit(reached=step), array.clone(), other.clone()))
    for version, expected, ints in reversed(known):
        versions.checkout(version)
        assert torch.equal(array.view(torch.int32), expected.view(torch.int32))
        assert torch.equal(other, ints)


def test_what_was_put_and_never_committed_is_taken_back():
    array, versions = torch.zeros(3), Versions()
    start = versions.current
    versions.put(array, torch.tensor([1]), torch.tensor([5.0]))
    versions.checkout(start)
    assert array.tolist() == [0, 0, 0]


def test_every_change_is_told():
    told = []
    versions = Versions(lambda array, rows: told.append(rows.tolist()))
    array, start = torch.zeros(3), versions.current
    versions.put(array, torch.tensor([2, 0]), torch.ones(2))
    versions.commit()
    versions.checkout(start)
    assert told == [[2, 0], [2, 0]]


def test_an_old_version_nobody_holds_is_forgotten():
    array, versions = torch.zeros(3), Versions()
    for step in range(3):
        versions.put(array, torch.tensor([0]), torch.tensor([float(step)]))
        versions.commit()
    # The current version holds no changes, and nothing else is reachable from it.
    assert versions.current.changes == []
    assert versions.current.toward is None
