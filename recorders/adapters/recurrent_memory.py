"""The package recurrent-memory-transformer-pytorch (Bulatov et al. 2022): memory tokens from segment to segment.

A time is a segment. The write memories that a segment leaves are rows of `memory`; what the first segment was given is
`initial/memory`. Keys are ordered: memories of the last segment, null key, read memories, tokens, write memories; a
segment that lacks the first of them has zeros there, so that tokens keep their columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from memviz.recorders.adapters.base import MemoryPlan
from memviz.recorders.calls import Call
from memviz.recorders.probes import InputProbe, OutputProbe, Probe
from memviz.recorders.shadow import Scores, call_probes


class RecurrentMemoryAdapter:
    """Records memory tokens, and the attention of each layer as a memory of its own."""

    name = "recurrent-memory-transformer"

    def matches(self, module: nn.Module) -> bool:
        """Whether it is built like the package's RecurrentMemoryTransformer."""
        return all(hasattr(module, name) for name in ("memory_tokens", "read_memory_emb", "init_memory", "xl_mem_len"))

    def plan(self, module: nn.Module, path: str) -> Sequence[MemoryPlan]:
        """The memory, and `layers.0.attention`, `layers.1.attention`, ..."""
        known: Any = module
        kind = f"{type(module).__module__}.{type(module).__qualname__}"
        tokens, words = (int(length) for length in known.memory_tokens.shape)
        probes: list[Probe] = [
            OutputProbe(field="memory", pick=lambda output: output[1]),
            InputProbe(field="initial/memory", argument="read_memories", keep="first", pick=_rows, optional=True),
        ]
        plans = [MemoryPlan(path or "memory", module, probes, "", {"class": kind, "slots": tokens, "words": words})]
        prefix = f"{path}." if path else ""
        for layer, name in enumerate(_attends(module)):
            attention = MemoryPlan(
                f"{prefix}layers.{layer}.attention",
                module,
                call_probes(scores, path=name, ragged="start"),
                attributes={
                    "class": kind,
                    "layer": layer,
                    "keys": "memories of the last segment, null key, read memories, tokens, write memories",
                    "how": "attention weights are computed beside the model's own, which it does not give out",
                },
            )
            plans.append(attention)
        return plans


def _attends(module: nn.Module) -> list[str]:
    """Paths of the modules that do the attention, in the order of the layers."""
    return [path for path, part in module.named_modules() if hasattr(part, "attn_dropout") and hasattr(part, "causal")]


def _rows(memories: Tensor) -> Tensor:
    return memories.unsqueeze(0) if memories.ndim == 2 else memories


def scores(call: Call) -> Scores:
    """`Attend.forward(q, k, v, mask)`: a mask is [batch, key] or has four axes, True where a query may look."""
    query, key, mask = call.argument(0, "q"), call.argument(1, "k"), call.argument(3, "mask")
    if mask is not None and mask.ndim == 2:
        mask = mask[:, None, None, :]
    return Scores(query, key, mask=mask, causal=bool(getattr(call.module, "causal", False)))
