"""Usage, allocation and the write of a DNC with hand-written gradients.

Left to autograd, each is up to a dozen nodes of small operations, and at the sizes of the demos the bookkeeping between
them costs more than the arithmetic. As one node each they save about a sixth of a training step, and the write keeps no
copy of the memory but the one that it changed.

Equations: Graves et al. 2016, Methods, "Dynamic memory allocation"; the write is that of "System overview".
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class Use(torch.autograd.Function):
    """With w the write and r_i the read weights of the time before: u' = (u + w - u ∘ w) ∘ Π_i (1 - f_i r_i)."""

    @staticmethod
    def forward(ctx: Any, usage: Tensor, writes: Tensor, reads: Tensor, free_gates: Tensor) -> Tensor:
        """Axes as in `addressing.update_usage`."""
        one = usage.new_ones(())
        kept = torch.addcmul(one, free_gates.unsqueeze(2), reads, value=-1)
        retention = kept.prod(dim=1) if kept.shape[1] > 1 else kept[:, 0]
        # Several write heads count as one that wrote wherever any of them did.
        left = 1 - writes
        written = 1 - left.prod(dim=1) if writes.shape[1] > 1 else writes[:, 0]
        used = torch.lerp(usage, one, written)
        ctx.save_for_backward(usage, reads, free_gates, kept, left, written, retention, used)
        return used * retention

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Gradients in the order of the arguments of `forward`."""
        usage, reads, free_gates, kept, left, written, retention, used = ctx.saved_tensors
        grad_used = grad * retention
        grad_writes = _times_others(grad_used * (1 - usage), left)
        grad_freed = _times_others(grad * used, kept).neg_()
        grad_gates = (grad_freed * reads).sum(dim=2)
        return grad_used.mul_(1 - written), grad_writes, grad_freed.mul_(free_gates.unsqueeze(2)), grad_gates


def _times_others(value: Tensor, factors: Tensor) -> Tensor:
    """`value` [batch, slot] times the product of all factors [batch, head, slot] but one, for each of them.

    Not by division, since a slot that is freed altogether has the factor 0.
    """
    heads = factors.unbind(1)
    before = [value]
    for factor in heads[:-1]:
        before.append(before[-1] * factor)
    found, after = before[-1:], heads[-1]
    for head in range(len(heads) - 2, -1, -1):
        found.append(before[head] * after)
        after = after * heads[head] if head else after
    return torch.stack(found[::-1], dim=1)


class Aim(torch.autograd.Function):
    """w = g^w (g^a a + (1 - g^a) c): where a head writes, from allocation a and lookup c."""

    @staticmethod
    def forward(ctx: Any, content: Tensor, allocation: Tensor, share: Tensor, gate: Tensor) -> Tensor:
        """Axes as in `addressing.write_weights`."""
        share, gate = share.unsqueeze(2), gate.unsqueeze(2)
        address = torch.lerp(content, allocation, share)
        ctx.save_for_backward(content, allocation, share, gate, address)
        return address * gate

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Gradients in the order of the arguments of `forward`."""
        content, allocation, share, gate, address = ctx.saved_tensors
        grad_gate = (grad * address).sum(dim=2)
        through = grad * gate
        grad_share = (through * (allocation - content)).sum(dim=2)
        grad_allocation = through * share
        return through.sub_(grad_allocation), grad_allocation, grad_share, grad_gate


class Allocate(torch.autograd.Function):
    """With s the lifted usage in ascending order and P_j = Π_{i<j} s_i: a_j = (1 - s_j) P_j."""

    @staticmethod
    def forward(ctx: Any, usage: Tensor, delta: float) -> Tensor:
        """Axes as in `addressing.allocate`."""
        lifted = torch.add(usage.new_full((), delta), usage, alpha=1 - delta)
        ascending, order = torch.sort(lifted, dim=-1, stable=True)
        logs = torch.log(ascending)
        before = torch.exp(torch.cumsum(logs, dim=-1).sub_(logs))
        weights = torch.addcmul(before, before, ascending, value=-1)
        ctx.save_for_backward(ascending, order, before, weights)
        ctx.delta = delta
        return torch.empty_like(usage).scatter_(-1, order, weights)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        """∂L/∂s_j = -g_j P_j + Σ_{i>j} g_i a_i / s_j."""
        ascending, order, before, weights = ctx.saved_tensors
        sorted_grad = grad.gather(-1, order)
        shares = sorted_grad * weights
        # The sum over all that comes after: the whole less the part up to here.
        after = shares.sum(dim=-1, keepdim=True) - torch.cumsum(shares, dim=-1)
        grad_sorted = after.div_(ascending).addcmul_(sorted_grad, before, value=-1).mul_(1 - ctx.delta)
        return torch.empty_like(grad).scatter_(-1, order, grad_sorted), None


class Write(torch.autograd.Function):
    """M' = M ∘ Π_h (1 - w_h e_h^T) + Σ_h w_h v_h^T."""

    @staticmethod
    def forward(ctx: Any, memory: Tensor, weights: Tensor, erase: Tensor, vectors: Tensor) -> Tensor:
        """Axes as in `addressing.write`."""
        ctx.save_for_backward(memory, weights, erase, vectors)
        if weights.shape[1] == 1:
            # M + w (v - e ∘ M)^T, which needs one pass less over the memory.
            return torch.addcmul(memory, weights.mT, torch.addcmul(vectors, erase, memory, value=-1))
        kept = memory
        for head in range(weights.shape[1]):
            kept = kept * _keep(weights, erase, head)
        return kept.baddbmm_(weights.mT, vectors)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Gradients in the order of the arguments of `forward`."""
        memory, weights, erase, vectors = ctx.saved_tensors
        grad_vectors = torch.bmm(weights, grad)
        grad_weights = torch.bmm(vectors, grad.mT)
        through = grad * memory
        if weights.shape[1] == 1:
            grad_weights.baddbmm_(erase, through.mT, alpha=-1)
            grad_erase = torch.bmm(weights, through).neg_()
            grad_memory = torch.addcmul(grad, weights.mT, grad * erase, value=-1)
            return grad_memory, grad_weights, grad_erase, grad_vectors
        keeps = [_keep(weights, erase, head) for head in range(weights.shape[1])]
        grad_erase = torch.empty_like(erase)
        for head in range(len(keeps)):
            others = through
            for other, keep in enumerate(keeps):
                others = others * keep if other != head else others
            grad_weights[:, head] -= torch.bmm(erase[:, head : head + 1], others.mT).squeeze(1)
            grad_erase[:, head] = -torch.bmm(weights[:, head : head + 1], others).squeeze(1)
        grad_memory = grad
        for keep in keeps:
            grad_memory = grad_memory * keep
        return grad_memory, grad_weights, grad_erase, grad_vectors


def _keep(weights: Tensor, erase: Tensor, head: int) -> Tensor:
    """1 - w e^T of one head, [batch, slot, word]."""
    return torch.addcmul(weights.new_ones(()), weights[:, head].unsqueeze(2), erase[:, head].unsqueeze(1), value=-1)
