"""What a hop of a dynamic memory network keeps of each fact.

A hop gates the facts of a story and sums them up in an episode. The gate of a fact does not say how much of it is left
there: an episode that runs over the facts forgets by the gates of later facts what it took from earlier ones. Unrolled,

    h_i = g_i c_i + (1 - g_i) h_{i-1}    gives    h_n = Σ_i E_i c_i + L h_0,   E_i = g_i Π_{j>i} (1 - g_j),
                                                                              L = Π_j (1 - g_j),

exactly, and E and L sum to 1 (Kumar et al. 2016, eq. 8; the attention GRU of Xiong et al. 2016 has the same form). The
candidate c_i is what the GRU proposed at fact i. A memory says by its attribute `episode` how it sums up: "gated", as
above, or "sum", the weighted sum Σ_i g_i c_i, where E is g itself and L the rest to 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

KINDS = ("gated", "sum")
"""Values of the attribute `episode`."""

_EMPTY = 1e-12


def effective_gates(gates: Array, episode: str = "gated") -> tuple[Array, Array]:
    """What an episode keeps of each fact, and of its initial state.

    Args:
        gates: g, [..., fact], in the order in which the episode reads the facts.
        episode: one of `KINDS`.

    Returns:
        E [..., fact] and the leftover L [...]; together they sum to 1.
    """
    if episode == "sum":
        return gates, np.asarray(1 - gates.sum(axis=-1))
    keep = np.cumprod((1 - gates)[..., ::-1], axis=-1)[..., ::-1]
    after = np.concatenate([keep[..., 1:], np.ones_like(keep[..., :1])], axis=-1)
    return np.asarray(gates * after), np.asarray(keep[..., 0])


def rebuild(effective: Array, candidates: Array) -> Array:
    """The episode Σ_i E_i c_i, [..., word], of effective gates [..., fact] and candidates [..., fact, word].

    The state that it started from is zero.
    """
    return np.asarray(np.einsum("...f,...fw->...w", effective, candidates))


def divergence(p: Array, q: Array) -> Array:
    """Jensen-Shannon divergence of distributions over the last axis, in bits, 0 to 1; NaN where one is not finite."""

    def information(a: Array, m: Array) -> Array:
        ratio = np.divide(a, m, out=np.ones_like(m), where=(a > _EMPTY) & (m > _EMPTY))
        return np.asarray((a * np.log2(ratio)).sum(axis=-1))

    m = (p + q) / 2
    return (information(p, m) + information(q, m)) / 2
