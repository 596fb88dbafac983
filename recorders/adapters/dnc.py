"""The package `dnc`, unmodified: PyPI 1.1.0 and its line on GitHub (2.0), networks and memories on their own.

The package goes by the paper (Graves et al. 2016) with deviations that the attributes of each memory state: usage is
lifted by 1e-6 before allocation, 1e-6 is added to the product of norms in the cosine, strengths are softplus without
the + 1 (recorded as used). Its read modes are ordered backward, forward, content; they are recorded in the order of the
catalogue. With a shared memory all layers use one memory in turn: each layer is recorded as a memory of its own,
without a law, because the state of one layer follows from what the other layers wrote in between. The two lines differ
in what they call sizes and options, and in the axes of the network's output; SAM and SDNC are in dnc_sparse.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from memviz.recorders.adapters.base import MemoryPlan
from memviz.recorders.adapters.dnc_sparse import is_sparse, sparse_attributes, sparse_initial, sparse_probes
from memviz.recorders.controls import BEFORE, Access, ControlPoint
from memviz.recorders.influence import influence_probes
from memviz.recorders.probes import InputProbe, MethodProbe, OutputProbe, Probe

_DELTA = 1e-6

_STATE = {
    "memory": "memory",
    "link_matrix": "link_matrix",
    "precedence_weights": "precedence",
    "usage": "usage_vector",
    "read_weights": "read_weights",
    "write_weights": "write_weights",
}
"""Field, and what the package's hidden state calls it."""

_WRITE_ARGUMENTS = {
    "write_keys": "write_key",
    "write_strengths": "write_strength",
    "erase_vectors": "erase_vector",
    "write_vectors": "write_vector",
    "free_gates": "free_gates",
    "write_gate": "write_gate",
    "allocation_gate": "allocation_gate",
}

_MEMORY_METHODS = ("write", "read", "allocate", "content_weightings", "directional_weightings", "get_link_matrix")
_MEMORY_SIZES = ("cell_size", "read_heads")
_SLOTS = ("mem_size", "nr_cells")
"""What PyPI and GitHub call the number of slots."""

_SHARED = ("share_memory", "share_memory_between_layers")
"""What they call the option that all layers use one memory."""


class DNCAdapter:
    """Records every field that DNC, SAM and SDNC of the package `dnc` have."""

    name = "dnc"

    def matches(self, module: nn.Module) -> bool:
        """Whether the module is built like the package's DNC, SAM or SDNC, or one of their memories."""
        return _is_network(module) or _is_dense(module) or is_sparse(module)

    def plan(self, module: nn.Module, path: str) -> Sequence[MemoryPlan]:
        """The memories `layer0`, `layer1`, ... of a network, or the one memory of a Memory used on its own."""
        if not _is_network(module):
            return [_plan(module, path or "memory", 0, 1, in_network=False)]
        network: Any = module  # attributes of an nn.Module have no useful type
        prefix = f"{path}." if path else ""
        layers = int(network.num_layers)
        if any(getattr(network, name, None) is True for name in _SHARED):  # nn.Module has a method of that name
            plans = [_plan(network.memories[0], f"{prefix}layer{layer}", layer, layers) for layer in range(layers)]
        else:
            plans = [_plan(memory, f"{prefix}layer{layer}", layer, 1) for layer, memory in enumerate(network.memories)]
        # The output sees the highest controller and what was read for it.
        reads = int(network.memories[-1].read_heads * network.memories[-1].cell_size)
        influence = influence_probes(getattr(network, "output", None), reads)
        plans[-1] = replace(plans[-1], probes=[*plans[-1].probes, *influence])
        if hasattr(network, _SHARED[1]):
            # The line on GitHub gives its output the other way round than batch_first says.
            facts = {"output_batch_first": not network.batch_first}
            plans = [replace(plan, attributes={**plan.attributes, **facts}) for plan in plans]
        return plans

    def controls(self, plan: MemoryPlan) -> Sequence[ControlPoint]:
        """Where `memviz.ablate` can change a run; see memviz.recorders.controls. Sparse memories have no such place."""
        if is_sparse(plan.module):
            return ()
        layers = int(plan.attributes.get("shared_by_layers", 1))
        turn = int(plan.attributes["layer"]) if layers > 1 else 0
        write = {field: Access((argument,)) for field, argument in _WRITE_ARGUMENTS.items()}
        write |= {f"{BEFORE}{field}": Access(("hidden", key)) for field, key in _STATE.items()}
        modes = Access(("read_modes",), to=_canonical_modes, back=_package_modes)
        walks = {"forward_weights": Access((0,)), "backward_weights": Access((1,))}
        return (
            ControlPoint("write", write, turn=turn, turns=layers),
            ControlPoint("read", {"read_modes": modes}, turn=turn, turns=layers),
            ControlPoint("directional_weightings", walks, result=True, turn=turn, turns=layers),
        )


def _is_network(module: nn.Module) -> bool:
    memories = getattr(module, "memories", None)
    return (
        isinstance(memories, list | nn.ModuleList)
        and len(memories) > 0
        and hasattr(module, "num_layers")
        and any(isinstance(getattr(module, name, None), bool) for name in _SHARED)
        and all(_is_dense(memory) or is_sparse(memory) for memory in memories)
    )


def _is_dense(module: nn.Module) -> bool:
    return all(hasattr(module, name) for name in (*_MEMORY_METHODS, *_MEMORY_SIZES)) and any(
        hasattr(module, name) for name in _SLOTS
    )


def _plan(memory: Any, name: str, layer: int, sharing: int, *, in_network: bool = True) -> MemoryPlan:
    """The plan of one layer's use of a memory that `sharing` layers call in turn."""
    kind = f"{type(memory).__module__}.{type(memory).__qualname__}"
    if is_sparse(memory):
        return _sparse_plan(memory, name, layer, sharing, kind)
    attributes: dict[str, Any] = {
        "class": kind,
        "layer": layer,
        "slots": int(next(getattr(memory, size) for size in _SLOTS if hasattr(memory, size))),
        "words": int(memory.cell_size),
        "read_heads": int(memory.read_heads),
        "write_heads": 1,
        "allocation_delta": _DELTA,
        "cosine_delta": _DELTA,
        # Its torch.topk gives slots in equal use in no order that could be told afterwards.
        "allocation_ties": "arbitrary",
        "strengths": "softplus",
        "bounded_by_tanh": ["read_keys", "write_keys", "write_vectors"],
    }
    if in_network and layer == 0:
        # Its input is built once per sequence; only the layers above it and the output see the reads.
        attributes["controller_sees"] = "only the reads that the sequence began with"
    if sharing == 1:
        return MemoryPlan(name, memory, [*_probes(), *_initial_probes()], "dnc", attributes)
    # Between two calls for one layer the others write to the shared memory: its state does not follow from what this
    # layer did, so there is no law, nothing is derived, and the state itself is recorded.
    return MemoryPlan(
        name, memory, _in_turn(_probes(), layer, sharing), "", {**attributes, "shared_by_layers": sharing}
    )


def _sparse_plan(memory: Any, name: str, layer: int, sharing: int, kind: str) -> MemoryPlan:
    """A sparse memory follows no law that memviz knows: what is wanted of it is recorded."""
    attributes: dict[str, Any] = {"class": kind, "layer": layer, **sparse_attributes(memory)}
    if sharing == 1:
        return MemoryPlan(name, memory, [*sparse_probes(memory), *sparse_initial()], "", attributes)
    probes = _in_turn(sparse_probes(memory), layer, sharing)
    return MemoryPlan(name, memory, probes, "", {**attributes, "shared_by_layers": sharing})


def _in_turn(probes: Sequence[Probe], layer: int, sharing: int) -> list[Probe]:
    """The probes of one of several layers that call a memory in turn."""
    return [replace(probe, turn=probe.turn + layer * probe.turns, turns=probe.turns * sharing) for probe in probes]


def _probes() -> list[Probe]:
    """What one call of a memory brings."""
    return [
        *(OutputProbe(field=field, pick=_state(key)) for field, key in _STATE.items()),
        OutputProbe(field="read_vectors", pick=_first),
        *(MethodProbe(field=field, method="write", argument=name) for field, name in _WRITE_ARGUMENTS.items()),
        MethodProbe(field="read_keys", method="read", argument="read_keys"),
        MethodProbe(field="read_strengths", method="read", argument="read_strengths"),
        MethodProbe(field="read_modes", method="read", argument="read_modes", finish=_canonical_modes),
        # Called twice per time: for the write first, then for the reads.
        MethodProbe(field="write_content_weights", method="content_weightings", turn=0, turns=2),
        MethodProbe(field="read_content_weights", method="content_weightings", turn=1, turns=2),
        MethodProbe(field="allocation_weights", method="allocate", pick=_first),
        MethodProbe(field="forward_weights", method="directional_weightings", pick=_first),
        MethodProbe(field="backward_weights", method="directional_weightings", pick=_second),
    ]


def _initial_probes() -> list[Probe]:
    """The state that the first call is given."""
    return [
        InputProbe(field=f"initial/{field}", argument=1, pick=_state(key), keep="first")
        for field, key in _STATE.items()
    ]


def _state(key: str) -> Callable[[Any], Any]:
    """Pick one entry of the hidden state, from the state itself or from what Memory.forward returns."""

    def pick(value: Any) -> Any:
        return (value[1] if isinstance(value, tuple) else value)[key]

    return pick


def _first(value: Any) -> Any:
    return value[0]


def _second(value: Any) -> Any:
    return value[1]


def _canonical_modes(modes: Tensor) -> Tensor:
    """From the package's order (backward, forward, content) to that of the catalogue (backward, content, forward)."""
    backward, forward, content = modes.unbind(-1)
    return torch.stack((backward, content, forward), -1)


def _package_modes(modes: Tensor) -> Tensor:
    """The inverse of `_canonical_modes`."""
    backward, content, forward = modes.unbind(-1)
    return torch.stack((backward, forward, content), -1)
