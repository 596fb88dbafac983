"""Where a head goes: interpolation, shift and sharpening, in values and gradients."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from memviz.demos.models.ntm_addressing import locate, shift_tables


@given(st.integers(0, 2**31), st.integers(1, 6))
def test_it_is_the_plain_equations(seed, slots):
    """Graves et al. 2014, equations 7 to 9, in loops."""
    torch.manual_seed(seed)
    shifts = (-1, 0, 2)
    content, previous = (torch.rand(1, 1, slots, dtype=torch.float64).softmax(2) for _ in range(2))
    gate, power = torch.rand(1, 1, dtype=torch.float64), 1 + 3 * torch.rand(1, 1, dtype=torch.float64)
    moves = torch.rand(1, 1, 3, dtype=torch.float64).softmax(2)
    mixed = [float(gate * content[0, 0, i] + (1 - gate) * previous[0, 0, i]) for i in range(slots)]
    moved = [sum(float(moves[0, 0, k]) * mixed[(i - by) % slots] for k, by in enumerate(shifts)) for i in range(slots)]
    powers = [value ** float(power) for value in moved]
    expected = torch.tensor([value / sum(powers) for value in powers], dtype=torch.float64)
    found = locate(content, previous, gate, moves, power, shift_tables(shifts, slots))
    torch.testing.assert_close(found[0, 0], expected, rtol=0, atol=1e-12)


def test_sharpening_cannot_make_all_weight_vanish():
    # 1/128 to the power of 40 is far below the smallest float32.
    even = torch.full((1, 1, 128), 1 / 128)
    one = torch.ones(1, 1)
    found = locate(even, even, one, torch.ones(1, 1, 1), 40 * one, shift_tables((0,), 128))
    torch.testing.assert_close(found, even)
    public = locate(even, even, one, torch.ones(1, 1, 1), 40 * one, shift_tables((0,), 128), 1e-16)
    assert public.sum() == 0, "with a constant in the sum it does vanish, as in the public implementations"


@pytest.mark.parametrize("delta", [0.0, 1e-2])
@pytest.mark.parametrize("shifts", [(0,), (-1, 0, 1), (2, -3, 0, 1)])
def test_the_gradient_of_locate(delta, shifts):
    torch.manual_seed(0)
    content, previous = (torch.rand(2, 3, 5, dtype=torch.float64).softmax(2).requires_grad_() for _ in range(2))
    gate = torch.rand(2, 3, dtype=torch.float64, requires_grad=True)
    moves = torch.rand(2, 3, len(shifts), dtype=torch.float64).softmax(2).requires_grad_()
    power = (1 + torch.rand(2, 3, dtype=torch.float64)).requires_grad_()
    tables = shift_tables(shifts, 5)
    assert torch.autograd.gradcheck(lambda *x: locate(*x, tables, delta), (content, previous, gate, moves, power))


def test_a_shift_moves_a_head_around_the_ring():
    start = torch.eye(5)[4].view(1, 1, 5)
    gate, power = torch.zeros(1, 1), torch.ones(1, 1)
    for shift, slot in ((1, 0), (-1, 3), (0, 4), (7, 1)):
        moved = locate(start, start, gate, torch.ones(1, 1, 1), power, shift_tables((shift,), 5))
        assert moved[0, 0].argmax() == slot
