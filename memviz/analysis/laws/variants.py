"""Known variants of the equations of the DNC: what implementations do instead, each as a rule that can be tried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memviz.analysis import dynamics
from memviz.analysis.rules import LAWS, MASKED, SHARPENED, Frame, Rule

Array = NDArray[Any]

_NONE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Variant:
    """An equation that some implementation has in place of the published one.

    Attributes:
        words: how it differs, to follow the name of the field.
        rule: the equation.
        attributes: what the rule is told, as the attributes of a memory.
    """

    words: str
    rule: Rule
    attributes: Mapping[str, Any] = field(default_factory=lambda: _NONE)


_MEMORY, _USAGE, _LINK = (LAWS["dnc"][name] for name in ("memory", "usage", "link_matrix"))
_WRITES = _MEMORY.now


def _cleared(before: Frame, now: Frame, attributes: Mapping[str, Any]) -> Array:
    freed = dynamics.clear_freed(before["memory"], before["read_weights"], now["free_gates"])
    return _MEMORY.compute({"memory": freed}, now, attributes)


def _added_first(before: Frame, now: Frame, _: Mapping[str, Any]) -> Array:
    added = before["memory"] + np.swapaxes(now["write_weights"], 1, 2) @ now["write_vectors"]
    return np.asarray(
        added * np.prod(1 - now["write_weights"][..., None] * now["erase_vectors"][:, :, None, :], axis=1)
    )


def _whole_erase(before: Frame, now: Frame, _: Mapping[str, Any]) -> Array:
    kept = 1 - now["write_weights"].sum(axis=1)[..., None]
    return np.asarray(before["memory"] * kept + np.swapaxes(now["write_weights"], 1, 2) @ now["write_vectors"])


def _usage_of_now(before: Frame, now: Frame, _: Mapping[str, Any]) -> Array:
    return dynamics.update_usage(before["usage"], now["write_weights"], before["read_weights"], now["free_gates"])


def _never_freed(before: Frame, _: Frame, __: Mapping[str, Any]) -> Array:
    written = 1 - np.prod(1 - before["write_weights"], axis=1)
    return np.asarray(before["usage"] + (1 - before["usage"]) * written)


def _freed_first(before: Frame, now: Frame, _: Mapping[str, Any]) -> Array:
    retention = np.prod(1 - now["free_gates"][:, :, None] * before["read_weights"], axis=1)
    written = 1 - np.prod(1 - before["write_weights"], axis=1)
    kept = before["usage"] * retention
    return np.asarray(kept + (1 - kept) * written)


def _link_of_now(before: Frame, now: Frame, _: Mapping[str, Any]) -> Array:
    return dynamics.update_link(before["link_matrix"], now["precedence_weights"], now["write_weights"])


def _with_diagonal(before: Frame, now: Frame, _: Mapping[str, Any]) -> Array:
    to, source = now["write_weights"][..., :, None], now["write_weights"][..., None, :]
    kept = (1 - to - source) * before["link_matrix"]
    return np.asarray(kept + to * before["precedence_weights"][..., None, :])


def _transposed(before: Frame, now: Frame, attributes: Mapping[str, Any]) -> Array:
    flipped = {**before, "link_matrix": np.swapaxes(before["link_matrix"], -1, -2)}
    return np.swapaxes(_LINK.compute(flipped, now, attributes), -1, -2)


def _swapped(name: str) -> Rule:
    return LAWS["dnc"]["backward_weights" if name == "forward_weights" else "forward_weights"]


def _dot_product(memory: Array, keys: Array, strengths: Array) -> Array:
    scores = strengths[..., None] * (keys @ np.swapaxes(memory, 1, 2))
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(scores / scores.sum(axis=-1, keepdims=True))


def _read_dot(_: Frame, now: Frame, __: Mapping[str, Any]) -> Array:
    return _dot_product(now["memory"], now["read_keys"], now["read_strengths"])


def _read_stale(before: Frame, now: Frame, attributes: Mapping[str, Any]) -> Array:
    return dynamics.content_weights(before["memory"], now["read_keys"], now["read_strengths"])


def _write_dot(before: Frame, now: Frame, __: Mapping[str, Any]) -> Array:
    return _dot_product(before["memory"], now["write_keys"], now["write_strengths"])


def _read_before(before: Frame, now: Frame, _: Mapping[str, Any]) -> Array:
    return dynamics.read(before["memory"], now["read_weights"])


def _replaced(_: Frame, now: Frame, __: Mapping[str, Any]) -> Array:
    return now["write_weights"]


_MASKS = "only masked words are compared (masking, Csordas and Schmidhuber 2019)"
_SHARPER = "the walk is sharpened by an emitted power (link sharpness control, Csordas and Schmidhuber 2019)"

_LOOKUP = ("read_keys", "read_strengths")

VARIANTS: Mapping[str, tuple[Variant, ...]] = MappingProxyType(
    {
        "memory": (
            Variant("the write heads write in series, not together", _MEMORY, {"write_order": "series"}),
            Variant(
                "what is freed is also cleared (de-allocation, Csordas and Schmidhuber 2019)",
                Rule(_cleared, now=(*_WRITES, "free_gates"), before=("memory", "read_weights")),
            ),
            Variant("heads add first and erase afterwards", Rule(_added_first, now=_WRITES, before=("memory",))),
            Variant("a write erases all words alike, without erase vectors", Rule(_whole_erase, _WRITES, ("memory",))),
        ),
        "usage": (
            Variant(
                "it counts the write of the same time, not of the time before",
                Rule(_usage_of_now, now=("write_weights", "free_gates"), before=("usage", "read_weights")),
            ),
            Variant("slots are never freed", Rule(_never_freed, before=("usage", "write_weights"))),
            Variant(
                "slots are freed before the last write is counted, not after",
                Rule(_freed_first, _USAGE.now, _USAGE.before),
            ),
        ),
        "link_matrix": (
            Variant(
                "it takes the precedence of the same time, not of the time before",
                Rule(_link_of_now, now=("write_weights", "precedence_weights"), before=("link_matrix",)),
            ),
            Variant("its diagonal is kept, so a slot can follow itself", Rule(_with_diagonal, _LINK.now, _LINK.before)),
            Variant("its rows and columns are exchanged", Rule(_transposed, _LINK.now, _LINK.before)),
        ),
        "precedence_weights": (
            Variant("it is the last write weighting alone", Rule(_replaced, now=("write_weights",))),
        ),
        "forward_weights": (
            Variant("forward and backward are exchanged", _swapped("forward_weights")),
            Variant(_SHARPER, SHARPENED["forward_weights"], {"sharpening_delta": 1e-6}),
        ),
        "backward_weights": (
            Variant("forward and backward are exchanged", _swapped("backward_weights")),
            Variant(_SHARPER, SHARPENED["backward_weights"], {"sharpening_delta": 1e-6}),
        ),
        "read_content_weights": (
            Variant("likeness is a dot product, not a cosine", Rule(_read_dot, now=("memory", *_LOOKUP))),
            Variant(
                "the lookup sees the memory before this time's write",
                Rule(_read_stale, now=_LOOKUP, before=("memory",)),
            ),
            Variant(_MASKS, MASKED["read_content_weights"]),
        ),
        "write_content_weights": (
            Variant(
                "likeness is a dot product, not a cosine",
                Rule(_write_dot, now=("write_keys", "write_strengths"), before=("memory",)),
            ),
            Variant(_MASKS, MASKED["write_content_weights"]),
        ),
        "read_vectors": (
            Variant(
                "heads read the memory before this time's write",
                Rule(_read_before, now=("read_weights",), before=("memory",)),
            ),
        ),
    }
)
