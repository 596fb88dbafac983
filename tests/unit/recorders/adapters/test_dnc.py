"""What the adapter recognizes; what it records is in tests/integration/test_dnc_package.py."""

from __future__ import annotations

import pytest
from torch import nn

from memviz.fields import lookup
from memviz.recorders.adapters.dnc import DNCAdapter


class Vendored(nn.Module):
    """A copy of the package's Memory under another name, as people paste it into their code."""

    def __init__(self):
        super().__init__()
        self.mem_size, self.cell_size, self.read_heads = 8, 4, 2

    def write(self, write_key, write_vector, erase_vector, free_gates, read_strengths, write_strength, write_gate,
              allocation_gate, hidden): ...  # fmt: skip

    def read(self, read_keys, read_strengths, read_modes, hidden): ...

    def allocate(self, usage, write_gate): ...

    def content_weightings(self, memory, keys, strengths): ...

    def directional_weightings(self, link_matrix, read_weights): ...

    def get_link_matrix(self, link_matrix, write_weights, precedence): ...


class Sparse(nn.Module):
    def __init__(self):
        super().__init__()
        self.mem_size, self.cell_size, self.read_heads = 8, 4, 2

    def rebuild_indexes(self): ...

    def read_from_sparse_memory(self): ...


class Network(nn.Module):
    def __init__(self, memory, layers=1, shared=True):
        super().__init__()
        self.num_layers, self.share_memory = layers, shared
        self.memories = [memory() for _ in range(1 if shared else layers)]
        for number, one in enumerate(self.memories):
            setattr(self, f"memory_{number}", one)


class Renamed(Network):
    """FSDP, for one, makes a class of its own from the class that it wraps."""


@pytest.fixture
def adapter():
    return DNCAdapter()


@pytest.mark.parametrize("module", [Network(Vendored), Renamed(Vendored), Vendored(), Network(Sparse), Sparse()])
def test_it_knows_the_family_by_its_structure(adapter, module):
    assert adapter.matches(module)


@pytest.mark.parametrize("module", [nn.LSTM(2, 2), nn.Linear(2, 2), nn.Sequential(), nn.ModuleList()])
def test_it_knows_no_strangers(adapter, module):
    assert not adapter.matches(module)


@pytest.mark.parametrize(
    ("module", "path", "names"),
    [
        (Network(Vendored), "", ["layer0"]),
        (Network(Vendored, 2), "", ["layer0", "layer1"]),
        (Network(Vendored, 2, shared=False), "a.b", ["a.b.layer0", "a.b.layer1"]),
        (Vendored(), "", ["memory"]),
        (Vendored(), "store", ["store"]),
    ],
)
def test_memories_are_named_by_layer(adapter, module, path, names):
    assert [plan.name for plan in adapter.plan(module, path)] == names


def test_layers_take_turns_at_a_shared_memory_and_have_no_law(adapter):
    first, second = adapter.plan(Network(Vendored, 2), "")
    assert (first.law, second.law) == ("", "")
    turns = {
        plan.name: {(probe.field, probe.turn, probe.turns) for probe in plan.probes if "content" in probe.field}
        for plan in (first, second)
    }
    assert turns["layer0"] == {("write_content_weights", 0, 4), ("read_content_weights", 1, 4)}
    assert turns["layer1"] == {("write_content_weights", 2, 4), ("read_content_weights", 3, 4)}


def test_layers_with_memories_of_their_own_follow_the_law(adapter):
    plans = adapter.plan(Network(Vendored, 2, shared=False), "")
    assert [plan.law for plan in plans] == ["dnc", "dnc"]
    assert plans[0].module is not plans[1].module


def test_it_reaches_every_field_of_a_dnc_and_only_fields_of_the_catalogue(adapter):
    reached = {probe.field for probe in adapter.plan(Vendored(), "")[0].probes}
    assert all(lookup(field) is not None for field in reached)
    states = {"memory", "link_matrix", "precedence_weights", "usage", "read_weights", "write_weights", "read_vectors"}
    lookups = {"read_keys", "read_strengths", "write_keys", "write_strengths"}
    lookups |= {"read_content_weights", "write_content_weights", "forward_weights", "backward_weights"}
    gates = {"free_gates", "allocation_gate", "write_gate", "read_modes", "erase_vectors", "write_vectors"}
    assert reached >= states | lookups | gates | {"allocation_weights"}


def test_every_place_exists_in_the_model(adapter):
    plan = adapter.plan(Vendored(), "")[0]
    for probe in plan.probes:
        if not probe.field.startswith("initial/"):
            probe.place(plan.module)
