"""torch.nn.MultiheadAttention, by itself and inside torch.nn.TransformerEncoder, unchanged and with all its kernels.

Its callers ask for no weights, asking would change the kernel, and a hook on one of its modules would switch the fused
encoder layer off. So neither is done: the functions that do the work are looked at while a sampled forward runs, and
the weights are computed beside them from the same queries and keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from memviz.recorders.adapters.base import MemoryPlan
from memviz.recorders.calls import Call, positions
from memviz.recorders.probes import Probe
from memviz.recorders.shadow import Scores, function_probes

HOW = "attention weights are computed beside the model's own kernel, before dropout; the kernel runs unchanged"

FUSED = (
    "You attached to the layer itself, whose hooks switch its fused kernel off, in evaluation too; attach to a module "
    "around it to keep that kernel"
)


class MultiheadAttentionAdapter:
    """Records the attention of each head of torch.nn.MultiheadAttention."""

    name = "torch-attention"
    generic = True

    def matches(self, module: nn.Module) -> bool:
        """Whether it is an attention, or an encoder layer, which may do without calling its attention."""
        return isinstance(module, nn.MultiheadAttention | nn.TransformerEncoderLayer)

    def plan(self, module: nn.Module, path: str) -> Sequence[MemoryPlan]:
        """One memory per attention, named by its path."""
        if isinstance(module, nn.TransformerEncoderLayer):
            how = HOW if path else f"{HOW}. {FUSED}"
            name = f"{path}.self_attn" if path else "self_attn"
            fused = function_probes("torch:_transformer_encoder_layer_fwd", _of_layer)
            return [_plan(module, name, module.self_attn, [*_probes(("self_attn",)), *fused], how)]
        return [_plan(module, path or "attention", module, _probes(("",)))]


def _plan(module: nn.Module, name: str, attention: Any, probes: list[Probe], how: str = HOW) -> MemoryPlan:
    attributes = {
        "class": f"{type(attention).__module__}.{type(attention).__qualname__}",
        "heads": int(attention.num_heads),
        "how": how,
    }
    extra = int(attention.bias_k is not None) + int(attention.add_zero_attn)
    if extra:
        attributes["extra_keys"] = extra  # learned or zero keys behind those of the sequence
    return MemoryPlan(name, module, probes, attributes=attributes)


def _probes(inside: tuple[str, ...]) -> list[Probe]:
    return [
        *function_probes("torch.nn.functional:multi_head_attention_forward", _of_function, inside),
        *function_probes("torch:_native_multi_head_attention", _of_native, inside),
    ]


def _of_function(call: Call) -> Scores:
    """torch.nn.functional.multi_head_attention_forward: sequences are [time, batch, channel], or lack the batch."""
    query, key = call.args[0], call.args[1]
    heads = int(call.argument(4, "num_heads"))
    padding, mask = call.kwargs.get("key_padding_mask"), call.kwargs.get("attn_mask")
    if query.ndim == 2:
        query, key = query.unsqueeze(1), key.unsqueeze(1)
        padding = None if padding is None else padding.unsqueeze(0)
    batch = query.shape[1]
    query, key = call.select(query, 1).transpose(0, 1), call.select(key, 1).transpose(0, 1)
    weight, bias = call.argument(5, "in_proj_weight"), call.argument(6, "in_proj_bias")
    width = query.shape[-1]
    if call.kwargs.get("use_separate_proj_weight"):
        to_query, to_key = call.kwargs["q_proj_weight"], call.kwargs["k_proj_weight"]
    else:
        to_query, to_key = weight[:width], weight[width : 2 * width]
    biases = (None, None) if bias is None else (bias[:width], bias[width : 2 * width])
    query = functional.linear(query, to_query.to(query.dtype), _like(biases[0], query))
    key = functional.linear(key, to_key.to(key.dtype), _like(biases[1], key))
    extra = 0
    bias_key = call.argument(7, "bias_k")
    if bias_key is not None:
        key, extra = torch.cat([key, bias_key.expand(key.shape[0], 1, -1).to(key.dtype)], 1), extra + 1
    if call.argument(9, "add_zero_attn"):
        key, extra = torch.cat([key, key.new_zeros(key.shape[0], 1, key.shape[-1])], 1), extra + 1
    # The hint is_causal comes with a mask that says the same.
    merged = _selected(call, _merged(mask, padding, heads, extra), batch)
    return Scores(_heads(query, heads), _heads(key, heads), mask=merged, selected=True)


def _of_native(call: Call) -> Scores:
    """torch._native_multi_head_attention: sequences are [batch, time, channel]; the mask says where not to look."""
    query, key, _, width, heads, weight, bias = call.args[:7]
    mask, kind = call.argument(9, "mask"), call.argument(12, "mask_type")
    mask = _selected(call, mask, query.shape[0]) if kind else mask
    query, key = call.select(query), call.select(key)
    return _projected(query, key, width, heads, weight, bias, mask, kind)


def _of_layer(call: Call) -> Scores:
    """torch._transformer_encoder_layer_fwd, the fused encoder layer; its input may be a nested tensor."""
    source, width, heads, weight, bias = call.args[:5]
    norm_first, epsilon, scale, shift = call.args[8], call.args[9], call.args[10], call.args[11]
    mask, kind = call.argument(18, "mask"), call.argument(19, "mask_type")
    if source.is_nested:
        lengths = positions([len(item) for item in source.unbind()], source.device)
        source = torch.nested.to_padded_tensor(source, 0.0)
        mask, kind = torch.arange(source.shape[1], device=source.device) >= lengths[:, None], 1
    mask = _selected(call, mask, source.shape[0]) if kind else mask
    source = call.select(source)
    if norm_first:
        source = functional.layer_norm(source, (width,), scale, shift, epsilon)
    return _projected(source, source, width, heads, weight, bias, mask, kind)


def _projected(
    query: Tensor, key: Tensor, width: int, heads: int, weight: Tensor, bias: Tensor, mask: Tensor | None, kind: Any
) -> Scores:
    query = functional.linear(query, weight[:width], bias[:width])
    key = functional.linear(key, weight[width : 2 * width], bias[width : 2 * width])
    if mask is not None:
        mask = ~mask.bool()
        mask = mask[:, None, None, :] if kind == 1 else mask  # 0: [query, key], 1: padding, 2: all four axes
    return Scores(_heads(query, heads), _heads(key, heads), mask=mask, selected=True)


def _selected(call: Call, mask: Tensor | None, batch: int) -> Tensor | None:
    """The recorded items of a mask that has one row or matrix per item."""
    return call.select(mask) if mask is not None and mask.shape[0] == batch and batch > 1 else mask


def _heads(value: Tensor, heads: int) -> Tensor:
    """[batch, time, channel] to [batch, head, time, channel of a head]."""
    parts: Tensor = value.unflatten(-1, (heads, -1))
    return parts.transpose(1, 2)


def _like(bias: Tensor | None, value: Tensor) -> Tensor | None:
    return None if bias is None else bias.to(value.dtype)


def _merged(mask: Tensor | None, padding: Tensor | None, heads: int, extra: int) -> Tensor | None:
    """One mask of numbers to add, from that of positions and that of padding; extra keys can always be seen."""
    merged = None
    if mask is not None:
        merged = _additive(mask)
        merged = merged.unflatten(0, (-1, heads)) if merged.ndim == 3 else merged
    if padding is not None:
        padding = _additive(padding)[:, None, None, :]
        merged = padding if merged is None else merged + padding
    return merged if merged is None or not extra else functional.pad(merged, (0, extra))


def _additive(mask: Tensor) -> Tensor:
    """True, which means "do not look", as minus infinity."""
    if mask.dtype != torch.bool:
        return mask.float()
    return torch.zeros(mask.shape, device=mask.device).masked_fill(mask, -torch.inf)
