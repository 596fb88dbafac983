"""One time of a DNC's memory in steps that can be followed by hand."""

from __future__ import annotations

import pytest
import torch

from memviz.demos.models.dnc_memory import DNCMemory
from memviz.errors import OptionError


def memory_of(**options):
    torch.manual_seed(0)
    return DNCMemory(3, 4, 2, **options).double()


def interface(memory, **values):
    """The interface of a controller that says 0, with some parts set."""
    x = memory.parse(torch.zeros(1, 3, dtype=torch.float64))
    return x._replace(**{name: torch.tensor(value, dtype=torch.float64) for name, value in values.items()})


WRITE = {"write_gate": [[1.0]], "allocation_gate": [[1.0]], "erase_vectors": [[[0.0, 0.0]]]}
BACKWARD, _, FORWARD = ([[[float(mode == way) for mode in range(3)]]] for way in range(3))


def test_each_item_goes_to_a_slot_of_its_own_and_links_lead_from_one_to_the_next():
    memory = memory_of()
    state, slots = memory.initial_state(1), []
    for number in (1.0, 2.0, 3.0):
        x = interface(memory, **WRITE, write_vectors=[[[number, -number]]], free_gates=[[0.0]])
        _, state = memory.step(x, state)
        slots.append(int(state.write_weights[0, 0].argmax()))
    assert len(set(slots)) == 3
    torch.testing.assert_close(state.memory[0, slots, 0], torch.tensor([1.0, 2.0, 3.0]).double(), rtol=0, atol=1e-4)
    links = state.link_matrix[0, 0]
    assert links[slots[1], slots[0]] > 0.99
    assert links[slots[2], slots[1]] > 0.99
    assert links.sum() < 2.01
    # From a read of the first item one step forward to the second, and one back.
    state = state._replace(read_weights=torch.eye(4, dtype=torch.float64)[slots[0]].view(1, 1, 4))
    read, after = memory.step(interface(memory, write_gate=[[0.0]], read_modes=FORWARD), state)
    assert after.read_weights[0, 0].argmax() == slots[1]
    torch.testing.assert_close(read[0, 0], torch.tensor([2.0, -2.0]).double(), rtol=0, atol=0.05)
    back, _ = memory.step(interface(memory, write_gate=[[0.0]], read_modes=BACKWARD), after)
    torch.testing.assert_close(back[0, 0], torch.tensor([1.0, -1.0]).double(), rtol=0, atol=0.05)


@pytest.mark.parametrize("deallocation", [False, True])
def test_what_is_freed_is_used_again_and_cleared_where_that_is_asked_for(deallocation):
    memory = memory_of(deallocation=deallocation)
    state = memory.initial_state(1)
    _, state = memory.step(interface(memory, **WRITE, write_vectors=[[[5.0, 5.0]]]), state)
    state = state._replace(read_weights=torch.eye(4, dtype=torch.float64)[:1].unsqueeze(0))
    _, after = memory.step(interface(memory, write_gate=[[0.0]], free_gates=[[1.0]]), state)
    assert after.usage[0, 0] == 0
    assert (after.memory[0, 0].abs().max() < 1e-6) == deallocation


def test_the_width_of_the_interface_is_said():
    memory = memory_of(read_heads=2)
    assert memory.interface_size == memory.interface.out_features == 2 * 2 + 3 * 2 + 5 * 2 + 3


def test_bad_options_give_one_line():
    with pytest.raises(OptionError, match="bounds must be paper or package"):
        memory_of(bounds="papers")
    with pytest.raises(OptionError, match="masking must be True or False, not 1"):
        memory_of(masking=1)
