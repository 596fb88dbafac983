"""The temporal links of a DNC with a hand-written gradient.

The link matrix is the one part of a DNC that grows with the square of the memory. Left to autograd, one update keeps
four matrices of that size for the backward pass and reads and writes some fifteen; here it keeps the previous link
matrix alone, and does the update, both reads and all their gradients in a few passes.

Equations: Graves et al. 2016, Methods, "Temporal memory linkage"; the sharpening is that of Csordas and Schmidhuber
2019.

The gradient is written for first derivatives: a second derivative is refused. Under torch.compile the update and its
gradient are traced like any other code; where that fails torch runs them as they are.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

SHARPENING_DELTA = 1e-6
"""Added to a walk before it is sharpened, so that one that leads nowhere has a distribution (RobertCsordas/dnc)."""


class _Links(torch.autograd.Function):
    """One update and both walks, with batch and write head taken as one axis, `pair`.

    With w the write weights, p the precedence before, r the read weights before, per pair:
    L'[i, j] = (1 - w[i] - w[j]) L[i, j] + w[i] p[j] off the diagonal, 0 on it; f = r L'^T; b = r L'.
    """

    @staticmethod
    def forward(
        ctx: Any, link: Tensor, precedence: Tensor, write_weights: Tensor, read_weights: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Axes of arguments and results as in `follow_links`."""
        batch, write_heads, slots = write_weights.shape
        read_heads = read_weights.shape[1]
        reads = read_weights.unsqueeze(1).expand(batch, write_heads, read_heads, slots).flatten(0, 1)
        before, writes, last = link.flatten(0, 1), write_weights.flatten(0, 1), precedence.flatten(0, 1)

        updated = _kept(writes).mul_(before)
        updated.addcmul_(writes.unsqueeze(2), last.unsqueeze(1))
        updated.diagonal(dim1=1, dim2=2).zero_()

        ctx.save_for_backward(before, last, writes, reads, updated)
        ctx.walked = walked = (batch, write_heads, read_heads, slots)
        forward, backward = torch.bmm(reads, updated.mT), torch.bmm(reads, updated)
        return updated.view(link.shape), forward.view(walked).transpose(1, 2), backward.view(walked).transpose(1, 2)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_link: Tensor, grad_forward: Tensor, grad_backward: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Gradients in the order of the arguments of `forward`."""
        before, last, writes, reads, updated = ctx.saved_tensors
        batch, write_heads, _, slots = ctx.walked
        along = grad_forward.transpose(1, 2).reshape(reads.shape)
        against = grad_backward.transpose(1, 2).reshape(reads.shape)
        grad_reads = torch.bmm(along, updated)
        grad_reads.baddbmm_(against, updated.mT)

        # All that reaches L': its own gradient, and f and b as sums of outer products over the read heads.
        left, right = torch.cat((along, reads), dim=1), torch.cat((reads, against), dim=1)
        grad = torch.baddbmm(grad_link.reshape(updated.shape), left.mT, right)
        grad.diagonal(dim1=1, dim2=2).zero_()

        grad_last = torch.bmm(writes.unsqueeze(1), grad)
        # A row vector times the transpose: the same product with a column vector is ten times slower on a CPU.
        grad_writes = torch.bmm(last.unsqueeze(1), grad.mT).squeeze(1)
        decayed = grad * before
        grad_writes -= decayed.sum(dim=2)
        grad_writes -= decayed.sum(dim=1)
        # A new matrix of this size costs more than a pass over an old one.
        grad_before = grad.mul_(_kept(writes, out=decayed))
        per_head = (batch, write_heads, slots)
        return (
            grad_before.view(*per_head, slots),
            grad_last.view(per_head),
            grad_writes.view(per_head),
            grad_reads.view(ctx.walked).sum(dim=1),
        )


class _Precede(torch.autograd.Function):
    """p' = (1 - Σ_i w[i]) p + w, axes as in `update_precedence`."""

    @staticmethod
    def forward(ctx: Any, precedence: Tensor, write_weights: Tensor) -> Tensor:
        """Axes as in `update_precedence`."""
        left = torch.rsub(write_weights.sum(dim=-1, keepdim=True), 1)
        ctx.save_for_backward(precedence, left)
        return torch.addcmul(write_weights, left, precedence)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients in the order of the arguments of `forward`."""
        precedence, left = ctx.saved_tensors
        return grad * left, grad - (grad * precedence).sum(dim=-1, keepdim=True)


def update_precedence(precedence: Tensor, write_weights: Tensor) -> Tensor:
    """p_t = (1 - Σ_i w[i]) p + w; both arguments and the result are [batch, write_head, slot]."""
    followed: Tensor = _Precede.apply(precedence, write_weights)  # type: ignore[no-untyped-call]
    return followed


def _kept(write_weights: Tensor, out: Tensor | None = None) -> Tensor:
    """1 - w[i] - w[j] as [pair, to, from], in `out` or in a new tensor."""
    return torch.sub((1 - write_weights).unsqueeze(2), write_weights.unsqueeze(1), out=out)


def follow_links(
    link: Tensor, precedence: Tensor, write_weights: Tensor, read_weights: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Enter this time's writes into the links, and walk one step along them from where each head read before.

    Args:
        link: [batch, write_head, slot_to, slot_from], of the time before.
        precedence: [batch, write_head, slot], of the time before.
        write_weights: [batch, write_head, slot], of this time.
        read_weights: [batch, read_head, slot], of the time before.

    Returns:
        The link matrix of this time; forward and backward weights, each [batch, read_head, write_head, slot].
    """
    followed: tuple[Tensor, Tensor, Tensor] = _Links.apply(  # type: ignore[no-untyped-call]
        link, precedence, write_weights, read_weights
    )
    return followed


def sharpen(walk: Tensor, powers: Tensor, delta: float = SHARPENING_DELTA) -> Tensor:
    """Make a walk along the links a sharp distribution: S(d, s)[i] = (d[i] + δ)^s / Σ_j (d[j] + δ)^s.

    Csordas and Schmidhuber 2019, "link distribution sharpness control": with every write some noise gets into the
    links, and a walk along them blurs; a power that the controller emits undoes the blur. It also gives a walk from
    where no link leads on, an empty one, equal weights on all slots.

    Args:
        walk: [batch, read_head, write_head, slot], forward or backward weights.
        powers: [batch, read_head], s >= 1.
        delta: δ.

    Returns:
        The axes of `walk`; sums to 1 over slots.
    """
    # Rounding can leave a link just below zero. A power is a softmax of logarithms, which neither over- nor underflows.
    logs = torch.log(walk.clamp_min(0) + delta)
    return torch.softmax(powers[..., None, None] * logs, dim=-1)
