"""What memviz derives for the unmodified `dnc` package equals what the package itself reports with debug=True."""

from __future__ import annotations

import warnings
from collections import defaultdict

import numpy as np
import pytest
import torch

from memviz.analysis.replay import derivable, derive, replay_error
from memviz.trace.schema import MemorySchema

pytestmark = pytest.mark.thirdparty

T, N, W, R = 12, 8, 5, 3


class Generators:
    """Stands in for a record: the generators that wrapped methods of the package's memory saw, for batch item 0."""

    def __init__(self, seen):
        self.values = {f"mem/{name}": np.stack(values)[:, :1] for name, values in seen.items()}
        self.stored = tuple(self.values)
        attributes = {"allocation_delta": 1e-6, "cosine_delta": 1e-6, "allocation_ties": "arbitrary"}
        self.memories = {"mem": MemorySchema("mem", "dnc", attributes=attributes)}
        self.lengths = {"mem": T}

    def read(self, name, time=slice(None)):
        return self.values[name][time]


@pytest.fixture
def recorded(monkeypatch):
    """The package's own debug output and the generators of the same forward, from a sharpened random model."""
    with warnings.catch_warnings():
        # The package carries an invalid escape sequence and a deprecated tensor constructor.
        warnings.simplefilter("ignore")
        from dnc import DNC
        from dnc.memory import Memory

        seen = defaultdict(list)
        write, read, lookup = Memory.write, Memory.read, Memory.content_weightings

        def wrapped_write(self, key, vector, erase, free, read_strength, strength, gate, allocation_gate, hidden):
            given = {"write_keys": key, "write_strengths": strength, "write_vectors": vector, "erase_vectors": erase}
            for name, value in (given | {"free_gates": free}).items():
                seen[name].append(value.detach().numpy())
            after = write(self, key, vector, erase, free, read_strength, strength, gate, allocation_gate, hidden)
            seen["write_weights"].append(after["write_weights"].detach().numpy())
            return after

        def wrapped_read(self, keys, strengths, modes, hidden):
            vectors, after = read(self, keys, strengths, modes, hidden)
            for name, value in {"read_keys": keys, "read_strengths": strengths}.items():
                seen[name].append(value.detach().numpy())
            seen["read_weights"].append(after["read_weights"].detach().numpy())
            seen["_read_vectors"].append(vectors.detach().numpy())
            return vectors, after

        def wrapped_lookup(self, memory, keys, strengths):
            weights = lookup(self, memory, keys, strengths)
            seen["_write_content_weights" if keys.shape[1] == 1 else "_read_content_weights"].append(
                weights.detach().numpy()
            )
            return weights

        monkeypatch.setattr(Memory, "write", wrapped_write)
        monkeypatch.setattr(Memory, "read", wrapped_read)
        monkeypatch.setattr(Memory, "content_weightings", wrapped_lookup)
        torch.manual_seed(0)
        model = DNC(4, 16, num_hidden_layers=1, nr_cells=N, cell_size=W, read_heads=R, debug=True)
        with torch.no_grad():
            model.memories[0].interface_weights.weight.mul_(6)
            _, _, debug = model(torch.randn(2, T, 4))
    internal = {name[1:]: np.stack(seen.pop(name))[:, :1] for name in list(seen) if name.startswith("_")}
    return Generators(seen), debug, internal


def test_the_derived_state_equals_the_debug_output(recorded):
    record, debug, internal = recorded
    expected = {
        "memory": debug["memory"].reshape(T, 1, N, W),
        "link_matrix": debug["link_matrix"].reshape(T, 1, 1, N, N),
        "precedence_weights": debug["precedence"].reshape(T, 1, 1, N),
        "usage": debug["usage_vector"].reshape(T, 1, N),
        **internal,
    }
    assert np.abs(expected["link_matrix"]).max() > 0.05, "the model must write for the comparison to mean anything"
    for name, values in expected.items():
        np.testing.assert_allclose(derive(record, "mem", name), values, rtol=0, atol=1e-6, err_msg=name)


def test_the_keyframe_confirms_that_the_package_obeys_the_law(recorded):
    record, debug, _ = recorded
    record.values["mem/final/memory"] = debug["memory"][-1].reshape(1, N, W)
    record.stored = tuple(record.values)
    assert replay_error(record, "mem") <= 1e-6
    assert "allocation_weights" not in derivable(
        record.memories["mem"], [n.removeprefix("mem/") for n in record.stored]
    )
