"""The update laws as tables of rules: which field follows from which, and by which equation of `dynamics`.

Attributes of a memory's schema that say where an implementation departs from Graves et al. 2016:

| attribute | meaning | the paper |
|---|---|---|
| `allocation_delta` | usage is lifted to delta + (1 - delta) u before allocation | 0 |
| `cosine_delta` | added to the product of norms in the cosine | 0 |
| `write_order` | heads erase, then add, together ("parallel"), in "series", or the "last" one alone | "parallel" |
| `read_order` | reads come "after_write", "before_write", or after so many write heads each, [0, 1] | "after_write" |
| `shifts` | NTM: how far each of the allowed shifts moves a weighting, in slots, [-1, 0, 1] | left open |
| `normalizing_delta` | NTM: added to the sum that a sharpened weighting is divided by | 0 |
| `deallocation` | what is freed is also cleared from memory, before the write (Csordas, Schmidhuber 2019) | false |
| `masking` | lookups compare only the masked words of keys and slots (Csordas, Schmidhuber 2019) | false |
| `link_sharpening` | the walks along the links are sharpened by emitted powers (Csordas, Schmidhuber 2019) | false |
| `sharpening_delta` | added to a walk before it is sharpened, so that one that leads nowhere has a distribution | 0 |
| `allocation_ties` | slots in equal use are taken "by_index"; if "arbitrary", allocation is not derived | "by_index" |
| `write_heads` | number of write heads; with more than one, allocation also needs both gates | 1 |

Of linear attention and DeltaNet, `decaying` says that rows of the fast weights are scaled by `fast_decay` first, and
`read_order` "before_write" that a token does not read what it stores itself.
Of a SAM or SDNC, `slots` says how many slots there are and `temporal_reads` how many links each of them keeps.
Of a dynamic memory network, `episode` says how a hop sums up the facts, "gated" or "sum" (memviz.analysis.episodes).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memviz.analysis import dynamics, episodes, ntm, sparse
from memviz.trace.schema import MemorySchema

Array = NDArray[Any]
Frame = Mapping[str, Array]
"""The values of several fields, by bare name, at one time."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How one field follows from others: `compute(before, now, attributes)` gives its values at this time.

    `now` and `before` name the fields needed at this time and at the time before.
    """

    compute: Callable[[Frame, Frame, Mapping[str, Any]], Array]
    now: tuple[str, ...] = ()
    before: tuple[str, ...] = ()


def _usage(before: Frame, now: Frame, _: Mapping[str, Any]) -> Array:
    return dynamics.update_usage(before["usage"], before["write_weights"], before["read_weights"], now["free_gates"])


def _allocation(_: Frame, now: Frame, attributes: Mapping[str, Any]) -> Array:
    delta = float(attributes.get("allocation_delta", 0.0))
    if "write_gate" in now:
        return dynamics.allocate_per_head(now["usage"], now["write_gate"] * now["allocation_gate"], delta)
    return dynamics.allocate(now["usage"], delta)[:, None]


def _write_content(before: Frame, now: Frame, attributes: Mapping[str, Any]) -> Array:
    delta = float(attributes.get("cosine_delta", 0.0))
    return dynamics.content_weights(before["memory"], now["write_keys"], now["write_strengths"], delta)


def _read_content(_: Frame, now: Frame, attributes: Mapping[str, Any]) -> Array:
    delta = float(attributes.get("cosine_delta", 0.0))
    return dynamics.content_weights(now["memory"], now["read_keys"], now["read_strengths"], delta)


def _masked_write_content(before: Frame, now: Frame, attributes: Mapping[str, Any]) -> Array:
    delta = float(attributes.get("cosine_delta", 0.0))
    lookup = now["write_keys"], now["write_strengths"], now["write_masks"]
    return dynamics.masked_content_weights(before["memory"], *lookup, delta)


def _masked_read_content(_: Frame, now: Frame, attributes: Mapping[str, Any]) -> Array:
    delta = float(attributes.get("cosine_delta", 0.0))
    lookup = now["read_keys"], now["read_strengths"], now["read_masks"]
    return dynamics.masked_content_weights(now["memory"], *lookup, delta)


def _memory(before: Frame, now: Frame, attributes: Mapping[str, Any]) -> Array:
    order = attributes.get("write_order")
    heads = slice(-1, None) if order == "last" else slice(None)
    write = dynamics.write_in_series if order == "series" else dynamics.write_in_parallel
    return write(before["memory"], *(now[name][:, heads] for name in _WRITES))


def _memory_cleared(before: Frame, now: Frame, attributes: Mapping[str, Any]) -> Array:
    cleared = dynamics.clear_freed(before["memory"], before["read_weights"], now["free_gates"])
    return _memory({"memory": cleared}, now, attributes)


def _precedence(before: Frame, now: Frame, _: Mapping[str, Any]) -> Array:
    return dynamics.update_precedence(before["precedence_weights"], now["write_weights"])


def _link(before: Frame, now: Frame, _: Mapping[str, Any]) -> Array:
    return dynamics.update_link(before["link_matrix"], before["precedence_weights"], now["write_weights"])


def _forward(before: Frame, now: Frame, _: Mapping[str, Any]) -> Array:
    return dynamics.step_forward(now["link_matrix"], before["read_weights"])


def _backward(before: Frame, now: Frame, _: Mapping[str, Any]) -> Array:
    return dynamics.step_backward(now["link_matrix"], before["read_weights"])


def _sharpened_forward(before: Frame, now: Frame, attributes: Mapping[str, Any]) -> Array:
    delta = float(attributes.get("sharpening_delta", 0.0))
    return dynamics.sharpen(_forward(before, now, attributes), now["forward_sharpening"], delta)


def _sharpened_backward(before: Frame, now: Frame, attributes: Mapping[str, Any]) -> Array:
    delta = float(attributes.get("sharpening_delta", 0.0))
    return dynamics.sharpen(_backward(before, now, attributes), now["backward_sharpening"], delta)


def _read_after(_: Frame, now: Frame, __: Mapping[str, Any]) -> Array:
    return dynamics.read(now["memory"], now["read_weights"])


def _read_before(before: Frame, now: Frame, _: Mapping[str, Any]) -> Array:
    return dynamics.read(before["memory"], now["read_weights"])


def _read_between(before: Frame, now: Frame, attributes: Mapping[str, Any]) -> Array:
    """Each head reads what the write heads before it have left; their number is its entry in `read_order`."""
    seen = _seen(attributes["read_order"], before, now, attributes)
    weights = now["read_weights"]
    return np.concatenate([dynamics.read(m, weights[:, head : head + 1]) for head, m in enumerate(seen)], axis=1)


def _seen(counts: Sequence[int], before: Frame, now: Frame, attributes: Mapping[str, Any]) -> list[Array]:
    """The memory after so many write heads of this time, for each of `counts`."""
    write = _memory_cleared if attributes.get("deallocation") else _memory
    writes = [dict(now) | {name: now[name][:, : int(count)] for name in _WRITES} for count in counts]
    return [
        write(before, these, attributes) if int(count) else before["memory"]
        for count, these in zip(counts, writes, strict=True)
    ]


def _read_content_before(before: Frame, now: Frame, attributes: Mapping[str, Any]) -> Array:
    return _read_content(before, {**now, "memory": before["memory"]}, attributes)


def _read_content_between(before: Frame, now: Frame, attributes: Mapping[str, Any]) -> Array:
    return ntm.lookups("read", _seen(attributes["read_order"], before, now, attributes), now, attributes)


def _write_content_in_series(before: Frame, now: Frame, attributes: Mapping[str, Any]) -> Array:
    heads = range(now["write_keys"].shape[1])
    return ntm.lookups("write", _seen(heads, before, now, attributes), now, attributes)


def _effective(_: Frame, now: Frame, attributes: Mapping[str, Any]) -> Array:
    return episodes.effective_gates(now["episodic_attention"], str(attributes.get("episode", "gated")))[0]


def _episode(_: Frame, now: Frame, __: Mapping[str, Any]) -> Array:
    return episodes.rebuild(now["effective_attention"], now["episode_candidates"])


def _dense(name: str) -> Rule:
    """A weighting over all slots, from its slots and weights."""

    def compute(_: Frame, now: Frame, attributes: Mapping[str, Any]) -> Array:
        spread = sparse.dense(now[f"{name}_indices"], now[f"{name}_values"], int(attributes["slots"]))
        # The walks of a DNC have one weighting per write head, of which a sparse memory has one.
        return spread[:, :, None] if name in ("forward", "backward") else spread

    return Rule(compute, now=(f"{name}_indices", f"{name}_values"))


def _least_used(_: Frame, now: Frame, attributes: Mapping[str, Any]) -> Array:
    return sparse.one_hot(now["least_used"], int(attributes["slots"]))


def _written_where_read(before: Frame, _: Frame, __: Mapping[str, Any]) -> Array:
    return np.asarray(before["read_weights"].mean(axis=1, keepdims=True))


def _sparse_memory(before: Frame, now: Frame, _: Mapping[str, Any]) -> Array:
    return sparse.write(before["memory"], now["write_weights"], now["write_vectors"], now["least_used"])


def _sparse_link(before: Frame, now: Frame, attributes: Mapping[str, Any]) -> Array:
    kept = int(attributes["temporal_reads"])
    return sparse.update_link(before["link_matrix"], before["precedence_weights"], now["write_weights"], kept)


def _fast_weights(before: Frame, now: Frame, _: Mapping[str, Any]) -> Array:
    return dynamics.write_fast(
        before["fast_weights"], now["fast_keys"], now["fast_values"], now.get("fast_rates"), now.get("fast_decay")
    )


def _fast_reads(_: Frame, now: Frame, __: Mapping[str, Any]) -> Array:
    return dynamics.read_fast(now["fast_weights"], now["fast_queries"])


def _fast_reads_before(before: Frame, now: Frame, _: Mapping[str, Any]) -> Array:
    return dynamics.read_fast(before["fast_weights"], now["fast_queries"])


_WRITES = ("write_weights", "erase_vectors", "write_vectors")

_NTM: Mapping[str, Rule] = {
    "write_content_weights": Rule(_write_content, now=("write_keys", "write_strengths"), before=("memory",)),
    "memory": Rule(_memory, now=_WRITES, before=("memory",)),
    "read_content_weights": Rule(_read_content, now=("memory", "read_keys", "read_strengths")),
    "read_vectors": Rule(_read_after, now=("memory", "read_weights")),
}

_DNC: Mapping[str, Rule] = {
    "usage": Rule(_usage, now=("free_gates",), before=("usage", "write_weights", "read_weights")),
    "allocation_weights": Rule(_allocation, now=("usage",)),
    "write_content_weights": Rule(_write_content, now=("write_keys", "write_strengths"), before=("memory",)),
    "memory": Rule(_memory, now=_WRITES, before=("memory",)),
    "link_matrix": Rule(_link, now=("write_weights",), before=("link_matrix", "precedence_weights")),
    "precedence_weights": Rule(_precedence, now=("write_weights",), before=("precedence_weights",)),
    "forward_weights": Rule(_forward, now=("link_matrix",), before=("read_weights",)),
    "backward_weights": Rule(_backward, now=("link_matrix",), before=("read_weights",)),
    "read_content_weights": Rule(_read_content, now=("memory", "read_keys", "read_strengths")),
    "read_vectors": Rule(_read_after, now=("memory", "read_weights")),
}

_DMN: Mapping[str, Rule] = {
    "effective_attention": Rule(_effective, now=("episodic_attention",)),
    "episode": Rule(_episode, now=("effective_attention", "episode_candidates")),
}

_SAM: Mapping[str, Rule] = {
    "allocation_weights": Rule(_least_used, now=("least_used",)),
    "write_content_weights": Rule(_written_where_read, before=("read_weights",)),
    "write_weights": _dense("write"),
    "memory": Rule(_sparse_memory, now=("write_weights", "write_vectors", "least_used"), before=("memory",)),
    "read_content_weights": _dense("read_content"),
    "read_weights": _dense("read"),
    "read_vectors": Rule(_read_after, now=("memory", "read_weights")),
}

_SDNC: Mapping[str, Rule] = {
    **_SAM,
    "link_matrix": Rule(_sparse_link, now=("write_weights",), before=("link_matrix", "precedence_weights")),
    "precedence_weights": _dense("precedence"),
    "forward_weights": _dense("forward"),
    "backward_weights": _dense("backward"),
}

_FAST: Mapping[str, Rule] = {
    "fast_weights": Rule(_fast_weights, now=("fast_keys", "fast_values"), before=("fast_weights",)),
    "fast_reads": Rule(_fast_reads, now=("fast_weights", "fast_queries")),
}

_DELTA: Mapping[str, Rule] = {
    **_FAST,
    "fast_weights": Rule(_fast_weights, now=("fast_keys", "fast_values", "fast_rates"), before=("fast_weights",)),
}

LAWS: Mapping[str, Mapping[str, Rule]] = MappingProxyType(
    {
        "dnc": _DNC,
        "ntm": _NTM,
        "dmn": _DMN,
        "sam": _SAM,
        "sdnc": _SDNC,
        "linear_attention": _FAST,
        "delta_net": _DELTA,
    }
)
"""Rules of each law in an order in which they can be computed within one time."""

SPARSE_LAWS = ("sam", "sdnc")
"""Laws of memories that record slots and weights; what is derived is dense, and only for as many slots as is sane."""

FAST_LAWS = ("linear_attention", "delta_net")
"""Laws of memories that are a matrix per head, to which every token adds an outer product."""

_FAST_READS_BEFORE = Rule(_fast_reads_before, now=("fast_queries",), before=("fast_weights",))

_NTM_BEFORE: Mapping[str, Rule] = {
    "read_content_weights": Rule(_read_content_before, now=("read_keys", "read_strengths"), before=("memory",)),
}
_NTM_BETWEEN: Mapping[str, Rule] = {
    "read_content_weights": Rule(
        _read_content_between, now=("read_keys", "read_strengths", *_WRITES), before=("memory",)
    ),
}
_NTM_SERIES: Mapping[str, Rule] = {
    "write_content_weights": Rule(
        _write_content_in_series, now=("write_keys", "write_strengths", *_WRITES), before=("memory",)
    ),
}
"""Lookups of heads that act in turn: each sees what the heads before it have written."""

_READ_BETWEEN_WRITES = Rule(_read_between, now=("read_weights", *_WRITES), before=("memory",))
_READ_BETWEEN_CLEARED = Rule(
    _read_between, now=("read_weights", *_WRITES, "free_gates"), before=("memory", "read_weights")
)
_CLEARED_MEMORY = Rule(_memory_cleared, now=(*_WRITES, "free_gates"), before=("memory", "read_weights"))
_READ_BEFORE_WRITE = Rule(_read_before, now=("read_weights",), before=("memory",))
MASKED: Mapping[str, Rule] = MappingProxyType(
    {
        "write_content_weights": Rule(
            _masked_write_content, now=("write_keys", "write_strengths", "write_masks"), before=("memory",)
        ),
        "read_content_weights": Rule(_masked_read_content, now=("memory", "read_keys", "read_strengths", "read_masks")),
    }
)
"""Lookups of a memory whose attribute `masking` is set."""

SHARPENED: Mapping[str, Rule] = MappingProxyType(
    {
        "forward_weights": Rule(
            _sharpened_forward, now=("link_matrix", "forward_sharpening"), before=("read_weights",)
        ),
        "backward_weights": Rule(
            _sharpened_backward, now=("link_matrix", "backward_sharpening"), before=("read_weights",)
        ),
    }
)
"""Walks along the links of a memory whose attribute `link_sharpening` is set."""

_SHARED_ALLOCATION = Rule(_allocation, now=("usage", "write_gate", "allocation_gate"))


def rules_of(memory: MemorySchema) -> dict[str, Rule]:
    """The rules of this memory's law, with the departures its attributes name; empty for an unknown law."""
    rules = dict(LAWS.get(memory.law, {}))
    read_order = memory.attributes.get("read_order")
    if "read_vectors" in rules and read_order == "before_write":
        rules["read_vectors"] = _READ_BEFORE_WRITE
    elif "read_vectors" in rules and isinstance(read_order, list | tuple):
        clearing = bool(memory.attributes.get("deallocation"))
        rules["read_vectors"] = _READ_BETWEEN_CLEARED if clearing else _READ_BETWEEN_WRITES
    if memory.law == "ntm":
        between = isinstance(read_order, list | tuple)
        rules |= _NTM_BEFORE if read_order == "before_write" else _NTM_BETWEEN if between else {}
        rules |= _NTM_SERIES if memory.attributes.get("write_order") == "series" else {}
    if "memory" in rules and memory.attributes.get("deallocation"):
        rules["memory"] = _CLEARED_MEMORY
    if memory.law == "dnc" and memory.attributes.get("masking"):
        rules |= MASKED
    if memory.law == "dnc" and memory.attributes.get("link_sharpening"):
        rules |= SHARPENED
    if "allocation_weights" in rules and int(memory.attributes.get("write_heads", 1)) > 1:
        rules["allocation_weights"] = _SHARED_ALLOCATION
    if memory.law in FAST_LAWS:
        if memory.attributes.get("decaying"):
            rule = rules["fast_weights"]
            rules["fast_weights"] = Rule(rule.compute, (*rule.now, "fast_decay"), rule.before)
        if read_order == "before_write":
            rules["fast_reads"] = _FAST_READS_BEFORE
    slots = memory.attributes.get("slots")
    if memory.law in SPARSE_LAWS:
        if not isinstance(slots, int) or slots > sparse.DENSE_SLOTS:
            return {}
        if slots > sparse.LINKED_SLOTS:
            rules.pop("link_matrix", None)
    if memory.attributes.get("allocation_ties") == "arbitrary":
        rules.pop("allocation_weights", None)
    return rules
