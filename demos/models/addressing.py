"""Addressing mechanisms of memory-augmented networks, in torch: one function per equation.

The DNC is that of Graves et al. 2016, "Hybrid computing using a neural network with dynamic external memory", Methods;
its symbols are kept. Every function is differentiable, works in any floating dtype and on any device, and holds no
state. Shapes name their axes; `batch` always comes first.

The functions are written for few kernel launches, because at the sizes of the demos an operation costs its launch and
not its arithmetic: `addcmul` does in one what `1 - a * b` does in two.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from memviz.demos.models.allocation import Aim, Allocate, Use, Write

DELTA = 1e-6
"""Keeps the logarithm of an unused slot finite, as in deepmind/dnc."""


def oneplus(x: Tensor) -> Tensor:
    """Bound a key strength to [1, ∞): 1 + log(1 + e^x)."""
    return 1 + torch.nn.functional.softplus(x)


def complement_product(a: Tensor, b: Tensor) -> Tensor:
    """Π_h (1 - a_h b_h) over axis 1 (heads); `a` and `b` broadcast against each other.

    A chain of products instead of `torch.prod`, whose gradient must first look for zeros.
    """
    factors = torch.addcmul(a.new_ones(()), a, b, value=-1)
    # Of one head the product is the factor; to take it out of its axis is cheaper than to unbind that.
    return factors.squeeze(1) if factors.shape[1] == 1 else functools.reduce(torch.mul, factors.unbind(1))


def update_usage(usage: Tensor, write_weights: Tensor, read_weights: Tensor, free_gates: Tensor) -> Tensor:
    """u_t = (u + w^w - u ∘ w^w) ∘ ψ with retention ψ = Π_i (1 - f_i w^{r,i}); all but f of the time before.

    Several write heads count as one that wrote wherever any of them did.

    Args:
        usage: [batch, slot].
        write_weights: [batch, write_head, slot].
        read_weights: [batch, read_head, slot].
        free_gates: [batch, read_head].

    Returns:
        [batch, slot].
    """
    used: Tensor = Use.apply(usage, write_weights, read_weights, free_gates)  # type: ignore[no-untyped-call]
    return used


def count_writes(usage: Tensor, write_weights: Tensor) -> Tensor:
    """Usage after a write, u + w^w - u ∘ w^w, before anything is freed; axes as in `update_usage`."""
    if write_weights.shape[1] == 1:
        written = write_weights[:, 0]
    else:
        written = 1 - complement_product(write_weights, write_weights.new_ones(()))
    # u + w (1 - u) in one operation.
    return torch.lerp(usage, usage.new_ones(()), written)


def retention(read_weights: Tensor, free_gates: Tensor) -> Tensor:
    """ψ = Π_i (1 - f_i w^{r,i}): how far each slot [batch, slot] is kept by the heads that just read it.

    Args:
        read_weights: [batch, read_head, slot], of the time before.
        free_gates: [batch, read_head].
    """
    return complement_product(free_gates.unsqueeze(2), read_weights)


def allocate(usage: Tensor, delta: float = DELTA) -> Tensor:
    """Weights on the free slots, least used first: a[φ_j] = (1 - u[φ_j]) Π_{i<j} u[φ_i], φ sorting u ascending.

    The product runs in logarithms, which needs no search for zeros in its gradient. Slots in equal use are taken in
    the order of their index.

    Args:
        usage: [batch, slot].
        delta: usage is lifted to delta + (1 - delta) u first, so that it is never zero.

    Returns:
        [batch, slot], summing to at most 1 over slots.
    """
    allocated: Tensor = Allocate.apply(usage, delta)  # type: ignore[no-untyped-call]
    return allocated


def allocate_per_head(usage: Tensor, write_gate: Tensor, allocation_gate: Tensor, delta: float = DELTA) -> Tensor:
    """Allocation weights of each write head: a head takes its share before the next one looks (deepmind/dnc).

    Args:
        usage: [batch, slot].
        write_gate: [batch, write_head].
        allocation_gate: [batch, write_head]; a head's share is the product of the two.
        delta: as in `allocate`.

    Returns:
        [batch, write_head, slot].
    """
    if write_gate.shape[1] == 1:
        return allocate(usage, delta).unsqueeze(1)
    heads = []
    for share in (write_gate * allocation_gate).unbind(1):
        heads.append(allocate(usage, delta))
        usage = usage + (1 - usage) * share.unsqueeze(1) * heads[-1]
    return torch.stack(heads, dim=1)


def write_weights(content: Tensor, allocation: Tensor, allocation_gate: Tensor, write_gate: Tensor) -> Tensor:
    """w^w = g^w (g^a a + (1 - g^a) c^w).

    Args:
        content: [batch, write_head, slot], the lookup.
        allocation: [batch, write_head, slot].
        allocation_gate: [batch, write_head].
        write_gate: [batch, write_head].

    Returns:
        [batch, write_head, slot].
    """
    weights: Tensor = Aim.apply(content, allocation, allocation_gate, write_gate)  # type: ignore[no-untyped-call]
    return weights


def write(memory: Tensor, write_weights: Tensor, erase_vectors: Tensor, write_vectors: Tensor) -> Tensor:
    """M_t = M ∘ Π_h (1 - w_h e_h^T) + Σ_h w_h v_h^T.

    Args:
        memory: [batch, slot, word].
        write_weights: [batch, write_head, slot].
        erase_vectors: [batch, write_head, word], in [0, 1].
        write_vectors: [batch, write_head, word].

    Returns:
        [batch, slot, word].
    """
    written: Tensor = Write.apply(memory, write_weights, erase_vectors, write_vectors)  # type: ignore[no-untyped-call]
    return written
