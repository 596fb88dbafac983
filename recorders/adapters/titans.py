"""The package titans-pytorch (Behrouz et al. 2024): a memory that is the weights of a network, learned while reading.

Three kinds of memory come of one NeuralMemory. The one of its own name has a token as its time: surprise and step size.
`chunks` has a chunk of tokens as its time: momentum and decay. `chunks.<parameter>` has the weight matrices themselves,
how far they moved, and the sizes of gradient and momentum behind that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from memviz.recorders.adapters.base import MemoryPlan
from memviz.recorders.calls import Call
from memviz.recorders.probes import CallProbe, Probe

_TIMES = "batch head time"


class TitansAdapter:
    """Records surprise, gates and weight updates of every NeuralMemory."""

    name = "titans"

    def matches(self, module: nn.Module) -> bool:
        """Whether it is built like the package's NeuralMemory."""
        names = ("store_memories", "to_adaptive_step", "to_decay_factor", "per_sample_grad_fn", "assoc_scan")
        return all(hasattr(module, name) for name in names)

    def plan(self, module: nn.Module, path: str) -> Sequence[MemoryPlan]:
        """The memories `path`, `path.chunks` and `path.chunks.<parameter>`."""
        known: Any = module
        name, heads = path or "memory", int(known.heads)
        attributes: dict[str, Any] = {
            "class": f"{type(module).__module__}.{type(module).__qualname__}",
            "heads": heads,
            "chunk_size": int(known.store_chunk_size),
        }
        tokens: list[Probe] = [
            CallProbe(field="surprise_loss", method="store_memories", compute=_stored(0), axes=_TIMES),
            CallProbe(field="step_size", method="store_memories", compute=_stored(1), axes=_TIMES),
        ]
        gates: list[Probe] = [
            CallProbe(field="decay_gate", path="to_decay_factor", compute=_gate(heads), axes=_TIMES),
        ]
        if known.to_momentum is not None:
            gates.append(CallProbe(field="momentum_gate", path="to_momentum", compute=_gate(heads), axes=_TIMES))
        plans = [
            MemoryPlan(name, module, tokens, "", attributes),
            MemoryPlan(f"{name}.chunks", module, gates, "", attributes),
        ]
        scans = 1 + (int(known.momentum_order) if known.to_momentum is not None else 0)
        parameters = list(known.memory_model_parameter_names)
        for index, parameter in enumerate(parameters):
            turns = scans * len(parameters)
            probes = _of_parameter(parameter, heads, index * scans, turns, momentum=scans > 1)
            facts = {**attributes, "on_request": ["fast_weights"]}
            plans.append(MemoryPlan(f"{name}.chunks.{parameter}", module, probes, "", facts))
        return plans


def _of_parameter(parameter: str, heads: int, turn: int, turns: int, *, momentum: bool) -> list[Probe]:
    """What the recorder takes of one weight matrix; `turn` is that of its first scan among those of all matrices."""
    store: dict[str, Any] = {"method": "store_memories", "axes": _TIMES}
    probes: list[Probe] = [
        CallProbe(field="gradient_norm", path="assoc_scan", compute=_given(heads), axes=_TIMES, turn=turn, turns=turns),
        CallProbe(field="weight_norm", compute=_weights(parameter, heads, _size), **store),
        CallProbe(field="update_norm", compute=_weights(parameter, heads, _moved), **store),
        CallProbe(
            field="fast_weights",
            method="store_memories",
            compute=_weights(parameter, heads, _after),
            axes="batch head time row column",
        ),
    ]
    if momentum:
        scan = _scanned(heads)
        probes.append(
            CallProbe(field="momentum_norm", path="assoc_scan", compute=scan, axes=_TIMES, turn=turn, turns=turns)
        )
    return probes


def _folded(value: Tensor, heads: int) -> Tensor:
    """[(batch head), ...] to [batch, head, ...]."""
    folded: Tensor = value.unflatten(0, (-1, heads))
    return folded


def _stored(index: int) -> Callable[[Call], Tensor]:
    """Surprise or step size: [batch, head, token]; `store_memories` is asked for both by the package itself."""

    def compute(call: Call) -> Tensor:
        return call.select(call.output[2][index])

    return compute


def _gate(heads: int) -> Callable[[Call], Tensor]:
    """The module gives logits [(batch head), chunk, 1], for momentum with an axis of orders in front: the first one."""

    def compute(call: Call) -> Tensor:
        logits = call.output[0] if call.output.ndim == 4 else call.output
        return call.select(_folded(logits.squeeze(-1), heads)).sigmoid()

    return compute


def _weights(parameter: str, heads: int, measure: Callable[[Tensor], Tensor]) -> Callable[[Call], Tensor]:
    """Of the weights before and after each chunk, [(batch head), 1 + chunk, row, column]."""

    def compute(call: Call) -> Tensor:
        return measure(call.select(_folded(call.output[0][parameter], heads)))

    return compute


def _norm(value: Tensor) -> Tensor:
    """Frobenius norm over what follows batch, head and chunk."""
    return value.flatten(3).norm(dim=-1) if value.ndim > 3 else value.abs()


def _after(weights: Tensor) -> Tensor:
    after = weights[:, :, 1:]
    return after if after.ndim == 5 else after.flatten(3).unsqueeze(-1)


def _size(weights: Tensor) -> Tensor:
    return _norm(weights[:, :, 1:])


def _moved(weights: Tensor) -> Tensor:
    return _norm(weights[:, :, 1:] - weights[:, :, :-1])


def _given(heads: int) -> Callable[[Call], Tensor]:
    """What the first scan of a matrix is given: the gradient step of each chunk, [(batch head), chunk, row, column]."""

    def compute(call: Call) -> Tensor:
        return _norm(call.select(_folded(call.argument(1, "inputs"), heads)))

    return compute


def _scanned(heads: int) -> Callable[[Call], Tensor]:
    """The momentum of each chunk, [(batch head), chunk, row, column]; what it began with is not part of it."""

    def compute(call: Call) -> Tensor:
        return _norm(call.select(_folded(call.output, heads)))

    return compute
