"""A memory whose slots and read heads are renamed is the same memory, and the comparison finds the renaming."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from memviz.analysis.array_record import ArrayRecord
from memviz.analysis.compare import compare
from memviz.fields import lookup
from memviz.testing.simulate import Sizes, simulate_dnc

SIZES = Sizes(times=10, slots=7, words=4, read_heads=3, batch=2)


def renamed(fields, slots, heads):
    """The same fields with other numbers for slots (per item) and for read heads."""
    result = {}
    for name, values in fields.items():
        axes = lookup(name).axes
        for axis in ("slot", "slot_to", "slot_from"):
            if axis in axes:
                moved = np.moveaxis(values, (axes.index("batch"), axes.index(axis)), (0, 1))
                moved = np.stack([moved[item][slots[item]] for item in range(len(moved))])
                values = np.moveaxis(moved, (0, 1), (axes.index("batch"), axes.index(axis)))
        if "read_head" in axes:
            values = np.take(values, heads, axis=axes.index("read_head"))
        result[name] = values
    return result


def recorded(seed=3, jitter=0):
    found = simulate_dnc(SIZES, seed=seed, sharpness=0.6, jitter=jitter)
    return {name: values for name, values in found.items() if name not in ("input", "target", "output")}


@settings(max_examples=30)
@given(
    st.permutations(range(7)),
    st.permutations(range(7)),
    st.permutations(range(3)),
    st.sampled_from(["writes", "content"]),
)
def test_renaming_is_undone(first, second, heads, method):
    fields = recorded()
    other = renamed(fields, [first, second], heads)
    found = compare(ArrayRecord(fields), ArrayRecord(other), align_by=method)
    assert found.same, found.text()
    (memory,) = found.memories
    assert len(memory.fields) == len([name for name in fields if "/" not in name])
    np.testing.assert_array_equal(memory.alignment.slots, [np.argsort(first), np.argsort(second)])
    np.testing.assert_array_equal(memory.alignment.read_heads, np.argsort(heads))
    for entry in memory.fields:
        np.testing.assert_array_equal(memory.difference(entry.field), 0)
    changed = (np.array(first) != range(7)).sum() + (np.array(second) != range(7)).sum()
    assert memory.alignment.moved == changed


@settings(max_examples=30)
@given(st.integers(0, 9), st.integers(0, 1), st.integers(0, 2), st.integers(0, 6), st.permutations(range(7)))
def test_one_changed_value_is_found_through_a_renaming(time, item, head, slot, order):
    fields = recorded()
    changed = {name: values.copy() for name, values in fields.items()}
    changed["read_weights"][time, item, head, slot] += 0.5
    found = compare(ArrayRecord(fields), ArrayRecord(renamed(changed, [order, order], range(3))))
    (memory,) = found.memories
    (entry,) = [entry for entry in memory.fields if not entry.same]
    assert entry.field == "read_weights"
    assert entry.place == {"time": time, "batch": item, "read_head": head, "slot": slot}
    assert abs(entry.largest - 0.5) < 1e-6
    assert memory.first() == (time, "read_weights")
    assert entry.first == time
