"""What the migration helper refuses, in words; what it does with the real package is in tests/integration."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from memviz.demos.models import from_dnc_package, state_from_dnc_package


class Memory(nn.Module):
    independent_linears = False


class Sparse(Memory):
    def rebuild_indexes(self):
        """Its presence tells a sparse memory."""


class Network(nn.Module):
    def __init__(self, memory, **options):
        super().__init__()
        self.rnns, self.memories = [nn.LSTM(2, 2)], [memory]
        for name, value in options.items():
            setattr(self, name, value)


def test_another_class_is_refused():
    with pytest.raises(ValueError, match=r"expected a dnc\.DNC of the package dnc 1\.1\.0, not a torch\..*Linear"):
        from_dnc_package(nn.Linear(2, 2))


def test_sparse_memories_are_refused():
    with pytest.raises(ValueError, match=r"expected a dense dnc\.DNC, .* the memory of SAM and SDNC is sparse"):
        from_dnc_package(Network(Sparse()))


def test_another_version_is_refused():
    with pytest.raises(ValueError, match=r"not a .*Network without num_layers"):
        from_dnc_package(Network(Memory(), input_size=3, hidden_size=2))


def test_parts_of_a_state_may_be_missing():
    assert state_from_dnc_package((None, None, None)) == (None, None, None)
    hidden = torch.zeros(1, 2, 3)
    cells, memory, last_read = state_from_dnc_package(([hidden], None, None))
    assert cells == ((hidden,),)
    assert memory is last_read is None


def test_a_state_with_other_parts_is_refused():
    with pytest.raises(ValueError, match=r"is \(controller_hidden, memory, last_read\)"):
        state_from_dnc_package((None, None))
    with pytest.raises(ValueError, match="this memory state has no 'usage_vector'"):
        state_from_dnc_package((None, {"memory": torch.zeros(1, 2, 3)}, None))
