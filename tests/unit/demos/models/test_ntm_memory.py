"""The memory of an NTM: in which order heads act, and what they see."""

from __future__ import annotations

import pytest
import torch

from memviz.demos.models.ntm_memory import NTMMemory, NTMMemoryState
from memviz.demos.models.ntm_options import Dialect

ONE, TWO = (torch.eye(4, dtype=torch.float64)[slot].view(1, 1, 4) for slot in (1, 2))


def memory_of(write_order="parallel", read_order="after_write", heads=2, **options):
    torch.manual_seed(0)
    return NTMMemory(3, 4, 2, 1, heads, (0,), write_order, read_order, **options).double()


def stay(memory, values, erase, at):
    """One time in which every head stays where it is: it neither looks up nor moves."""
    heads = memory.write_heads
    x = memory.parse(torch.zeros(1, 3, dtype=torch.float64))
    x = x._replace(
        interpolation_gate=torch.zeros(1, 1 + heads, dtype=torch.float64),
        sharpening=torch.ones(1, 1 + heads, dtype=torch.float64),
        write_vectors=torch.tensor([values], dtype=torch.float64),
        erase_vectors=torch.tensor([erase], dtype=torch.float64),
    )
    content = torch.ones(1, 4, 2, dtype=torch.float64)
    return memory.step(x, NTMMemoryState(content, at[0], torch.cat(at[1:], dim=1)))


def test_parallel_writes_erase_first_and_then_add():
    read, after = stay(memory_of(), [[3, 0], [0, 5]], [[1, 1], [0, 0]], (ONE, ONE, ONE))
    assert after.memory[0, 1].tolist() == [3, 5]
    assert read[0, 0].tolist() == [3, 5]


def test_a_later_head_in_series_erases_what_an_earlier_one_wrote():
    _, after = stay(memory_of("series"), [[3, 0], [0, 5]], [[0, 0], [1, 1]], (ONE, ONE, ONE))
    assert after.memory[0, 1].tolist() == [0, 5]


def test_of_several_heads_the_last_ones_write_may_be_the_only_one():
    _, after = stay(memory_of("last"), [[3, 0], [0, 5]], [[1, 1], [0, 0]], (ONE, ONE, TWO))
    assert after.memory[0].tolist() == [[1, 1], [1, 1], [1, 6], [1, 1]]


@pytest.mark.parametrize(("order", "seen"), [("before_write", [1, 1]), ("after_write", [3, 5]), ("in_turn", [1, 1])])
def test_a_read_sees_the_memory_of_its_turn(order, seen):
    read, _ = stay(memory_of("series", order), [[3, 0], [0, 5]], [[1, 1], [0, 0]], (ONE, ONE, ONE))
    assert read[0, 0].tolist() == seen


def test_a_write_replaces_where_erase_vectors_are_ones():
    memory = memory_of(heads=1, dialect=Dialect(erase="ones"))
    assert memory.layout["erase_vectors"] == (1, 0)
    x = memory.parse(torch.randn(2, 3, dtype=torch.float64))
    assert (x.erase_vectors == 1).all()


def test_what_heads_emit_is_bounded_as_the_dialect_says():
    memory = memory_of(dialect=Dialect("oneplus", "sigmoid", bounded_by_tanh=("read_keys", "write_vectors")))
    x = memory.parse(50 * torch.randn(20, 3, dtype=torch.float64))
    assert x.read_strengths.min() >= 1
    assert 1 <= x.sharpening.min() <= x.sharpening.max() <= 2
    assert x.read_keys.abs().max() <= 1
    assert x.write_vectors.abs().max() <= 1
    assert x.write_keys.abs().max() > 1
    torch.testing.assert_close(x.shift_weights.sum(-1), torch.ones(20, 3, dtype=torch.float64))
