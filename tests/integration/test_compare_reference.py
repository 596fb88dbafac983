"""The numpy reference against the recorded torch model: the same in every field, and a fault in one is found."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import memviz
from memviz.analysis.array_record import ArrayRecord
from memviz.demos.models import DNC
from memviz.demos.reference import dnc as reference

SLOTS, WORDS, HEADS = 6, 4, 2


@pytest.fixture
def both(tmp_path):
    """A float64 model recorded with all fields, and the reference run on its parameters and its input."""
    torch.manual_seed(1)
    model = DNC(3, 8, nr_cells=SLOTS, cell_size=WORDS, read_heads=HEADS).double()
    x = torch.randn(2, 12, 3, dtype=torch.float64)
    # Slots that start equal stay equal up to rounding, and rounding would then decide which is allocated first.
    state = model.initial_state(2)
    start = torch.randn_like(state.memory.memory)
    state = state._replace(memory=state.memory._replace(memory=start))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)
        with memviz.attach(model, tmp_path / "run", every=1, batch="all", fields="all"):
            model(x, state)
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    sizes = {"slots": SLOTS, "words": WORDS, "read_heads": HEADS}
    fields = reference.run(x.numpy(), weights, memory=start.numpy(), **sizes)
    fields.pop("output")
    return memviz.open(tmp_path / "run")[-1], fields


def test_the_reference_agrees_with_the_recorded_model_in_every_field(both):
    record, fields = both
    found = memviz.compare(record, ArrayRecord(fields))
    assert found.same, found.text()
    (memory,) = found.memories
    assert {entry.field for entry in memory.fields} == set(fields)
    assert max(entry.largest for entry in memory.fields) < 1e-9
    assert memory.alignment.moved == 0


def test_a_fault_is_found_at_its_time_and_in_its_field(both):
    record, fields = both
    # The free gate of one head is off from time 5 on: usage goes wrong first, whatever follows from it later.
    wrong = {name: values.copy() for name, values in fields.items()}
    wrong["usage"][5:, 1] *= 0.5
    wrong["allocation_weights"][5:, 1] = np.roll(wrong["allocation_weights"][5:, 1], 1, axis=-1)
    wrong["memory"][6:, 1] += 0.1
    found = memviz.compare(record, ArrayRecord(wrong))
    assert not found.same
    assert found.memories[0].first() == (5, "usage")
    assert "the first difference is at time 5, in usage" in found.text()
