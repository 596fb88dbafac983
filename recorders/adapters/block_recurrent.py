"""The package block-recurrent-transformer-pytorch (Hutchins et al. 2022): state vectors carried from block to block.

A time is a block. The state vectors that a block writes are rows of `memory`; its tokens read them by attention.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from memviz.recorders.adapters.base import MemoryPlan
from memviz.recorders.calls import Call
from memviz.recorders.probes import CallProbe, MethodProbe
from memviz.recorders.shadow import Scores, call_probes


class BlockRecurrentAdapter:
    """Records the states of each container, the share of the new in them, and every attention."""

    name = "block-recurrent-transformer"
    claims = False  # a container has attention inside

    def matches(self, module: nn.Module) -> bool:
        """Whether it is built like the package's StateContainer or its Attention."""
        return _is_container(module) or _is_attention(module)

    def plan(self, module: nn.Module, path: str) -> Sequence[MemoryPlan]:
        """One memory."""
        known: Any = module
        attributes: dict[str, Any] = {"class": f"{type(module).__module__}.{type(module).__qualname__}"}
        if _is_container(module):
            slots, words = (int(length) for length in known.init_state.shape)
            attributes |= {"slots": slots, "words": words}
            probes = [
                MethodProbe(field="memory", method="write"),
                CallProbe(field="initial/memory", method="read", compute=_states_read, keep="first"),
                CallProbe(field="state_gate", method="write", compute=_gate, axes="word"),
            ]
            return [MemoryPlan(path or "memory", module, probes, "", attributes)]
        attributes["how"] = "attention weights are computed beside the model's own, which it does not give out"
        attention = call_probes(_scores, path="attend", ragged="start")
        return [MemoryPlan(path or "attention", module, attention, "", attributes)]


def _is_container(module: nn.Module) -> bool:
    return all(
        hasattr(module, name) for name in ("init_state", "state_pos_ids", "set_next_read_state", "read", "write")
    )


def _is_attention(module: nn.Module) -> bool:
    attend = module._modules.get("attend")
    return attend is not None and hasattr(attend, "use_flash_attn") and hasattr(module, "qk_rmsnorm_scale")


def _states_read(call: Call) -> Tensor:
    """What a read leaves in the container until the write: the states that were read come first."""
    states: Tensor = call.module.cache[0]
    return states.unsqueeze(0) if states.ndim == 2 else call.select(states)


def _gate(call: Call) -> Tensor:
    """The share of new content in each word, learned and the same at all times."""
    return call.module.learned_ema_beta.sigmoid()  # type: ignore[no-any-return]


def _scores(call: Call) -> Scores:
    """`Attend.forward(q, k, v, mask)`; keys may lack batch and heads, causality is flush with the last key."""
    query, key, mask = call.argument(0, "q"), call.argument(1, "k"), call.argument(3, "mask")
    query = query.unsqueeze(0) if query.ndim == 3 else query
    key = key.unsqueeze(0) if key.ndim == 2 else key
    key = key.unsqueeze(1) if key.ndim == 3 else key
    if mask is not None and mask.ndim > 2:
        mask = mask.repeat_interleave(1, 0) if mask.ndim == 4 else mask.unsqueeze(1)
    if call.module.causal:
        queries, keys = query.shape[2], key.shape[2]
        seen = torch.ones(queries, keys, dtype=torch.bool, device=query.device).tril(keys - queries)
        mask = seen if mask is None else mask & seen
    return Scores(query, key, mask=mask)
