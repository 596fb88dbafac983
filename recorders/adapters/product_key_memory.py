"""The package product-key-memory (Lample et al. 2019): which of its num_keys² slots each token reads, how strongly.

The package hands its slots to an embedding as one flat list, (batch, time) by (head, rank); here they have axes again.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from memviz.recorders.adapters.base import MemoryPlan
from memviz.recorders.probes import InputProbe, OutputProbe

_AXES = "batch time read_head read_position"


class ProductKeyMemoryAdapter:
    """Records `read_indices` and `read_values`; a time is a token."""

    name = "product-key-memory"

    def matches(self, module: nn.Module) -> bool:
        """Whether it is built like the package's PKM."""
        return (
            all(hasattr(module, name) for name in ("num_keys", "topk", "heads", "num_memories"))
            and "gate_activation" in module._modules
            and isinstance(module._modules.get("values"), nn.EmbeddingBag | nn.Embedding)
        )

    def plan(self, module: nn.Module, path: str) -> Sequence[MemoryPlan]:
        """One memory."""
        known: Any = module
        shape = _Shape(int(known.heads))
        attributes = {
            "class": f"{type(module).__module__}.{type(module).__qualname__}",
            "slots": int(known.num_memories),
            "words": int(known.values.embedding_dim),
            "read_heads": int(known.heads),
        }
        probes = [
            InputProbe(field="read_indices", pick=shape.remember, axes=_AXES),
            InputProbe(field="read_indices", path="values", argument="input", pick=shape.fold, axes=_AXES),
            OutputProbe(field="read_values", path="gate_activation", axes=_AXES),
        ]
        return [MemoryPlan(path or "memory", module, probes, "", attributes)]


class _Shape(threading.local):
    """The batch of the call that runs in this thread, which its inner calls no longer know."""

    batch = 1

    def __init__(self, heads: int) -> None:
        self.heads = heads

    def remember(self, value: Tensor) -> None:
        """Take note of the input [batch, time, channel]; no field comes of it."""
        self.batch = int(value.shape[0])

    def fold(self, value: Tensor) -> Tensor:
        """[(batch time), (head rank)] to [batch, time, head, rank]."""
        folded: Tensor = value.unflatten(0, (self.batch, -1)).unflatten(-1, (self.heads, -1))
        return folded
