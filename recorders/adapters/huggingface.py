"""Hugging Face transformers: the attention modules of its models, whichever attention implementation they use.

With "eager" the model's own weights are recorded; where its dropout has already gone over them they are computed anew.
With "sdpa" they are computed beside the kernel. Beside them: how far the key-value cache has grown.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Sequence
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn

from memviz.recorders.adapters.base import MemoryPlan
from memviz.recorders.adapters.sdpa import FUNCTION
from memviz.recorders.calls import Call
from memviz.recorders.probes import CallProbe, Probe
from memviz.recorders.shadow import Scores, call_probes, function_probes, sdpa_scores

_EAGER = "eager_attention_forward"
_SECOND = "_upcast_and_reordered_attn"
_OTHER = ("softcap", "s_aux", "position_bias")
"""What some models add between the products and the softmax, which only their own code knows."""


class TransformersAdapter:
    """Records attention and the growth of the cache; one memory per attention module."""

    name = "transformers"

    def matches(self, module: nn.Module) -> bool:
        """Whether the module picks its attention function from the registry of the package."""
        return _home(type(module)) is not None

    def plan(self, module: nn.Module, path: str) -> Sequence[MemoryPlan]:
        """One memory."""
        known: Any = module
        home = _home(type(module)) or ""
        config = getattr(known, "config", None)
        kernel = str(getattr(config, "_attn_implementation", "eager"))
        probes: list[Probe] = []
        if callable(_globals(type(module)).get(_EAGER)):
            probes += function_probes(f"{home}:{_EAGER}", _eager)
        if hasattr(module, _SECOND):
            probes += call_probes(_returned, method=_SECOND)
        probes += function_probes(f"torch.nn.functional:{FUNCTION}", _fused)
        probes += [
            CallProbe(field="cache_length", compute=_cache_length, optional=True),
            CallProbe(field="cache_bytes", compute=_cache_bytes, optional=True),
        ]
        attributes: dict[str, Any] = {
            "class": f"{type(module).__module__}.{type(module).__qualname__}",
            "attention_implementation": kernel,
        }
        heads = getattr(config, "num_attention_heads", None)
        if isinstance(heads, int):
            attributes["heads"] = heads
        if isinstance(getattr(known, "layer_idx", None), int):
            attributes["layer"] = known.layer_idx
        unreachable = {}
        if kernel == "sdpa":
            attributes["how"] = "attention weights are computed beside the kernel (sdpa), which runs unchanged"
        elif kernel != "eager":
            unreachable["attention"] = f"the kernel {kernel!r} gives no weights; load the model with sdpa or eager"
            probes = [probe for probe in probes if probe.field.startswith("cache")]
        return [MemoryPlan(path or "attention", module, probes, "", attributes, unreachable)]


@functools.lru_cache(maxsize=4096)
def _forward(kind: type) -> FunctionType | None:
    """The forward of a class that picks its attention function from the registry."""
    if not any(base.__module__.split(".")[0] != "torch" for base in kind.__mro__[:1]):
        return None
    forward = inspect.unwrap(getattr(kind, "forward", None))  # type: ignore[arg-type]
    if isinstance(forward, FunctionType) and "ALL_ATTENTION_FUNCTIONS" in forward.__code__.co_names:
        return forward
    return None


def _globals(kind: type) -> dict[str, Any]:
    forward = _forward(kind)
    return {} if forward is None else forward.__globals__


def _home(kind: type) -> str | None:
    """The Python module in which that forward looks its functions up."""
    name = _globals(kind).get("__name__")
    return str(name) if name is not None else None


def _eager(call: Call) -> Scores | Tensor | None:
    """`eager_attention_forward(module, query, key, value, attention_mask, scaling, dropout, ...)`."""
    module: Any = call.argument(0, "module")
    weights = call.output[1]
    dropped = bool(call.argument(6, "dropout", 0.0)) and module.training
    if weights is not None and (not dropped or any(call.kwargs.get(name) is not None for name in _OTHER)):
        return weights  # type: ignore[no-any-return]
    key, mask = call.argument(2, "key"), call.argument(4, "attention_mask")
    if mask is not None:
        mask = mask[..., : key.shape[-2]]
    return Scores(call.argument(1, "query"), key, call.argument(5, "scaling"), mask)


def _returned(call: Call) -> Tensor:
    """GPT-2's second way: it returns its output and its weights."""
    return call.output[1]  # type: ignore[no-any-return]


def _fused(call: Call) -> Scores | None:
    """The fused function; a single query with grouped heads comes with its groups along the query axis."""
    scores = sdpa_scores(call)
    module: Any = call.module
    groups = int(getattr(module, "num_key_value_groups", 1))
    heads = getattr(getattr(module, "config", None), "num_attention_heads", None)
    if scores is not None and groups > 1 and scores.shape[1:3] == ((heads or 0) // groups, groups):
        mask = scores.mask
        if mask is not None and mask.ndim == 4 and mask.shape[1] > 1:
            mask = mask.flatten(1, 2).unsqueeze(2)
        return Scores(scores.query.flatten(1, 2).unsqueeze(2), scores.key, scores.scale, mask, scores.causal)
    return scores


def _cache(call: Call) -> tuple[Any, int] | None:
    """The cache of keys and values of this layer, and the number of items in the batch."""
    cache = call.kwargs.get("past_key_values", call.kwargs.get("past_key_value"))
    if cache is None:
        cache = next((value for value in call.args if hasattr(value, "get_seq_length")), None)
    cache = getattr(cache, "self_attention_cache", cache)
    layers, index = getattr(cache, "layers", None), getattr(call.module, "layer_idx", None)
    if not layers or not isinstance(index, int) or index >= len(layers):
        return None
    hidden = call.argument(0, "hidden_states")
    return layers[index], int(hidden.shape[0])


def _cache_length(call: Call) -> Tensor | None:
    found = call.once(_cache)
    if found is None:
        return None
    length = found[0].get_seq_length()
    if isinstance(length, Tensor):
        return call.select(length.reshape(1).expand(found[1]).clone())
    return call.select(torch.full((found[1],), int(length)))


def _cache_bytes(call: Call) -> Tensor | None:
    found = call.once(_cache)
    keys, values = (getattr(found[0], name, None) for name in ("keys", "values")) if found else (None, None)
    if not isinstance(keys, Tensor) or not isinstance(values, Tensor) or found is None:
        return None
    return call.select(torch.full((found[1],), (keys.nbytes + values.nbytes) // max(1, keys.shape[0])))
