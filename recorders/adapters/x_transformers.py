"""The package x-transformers: attention of its layers with memory keys and values, and its memory tokens.

Without flash attention the package gives out the weights after the softmax and before dropout; with flash they are
computed beside the kernel. Keys begin with the learned ones (`memory_keys`), then memory tokens, then the sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from memviz.recorders.adapters.base import MemoryPlan
from memviz.recorders.adapters.sdpa import FUNCTION
from memviz.recorders.calls import Call
from memviz.recorders.probes import OutputProbe
from memviz.recorders.shadow import call_probes, function_probes, sdpa_scores


class XTransformersAdapter:
    """Records `attention` of each attention layer, and memory tokens as rows of `memory`."""

    name = "x-transformers"
    claims = False  # a wrapper with memory tokens has attention inside

    def matches(self, module: nn.Module) -> bool:
        """Whether it is built like the package's Attention, or its TransformerWrapper with memory tokens."""
        return _is_attention(module) or _has_tokens(module)

    def plan(self, module: nn.Module, path: str) -> Sequence[MemoryPlan]:
        """One memory."""
        known: Any = module
        attributes: dict[str, Any] = {"class": f"{type(module).__module__}.{type(module).__qualname__}"}
        if _has_tokens(module):
            tokens = int(known.num_memory_tokens)
            attributes |= {"slots": tokens, "words": int(known.memory_tokens.shape[-1])}
            if known.memory_tokens_interspersed_every:
                why = "memory tokens interspersed in the sequence change their places"
                return [MemoryPlan(path or "memory", module, [], "", attributes, {"memory": why})]
            probe = OutputProbe(field="memory", path="attn_layers", pick=lambda out: _first(out)[:, :tokens])
            return [MemoryPlan(path or "memory", module, [probe], "", attributes)]
        attributes |= {"heads": int(known.heads), "memory_keys": int(known.num_mem_kv)}
        if known.attend.flash:
            attributes["how"] = "attention weights are computed beside the kernel (flash), which runs unchanged"
        probes = [
            *call_probes(_weights, path="attend"),
            *function_probes(f"torch.nn.functional:{FUNCTION}", sdpa_scores, inside=("attend",)),
        ]
        return [MemoryPlan(path or "attention", module, probes, "", attributes)]


def _is_attention(module: nn.Module) -> bool:
    attend = module._modules.get("attend")
    return attend is not None and hasattr(attend, "flash") and hasattr(module, "num_mem_kv")


def _has_tokens(module: nn.Module) -> bool:
    return (
        isinstance(module._parameters.get("memory_tokens"), nn.Parameter)
        and bool(getattr(module, "num_memory_tokens", 0))
        and hasattr(module, "memory_tokens_interspersed_every")
        and "attn_layers" in module._modules
    )


def _weights(call: Call) -> Tensor | None:
    """None with flash attention: then the kernel is looked at instead."""
    return getattr(call.output[1], "post_softmax_attn", None)


def _first(output: Any) -> Tensor:
    return output[0] if isinstance(output, tuple) else output  # type: ignore[no-any-return]
