"""Attention weights computed a second time, beside a kernel that does not give them out.

The model runs its own kernel on its own numbers. From the same queries and keys this computes softmax(Q Kᵀ scale +
mask) for the recorded batch items, in float32 or better, before any dropout. A large attention is thinned to evenly
spaced queries, and the field `query_positions` says which.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from memviz.recorders.calls import Call, positions
from memviz.recorders.probes import CallProbe, FunctionProbe, Probe, Ragged

LIMIT = 4 * 2**20
"""Bytes of one attention [head, query, key] of one item, in float32, above which queries are thinned."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What an attention is computed from.

    Attributes:
        query: [batch, head, query, channel].
        key: [batch, key_head, key, channel]; heads are a multiple of key heads (grouped queries).
        scale: factor of the products; None is one over the root of the number of channels.
        mask: broadcasts to [batch, head, query, key]: True where a query may look, or numbers to add.
        causal: a query sees no key of a higher position; both count from the first one.
        selected: whether these are the recorded items alone already.
    """

    query: Tensor
    key: Tensor
    scale: float | None = None
    mask: Tensor | None = None
    causal: bool = False
    selected: bool = False

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """[batch, head, query, key]."""
        batch = max(self.query.shape[0], self.key.shape[0])
        return batch, self.query.shape[1], self.query.shape[2], self.key.shape[2]


Extract = Callable[[Call], "Scores | Tensor | None"]
"""Finds in a call the scores, or weights [batch, head, query, key] that the model has computed itself, or nothing."""


def call_probes(extract: Extract, *, path: str = "", method: str = "", ragged: Ragged = "end") -> list[Probe]:
    """Probes of `attention` and `query_positions` on a module or a method."""
    return [
        CallProbe(field="attention", compute=_weights(extract), path=path, method=method, ragged=ragged),
        CallProbe(field="query_positions", compute=_positions(extract), path=path, method=method, optional=True),
    ]


def function_probes(
    function: str, extract: Extract, inside: Sequence[str] = ("",), *, ragged: Ragged = "end"
) -> list[Probe]:
    """The same on a function; see memviz.recorders.probes.FunctionProbe."""
    inside = tuple(inside)
    places = _positions(extract)
    return [
        FunctionProbe(field="attention", function=function, compute=_weights(extract), inside=inside, ragged=ragged),
        FunctionProbe(field="query_positions", function=function, compute=places, inside=inside, optional=True),
    ]


def thinned(heads: int, queries: int, keys: int) -> list[int] | None:
    """Positions of the queries to record of an attention, evenly spaced up to the last; None for all of them."""
    room = max(1, LIMIT // max(1, 4 * heads * keys))
    if queries <= room:
        return None
    if room == 1:
        return [queries - 1]
    return [round(i * (queries - 1) / (room - 1)) for i in range(room)]


def attention(scores: Scores, call: Call | None = None) -> Tensor:
    """The weights [batch, head, query, key] of the recorded items; a query that may look nowhere has zeros.

    Args:
        scores: what they are computed from.
        call: says which items are recorded; None for all of them.
    """
    batch, heads, queries, keys = scores.shape
    select = _same if call is None or scores.selected else call.select
    query = select(scores.query.expand(batch, *scores.query.shape[1:]))
    key = select(scores.key.expand(batch, *scores.key.shape[1:]))
    rows = thinned(heads, queries, keys)
    places = torch.arange(queries, device=query.device) if rows is None else positions(rows, query.device)
    if rows is not None:
        query = query.index_select(2, places)
    number = torch.promote_types(query.dtype, torch.float32)
    scale = query.shape[-1] ** -0.5 if scores.scale is None else scores.scale
    if key.shape[1] != heads:
        key = key.repeat_interleave(heads // key.shape[1], dim=1)
    logits = (query.to(number) * scale) @ key.to(number).transpose(-1, -2)
    if scores.mask is not None:
        mask = scores.mask[(None,) * (4 - scores.mask.ndim)]
        mask = select(mask) if mask.shape[0] == batch and batch > 1 else mask
        mask = mask.index_select(2, places) if rows is not None and mask.shape[2] > 1 else mask
        logits = logits.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else logits + mask.to(number)
    if scores.causal:
        later = torch.arange(keys, device=key.device) > places[:, None]
        logits = logits.masked_fill(later, -torch.inf)
    nowhere = (logits == -torch.inf).all(dim=-1, keepdim=True)
    return logits.softmax(dim=-1).masked_fill(nowhere, 0.0)


def _weights(extract: Extract) -> Callable[[Call], Tensor | None]:
    def compute(call: Call) -> Tensor | None:
        found = call.once(extract)
        if found is None:
            return None
        if isinstance(found, Scores):
            return attention(found, call)
        rows = thinned(*found.shape[1:])
        found = call.select(found.detach())
        return found if rows is None else found.index_select(2, positions(rows, found.device))

    return compute


def _positions(extract: Extract) -> Callable[[Call], Tensor | None]:
    def compute(call: Call) -> Tensor | None:
        found = call.once(extract)
        rows = None if found is None else thinned(*found.shape[1:])
        if rows is None:
            return None
        device = found.query.device if isinstance(found, Scores) else found.device
        places = positions(rows, device).expand(found.shape[0], len(rows))
        return places if isinstance(found, Scores) and found.selected else call.select(places)

    return compute


def _same(value: Tensor) -> Tensor:
    return value


def sdpa_scores(call: Call) -> Scores | None:
    """The scores of a call of torch.nn.functional.scaled_dot_product_attention; a lone head has an axis of its own."""
    query, key = call.argument(0, "query"), call.argument(1, "key")
    mask = call.argument(3, "attn_mask")
    if query.is_nested or key.is_nested:
        return None
    if query.ndim < 4:
        missing = 4 - query.ndim
        where = 0 if missing == 2 else 1  # [query, channel] or [batch, query, channel]
        for _ in range(missing):
            query, key = query.unsqueeze(where), key.unsqueeze(where)
        if mask is not None and mask.ndim == 3:
            mask = mask.unsqueeze(1)
    elif query.ndim > 4:
        query, key = query.flatten(1, -3), key.flatten(1, -3)
        mask = mask.flatten(1, -3) if mask is not None and mask.ndim == call.argument(0, "query").ndim else mask
    causal = bool(call.argument(5, "is_causal", False))
    return Scores(query, key, call.kwargs.get("scale"), mask, causal)
