"""SAM and SDNC of the package `dnc` 1.1.0 and of its line on GitHub (2.0): the probes of their sparse memories.

The package writes into its state in place at every time, so that its own `debug=True` reports the last time in every
row; here the state is copied at once. It keeps the product over heads as its read weights, which is no weighting; what
each head read is worked out from the keys and the visible rows. Usage is the package's own count of the time of the
last access. Its links go through eye(N, 2 KL), which leaves the diagonal; they are recorded as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from memviz.recorders.calls import Call
from memviz.recorders.probes import CallProbe, InputProbe, MethodProbe, OutputProbe, Probe

DELTA = 1e-6
"""What the package adds to the product of norms in its cosine."""

ON_REQUEST = ("memory", "initial/memory", "visible_memory", "write_weights", "last_access")
"""Fields with an entry per slot, and copies of rows: of a sparse memory only what is asked for by name."""

LINKS = ("forward_links", "backward_links", "link_precedence", "forward_walk", "backward_walk")
"""The same for the links of SDNC."""

SMALL = 4096
"""Numbers in a memory up to which it is recorded without being asked for."""


def is_sparse(module: nn.Module) -> bool:
    """Whether a module is built like the package's SparseMemory or SparseTemporalMemory."""
    names = ("rebuild_indexes", "read_from_sparse_memory", "mem_size", "cell_size", "read_heads")
    return all(hasattr(module, name) for name in names)


def is_temporal(module: nn.Module) -> bool:
    """Whether it has links, as in SDNC."""
    return is_sparse(module) and hasattr(module, "update_link_matrices")


def sparse_attributes(memory: Any) -> dict[str, Any]:
    """Facts for the trace."""
    facts: dict[str, Any] = {
        "slots": int(memory.mem_size),
        "words": int(memory.cell_size),
        "read_heads": int(memory.read_heads),
        "write_heads": 1,
        "sparse_reads": int(memory.K),
        "visible_rows": int(memory.c),
        "cosine_delta": DELTA,
        "strengths": "none",
        "read_weights": "the package keeps the product over heads; read_values are those of each head",
    }
    if is_temporal(memory):
        facts["temporal_reads"] = int(memory.KL)
        facts["links"] = "only their diagonal survives, through eye(N, 2 KL)"
    small = memory.mem_size * memory.cell_size <= SMALL
    facts["on_request"] = [] if small else [*ON_REQUEST, *(LINKS if is_temporal(memory) else ())]
    return facts


def sparse_probes(memory: nn.Module) -> list[Probe]:
    """What one call of a sparse memory brings."""
    written: dict[str, Any] = {"method": "write"}
    probes: list[Probe] = [
        OutputProbe(field="memory", pick=_state("memory"), mutable=True),
        OutputProbe(field="last_access", pick=_state("usage"), mutable=True),
        OutputProbe(field="read_vectors", pick=_state("read_vectors")),
        OutputProbe(field="least_used", pick=_state("least_used_mem")),
        OutputProbe(field="write_weights", pick=_state("write_weights"), axes="batch slot", mutable=True),
        MethodProbe(field="read_keys", method="read", argument="read_query"),
        MethodProbe(field="write_vectors", argument="write_vector", **written),
        MethodProbe(field="write_gate", argument="write_gate", **written),
        MethodProbe(field="write_interpolation", argument="interpolation_gate", **written),
        CallProbe(field="write_indices", compute=_write_indices, **written),
        CallProbe(field="write_values", compute=_write_values, **written),
        CallProbe(field="read_indices", method="read_from_sparse_memory", compute=_read_indices),
        CallProbe(field="read_values", method="read_from_sparse_memory", compute=_read_values),
        MethodProbe(field="visible_memory", method="read_from_sparse_memory", pick=lambda output: output[3]),
    ]
    if is_temporal(memory):
        walk = "directional_weightings"
        probes += [
            OutputProbe(field="forward_links", pick=_state("link_matrix"), axes="batch slot link_position"),
            OutputProbe(field="backward_links", pick=_state("rev_link_matrix"), axes="batch slot link_position"),
            OutputProbe(field="link_precedence", pick=_state("precedence"), axes="batch link_position"),
            MethodProbe(field="forward_walk", method=walk, pick=lambda output: output[0], axes="batch slot"),
            MethodProbe(field="backward_walk", method=walk, pick=lambda output: output[1], axes="batch slot"),
        ]
    return probes


def sparse_initial() -> list[Probe]:
    """The state that the first call is given."""
    return [InputProbe(field="initial/memory", argument=1, pick=_state("memory"), keep="first", mutable=True)]


def _state(key: str) -> Callable[[Any], Any]:
    def pick(value: Any) -> Any:
        return (value[1] if isinstance(value, tuple) else value)[key]

    return pick


def _write_indices(call: Call) -> Tensor:
    """A write goes to the rows that were visible to the last read: [batch, write_head, rank]."""
    positions: Tensor = call.output["read_positions"]
    return call.select(positions).unsqueeze(1).clone()


def _write_values(call: Call) -> Tensor:
    positions = call.select(call.output["read_positions"])
    return call.select(call.output["write_weights"]).gather(1, positions).unsqueeze(1)


def _read_indices(call: Call) -> Tensor:
    """All heads look at the same rows: [batch, read_head, rank]."""
    positions = call.select(call.output[1])
    return positions.unsqueeze(1).expand(-1, call.argument(2, "keys").shape[1], -1).clone()


def _read_values(call: Call) -> Tensor:
    """Softmax over the visible rows of their cosine with each key, without a strength."""
    rows, keys = call.select(call.output[3]), call.select(call.argument(2, "keys"))
    norms = keys.norm(dim=-1)[:, :, None] * rows.norm(dim=-1)[:, None, :]
    return torch.softmax(keys @ rows.transpose(1, 2) / (norms + DELTA), dim=-1)
