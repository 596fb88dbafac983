"""The two public Neural Turing Machines, unmodified: loudinthecloud/pytorch-ntm and vlgiitr/ntm-pytorch.

Neither is on PyPI; people copy them into their projects, so both are recognized by their structure. One call of either
module is one time, its heads act in turn, and its memory is a plain attribute of a module that is never called. Each
head is a module of its own: what the heads emit is computed again from what the last head was given, by the same linear
layers, and stacked with the read heads first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from memviz.recorders.adapters.base import MemoryPlan
from memviz.recorders.calls import Call
from memviz.recorders.influence import influence_probes
from memviz.recorders.probes import CallProbe, InputProbe, Probe

Emit = Callable[[Any, Tensor], dict[str, Tensor]]
"""What one head emits, from what it is given of the controller: bare names without "read" or "write"."""

_SHIFTS = [1, 0, -1]
"""How far each entry of the shift weights moves a head: both convolve without turning the kernel around."""

_TINY = 1e-16
"""Both add it to the sum that a weighting is divided by, pytorch-ntm also to keys and memory."""

_SHARED = ("interpolation_gate", "shift_weights", "sharpening")
_SIDED = ("keys", "strengths")


class PytorchNTMAdapter:
    """Records the NTM of loudinthecloud/pytorch-ntm, by itself or inside its EncapsulatedNTM."""

    name = "pytorch-ntm"

    def matches(self, module: nn.Module) -> bool:
        """Whether the module has the heads and the memory of this NTM."""
        heads = _heads(module)
        return bool(heads) and all(
            callable(getattr(head, "is_read_head", None)) and (hasattr(head, "fc_read") or hasattr(head, "fc_write"))
            for head in heads
        )

    def plan(self, module: nn.Module, path: str) -> Sequence[MemoryPlan]:
        """One memory, named by the path of the NTM."""
        heads = _heads(module)
        reads = [head for head, one in enumerate(heads) if one.is_read_head()]

        def after(call: Call) -> Sequence[Tensor]:
            weights: Sequence[Tensor] = call.output[1][2]
            return weights

        def vectors(call: Call) -> Sequence[Tensor]:
            found: Sequence[Tensor] = call.output[1][0]
            return found

        def before(given: Any) -> Sequence[Tensor]:
            weights: Sequence[Tensor] = given[2]
            return weights

        probes = _probes(module, reads, after, vectors, _emitted_by_one_layer)
        probes += [*_initial_probes(module, reads, 1, before), *_influence(module, reads)]
        return [_plan(module, path, probes, reads, {})]


class NTMPytorchAdapter:
    """Records the NTM of vlgiitr/ntm-pytorch and of the repositories built on it."""

    name = "ntm-pytorch"

    def matches(self, module: nn.Module) -> bool:
        """Whether the module has the heads, the memory and the lists of last weightings of this NTM."""
        heads = _heads(module)
        return (
            bool(heads)
            and hasattr(module, "prev_head_weights")
            and hasattr(module, "prev_reads")
            and all(getattr(head, "mode", None) in ("r", "w") and hasattr(head, "key_fc") for head in heads)
        )

    def plan(self, module: nn.Module, path: str) -> Sequence[MemoryPlan]:
        """One memory, named by the path of the NTM."""
        network: Any = module
        reads = [head for head, one in enumerate(_heads(module)) if one.mode == "r"]

        def weights(_: Any) -> Sequence[Tensor]:
            found: Sequence[Tensor] = network.prev_head_weights
            return found

        def vectors(_: Call) -> Sequence[Tensor]:
            found: Sequence[Tensor] = network.prev_reads
            return found

        probes = _probes(module, reads, weights, vectors, _emitted_by_layers)
        probes += [*_initial_probes(module, reads, 0, weights), *_influence(module, reads)]
        return [_plan(module, path, probes, reads, {"heads_see": "cell", "erase": "ones"})]


def _heads(module: nn.Module) -> list[Any]:
    """The heads of a module that has them and a memory like these NTMs, else an empty list."""
    heads, memory = getattr(module, "heads", None), getattr(module, "memory", None)
    if not isinstance(heads, nn.ModuleList | list | tuple) or not heads:
        return []
    known = isinstance(memory, nn.Module) and all(callable(getattr(memory, name, None)) for name in _METHODS)
    return list(heads) if known else []


_METHODS = ("read", "write", "reset")


def _plan(
    module: nn.Module, path: str, probes: Sequence[Probe], reads: Sequence[int], own: dict[str, Any]
) -> MemoryPlan:
    heads = _heads(module)
    memory: Any = module.memory
    slots, words = (memory.N, memory.M) if hasattr(memory, "N") else (memory.n, memory.m)
    attributes: dict[str, Any] = {
        "class": f"{type(module).__module__}.{type(module).__qualname__}",
        "slots": int(slots),
        "words": int(words),
        "read_heads": len(reads),
        "write_heads": len(heads) - len(reads),
        "write_order": "series",
        # A head sees what the write heads before it in the list have written.
        "read_order": [head - number for number, head in enumerate(reads)],
        "shifts": _SHIFTS,
        "normalizing_delta": _TINY,
        "cosine_delta": _TINY,
        **own,
    }
    return MemoryPlan(path or "memory", module, probes, "ntm", attributes)


def _probes(
    module: nn.Module,
    reads: Sequence[int],
    weights: Callable[[Call], Sequence[Tensor]],
    vectors: Callable[[Call], Sequence[Tensor]],
    emit: Emit,
) -> list[Probe]:
    """What one call of the NTM brings.

    Args:
        module: the NTM.
        reads: positions of the read heads in its list of heads.
        weights: the weightings of all heads after a call of the NTM, in the order of the heads.
        vectors: what the read heads read.
        emit: what a head emits.
    """
    heads = _heads(module)
    writes = [head for head in range(len(heads)) if head not in reads]
    last = f"heads.{len(heads) - 1}"

    def weightings(positions: Sequence[int]) -> Callable[[Call], Tensor]:
        return lambda call: torch.stack([call.select(weights(call)[head]) for head in positions], 1)

    def emitted(call: Call) -> list[dict[str, Tensor]]:
        given = call.select(call.args[0])
        return [emit(head, given) for head in heads]

    def parameter(name: str, positions: Sequence[int]) -> Callable[[Call], Tensor]:
        return lambda call: torch.stack([call.once(emitted)[head][name] for head in positions], 1)

    memory: Any = module.memory
    return [
        CallProbe(field="memory", compute=lambda call: call.select(memory.memory)),
        CallProbe(field="read_weights", compute=weightings(reads)),
        CallProbe(field="write_weights", compute=weightings(writes)),
        CallProbe(
            field="read_vectors",
            compute=lambda call: torch.stack([call.select(vector) for vector in vectors(call)], 1),
        ),
        *(CallProbe(field=f"read_{name}", compute=parameter(name, reads), path=last) for name in _SIDED),
        *(CallProbe(field=f"write_{name}", compute=parameter(name, writes), path=last) for name in _SIDED),
        *(CallProbe(field=name, compute=parameter(name, [*reads, *writes]), path=last) for name in _SHARED),
        *(
            CallProbe(field=name, compute=parameter(name, writes), path=last)
            for name in ("erase_vectors", "write_vectors")
        ),
    ]


def _influence(module: nn.Module, reads: Sequence[int]) -> list[Probe]:
    """The probe of the one linear layer that sees the controller and all that was read; no head is looked into."""
    memory: Any = module.memory
    width = len(reads) * int(memory.M if hasattr(memory, "M") else memory.m)
    inside = {id(part) for head in [*_heads(module), memory] for part in head.modules()}
    layers = [
        part
        for part in module.modules()
        if isinstance(part, nn.Linear) and id(part) not in inside and part.in_features > width
    ]
    return influence_probes(layers[0], width) if len(layers) == 1 else []


def _initial_probes(
    module: nn.Module, reads: Sequence[int], argument: int, weights: Callable[[Any], Sequence[Tensor]]
) -> list[Probe]:
    """The state that the first call finds; `weights` picks the heads' from the argument at this position."""
    memory: Any = module.memory
    writes = [head for head in range(len(_heads(module))) if head not in reads]

    def weightings(positions: Sequence[int]) -> Callable[[Any], Tensor]:
        return lambda given: torch.stack([weights(given)[head] for head in positions], 1)

    picks = {
        "memory": lambda _: memory.memory,
        "read_weights": weightings(reads),
        "write_weights": weightings(writes),
    }
    return [
        InputProbe(field=f"initial/{field}", argument=argument, pick=pick, keep="first")
        for field, pick in picks.items()
    ]


def _emitted_by_one_layer(head: Any, given: Tensor) -> dict[str, Tensor]:
    """pytorch-ntm: one linear layer per head, whose columns are k, β, g, s, γ and for a write head e and a."""
    read = head.is_read_head()
    layer = head.fc_read if read else head.fc_write
    parts = torch.split(_linear(layer, given), head.read_lengths if read else head.write_lengths, dim=1)
    key, strength, gate, shift, power = parts[:5]
    found = _bounded(key, strength, gate, shift, power)
    return found if read else found | {"erase_vectors": torch.sigmoid(parts[5]), "write_vectors": parts[6]}


def _emitted_by_layers(head: Any, given: Tensor) -> dict[str, Tensor]:
    """ntm-pytorch: a linear layer for each of them; what is written replaces what was there."""
    names = ("key_fc", "key_strength_fc", "interpolation_gate_fc", "shift_weighting_fc", "sharpen_factor_fc")
    found = _bounded(*(_linear(getattr(head, name), given) for name in names))
    written = _linear(head.write_data_fc, given)
    return found | {"erase_vectors": torch.ones_like(written), "write_vectors": written}


def _bounded(key: Tensor, strength: Tensor, gate: Tensor, shift: Tensor, power: Tensor) -> dict[str, Tensor]:
    return {
        "keys": key,
        "strengths": functional.softplus(strength)[:, 0],
        "interpolation_gate": torch.sigmoid(gate)[:, 0],
        "shift_weights": torch.softmax(shift, dim=1),
        "sharpening": 1 + functional.softplus(power)[:, 0],
    }


def _linear(layer: nn.Linear, given: Tensor) -> Tensor:
    """What the layer gives, without a call that hooks would see."""
    return functional.linear(given, layer.weight, layer.bias)
