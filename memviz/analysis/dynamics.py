"""How the state of a memory moves on from one time to the next: the update laws, one function per equation, in numpy.

The DNC is that of Graves et al. 2016, "Hybrid computing using a neural network with dynamic external memory", Methods;
the NTM is that of Graves et al. 2014, "Neural Turing Machines", section 3. Arrays carry no time axis: they are the
values at one time, with the axes that `memviz.fields` gives them after `time`. `[..]` names axes below; `batch` always
comes first.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


def write_in_parallel(memory: Array, write_weights: Array, erase_vectors: Array, write_vectors: Array) -> Array:
    """The memory after all write heads wrote at once: M ∘ Π_j (1 - w_j e_j^T) + Σ_j w_j v_j^T.

    With one head this is M_t = M_{t-1} ∘ (E - w e^T) + w v^T of the DNC, and equations 3 and 4 of the NTM. The product
    over heads is that of deepmind/dnc.

    Args:
        memory: [batch, slot, word], before the write.
        write_weights: [batch, write_head, slot].
        erase_vectors: [batch, write_head, word], in [0, 1].
        write_vectors: [batch, write_head, word].

    Returns:
        [batch, slot, word].
    """
    keep = 1 - write_weights[:, 0, :, None] * erase_vectors[:, 0, None, :]
    for head in range(1, write_weights.shape[1]):
        keep *= 1 - write_weights[:, head, :, None] * erase_vectors[:, head, None, :]
    keep *= memory
    keep += np.matmul(np.swapaxes(write_weights, 1, 2), write_vectors)
    return keep


def write_in_series(memory: Array, write_weights: Array, erase_vectors: Array, write_vectors: Array) -> Array:
    """The memory after the write heads wrote one after the other: each head erases what the heads before it added.

    Axes as in `write_in_parallel`, which it equals when there is one head.
    """
    for head in range(write_weights.shape[1]):
        one = slice(head, head + 1)
        memory = write_in_parallel(memory, write_weights[:, one], erase_vectors[:, one], write_vectors[:, one])
    return memory


def clear_freed(memory: Array, read_weights: Array, free_gates: Array) -> Array:
    """The memory without what was just read and freed: M ∘ ψ 1^T, ψ = Π_i (1 - f_t^i w^{r,i}).

    From Csordas and Schmidhuber 2019, "Improving Differentiable Neural Computers Through Memory Masking, De-allocation,
    and Link Distribution Sharpness Control"; it is applied before the write.

    Args:
        memory: [batch, slot, word], at the time before.
        read_weights: [batch, read_head, slot], at the time before.
        free_gates: [batch, read_head], at this time.

    Returns:
        [batch, slot, word].
    """
    retention = np.prod(1 - free_gates[:, :, None] * read_weights, axis=1)
    return np.asarray(memory * retention[:, :, None])


def update_usage(usage: Array, write_weights: Array, read_weights: Array, free_gates: Array) -> Array:
    """How far each slot is in use: u_t = (u + w^w - u ∘ w^w) ∘ ψ, with retention ψ = Π_i (1 - f_t^i w^{r,i}).

    Several write heads count as one that wrote wherever any of them did: w^w = 1 - Π_j (1 - w^{w,j}).

    Args:
        usage: [batch, slot], at the time before.
        write_weights: [batch, write_head, slot], at the time before.
        read_weights: [batch, read_head, slot], at the time before.
        free_gates: [batch, read_head], at this time.

    Returns:
        [batch, slot].
    """
    written = 1 - np.prod(1 - write_weights, axis=1)
    retention = np.prod(1 - free_gates[:, :, None] * read_weights, axis=1)
    return np.asarray((usage + (1 - usage) * written) * retention)


def allocate(usage: Array, delta: float = 0.0) -> Array:
    """Weights on the free slots, least used first: a[φ_j] = (1 - u[φ_j]) Π_{i<j} u[φ_i], φ sorting u ascending.

    Args:
        usage: [batch, slot].
        delta: implementations first lift usage to delta + (1 - delta) u, so that the product has a gradient at
            u = 0. The paper has no such term.

    Returns:
        [batch, slot]; sums to at most 1 over slots.
    """
    lifted = delta + (1 - delta) * usage
    order = np.argsort(lifted, axis=-1, kind="stable")
    ascending = np.take_along_axis(lifted, order, axis=-1)
    before = np.ones_like(ascending)
    np.cumprod(ascending[:, :-1], axis=-1, out=before[:, 1:])
    allocation = np.empty_like(ascending)
    np.put_along_axis(allocation, order, (1 - ascending) * before, axis=-1)
    return allocation


def allocate_per_head(usage: Array, shares: Array, delta: float = 0.0) -> Array:
    """Allocation weights of several write heads: each takes its share before the next one looks (deepmind/dnc).

    Args:
        usage: [batch, slot].
        shares: [batch, write_head], write gate times allocation gate.
        delta: as in `allocate`.

    Returns:
        [batch, write_head, slot].
    """
    heads = []
    for head in range(shares.shape[1]):
        heads.append(allocate(usage, delta))
        usage = usage + (1 - usage) * shares[:, head, None] * heads[-1]
    return np.stack(heads, axis=1)


def content_weights(memory: Array, keys: Array, strengths: Array, delta: float = 0.0) -> Array:
    """Lookup by likeness: softmax over slots of β cos(k, M[i]) (Methods, "Content-based addressing"; NTM equation 5).

    Args:
        memory: [batch, slot, word].
        keys: [batch, head, word].
        strengths: [batch, head].
        delta: implementations add it to the product of the two norms, so that an empty slot has a cosine. The paper
            has none; an empty slot then counts as orthogonal to every key.

    Returns:
        [batch, head, slot], summing to 1 over slots.
    """
    dots = np.matmul(keys, np.swapaxes(memory, 1, 2))
    norms = np.linalg.norm(keys, axis=-1)[:, :, None] * np.linalg.norm(memory, axis=-1)[:, None, :] + delta
    scores = strengths[:, :, None] * np.divide(dots, norms, out=np.zeros_like(dots), where=norms != 0)
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    return np.asarray(scores)


def masked_content_weights(memory: Array, keys: Array, strengths: Array, masks: Array, delta: float = 0.0) -> Array:
    """Lookup by likeness of some words only: softmax over slots of β cos(m ∘ k, m ∘ M[i]).

    From Csordas and Schmidhuber 2019, the masking of content-based addressing.

    Args:
        memory: [batch, slot, word].
        keys: [batch, head, word].
        strengths: [batch, head].
        masks: [batch, head, word], in [0, 1].
        delta: as in `content_weights`.

    Returns:
        [batch, head, slot], summing to 1 over slots.
    """
    heads = [
        content_weights(
            memory * masks[:, head, None], (keys * masks)[:, head : head + 1], strengths[:, head : head + 1], delta
        )
        for head in range(keys.shape[1])
    ]
    return np.concatenate(heads, axis=1)


def update_precedence(precedence: Array, write_weights: Array) -> Array:
    """How far each slot was the last one written: p_t = (1 - Σ_i w[i]) p + w.

    Args:
        precedence: [batch, write_head, slot], at the time before.
        write_weights: [batch, write_head, slot], at this time.

    Returns:
        [batch, write_head, slot].
    """
    return np.asarray((1 - write_weights.sum(axis=-1, keepdims=True)) * precedence + write_weights)


def update_link(link: Array, precedence: Array, write_weights: Array) -> Array:
    """Who was written after whom: L_t[i, j] = (1 - w[i] - w[j]) L[i, j] + w[i] p[j], with L[i, i] = 0.

    Args:
        link: [batch, write_head, slot_to, slot_from], at the time before.
        precedence: [batch, write_head, slot], at the time before.
        write_weights: [batch, write_head, slot], at this time.

    Returns:
        [batch, write_head, slot_to, slot_from].
    """
    to, source = write_weights[..., :, None], write_weights[..., None, :]
    updated = 1 - to - source
    updated *= link
    updated += to * precedence[..., None, :]
    diagonal = np.arange(link.shape[-1])
    updated[..., diagonal, diagonal] = 0
    return np.asarray(updated)


def step_forward(link: Array, read_weights: Array) -> Array:
    """One step on along the links from where each head read: f[i] = Σ_j L[i, j] w^r[j].

    Args:
        link: [batch, write_head, slot_to, slot_from], at this time.
        read_weights: [batch, read_head, slot], at the time before.

    Returns:
        [batch, read_head, write_head, slot].
    """
    return np.swapaxes(np.matmul(read_weights[:, None], np.swapaxes(link, -1, -2)), 1, 2)


def step_backward(link: Array, read_weights: Array) -> Array:
    """One step back along the links: b[j] = Σ_i L[i, j] w^r[i]. Axes as in `step_forward`."""
    return np.swapaxes(np.matmul(read_weights[:, None], link), 1, 2)


def sharpen(walk: Array, powers: Array, delta: float = 0.0) -> Array:
    """A walk along the links made a sharp distribution: S(d, s)[i] = (d[i] + δ)^s / Σ_j (d[j] + δ)^s.

    From Csordas and Schmidhuber 2019, the control of link distribution sharpness.

    Args:
        walk: [batch, read_head, write_head, slot], as `step_forward` and `step_backward` give it.
        powers: [batch, read_head], s >= 1.
        delta: lifts a walk that leads nowhere to equal weights; without it such a walk stays zero.

    Returns:
        The axes of `walk`; sums to 1 over slots.
    """
    lifted = np.maximum(walk, 0) + delta
    top = lifted.max(axis=-1, keepdims=True)
    sharp = np.divide(lifted, top, out=np.zeros_like(lifted), where=top != 0) ** powers[..., None, None]
    total = sharp.sum(axis=-1, keepdims=True)
    return np.asarray(np.divide(sharp, total, out=np.zeros_like(sharp), where=total != 0))


def write_fast(
    weights: Array, keys: Array, values: Array, rates: Array | None = None, decay: Array | None = None
) -> Array:
    """Fast weights after one token: M <- Λ M + k (γ v - β k^T Λ M)^T, one matrix per head.

    Without rates β = 0 and γ = 1, which is linear attention (Katharopoulos et al. 2020); with rates γ = β, which is
    DeltaNet (Schlag et al. 2021). Λ scales rows (gated forms); 1 without a decay.

    Args:
        weights: [batch, head, row, column], before the token.
        keys: [batch, head, row].
        values: [batch, head, column].
        rates: [batch, head], or None.
        decay: [batch, head, row], or None.

    Returns:
        [batch, head, row, column].
    """
    kept = weights if decay is None else decay[..., None] * weights
    stored = values
    if rates is not None:
        stored = rates[..., None] * (values - np.einsum("bhi,bhij->bhj", keys, kept))
    return np.asarray(kept + keys[..., None] * stored[..., None, :])


def read_fast(weights: Array, queries: Array) -> Array:
    """What each head reads from its fast weights: M^T q.

    Args:
        weights: [batch, head, row, column].
        queries: [batch, head, row].

    Returns:
        [batch, head, column].
    """
    return np.asarray(np.einsum("bhi,bhij->bhj", queries, weights))


def read(memory: Array, read_weights: Array) -> Array:
    """What each head reads: r = M^T w^r.

    Args:
        memory: [batch, slot, word].
        read_weights: [batch, read_head, slot].

    Returns:
        [batch, read_head, word].
    """
    return np.asarray(np.matmul(read_weights, memory))
