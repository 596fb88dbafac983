"""Content-based lookup with a hand-written gradient.

A DNC looks its memory up twice at every time, and at the sizes of the demos autograd spends more on bookkeeping between
the dozen small operations of a lookup than on the operations. One node instead of a dozen makes a training step about
a tenth faster.

Equations: Graves et al. 2016, Methods, "Content-based addressing".
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

DELTA = 1e-6
"""Added to the product of norms, so that an empty row has a cosine, as in deepmind/dnc."""


class _Lookup(torch.autograd.Function):
    """With d = K M^T, n = |K| |M|^T + δ and c = d / n: w = softmax(β c)."""

    @staticmethod
    def forward(ctx: Any, memory: Tensor, keys: Tensor, strengths: Tensor, delta: float) -> Tensor:
        """Axes as in `content_weights`."""
        key_norms = torch.linalg.vector_norm(keys, dim=2, keepdim=True)
        row_norms = torch.linalg.vector_norm(memory, dim=2).unsqueeze(1)
        norms = torch.bmm(key_norms, row_norms).add_(delta)
        cosines = torch.bmm(keys, memory.mT).div_(norms)
        weights = torch.softmax(strengths.unsqueeze(2) * cosines, dim=2)
        ctx.save_for_backward(memory, keys, strengths, key_norms, row_norms, norms, cosines, weights)
        return weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Gradients in the order of the arguments of `forward`."""
        memory, keys, strengths, key_norms, row_norms, norms, cosines, weights = ctx.saved_tensors
        weighted = grad * weights
        grad_scores = torch.addcmul(weighted, weights, weighted.sum(dim=2, keepdim=True), value=-1)
        grad_strengths = (grad_scores * cosines).sum(dim=2)
        grad_dots = grad_scores.mul_(strengths.unsqueeze(2)).div_(norms)

        # Through the norms: ∂c/∂n = -c / n, ∂|x|/∂x = x / |x|, which is taken as zero where x is zero.
        through = grad_dots * cosines
        tiny = torch.finfo(memory.dtype).tiny
        per_key = torch.bmm(through, row_norms.mT).div_(key_norms.clamp_min(tiny))
        per_row = torch.bmm(key_norms.mT, through).div_(row_norms.clamp_min(tiny))
        grad_keys = torch.bmm(grad_dots, memory).addcmul_(keys, per_key, value=-1)
        grad_memory = torch.bmm(grad_dots.mT, keys).addcmul_(memory, per_row.mT, value=-1)
        return grad_memory, grad_keys, grad_strengths, None


def content_weights(memory: Tensor, keys: Tensor, strengths: Tensor, delta: float = DELTA) -> Tensor:
    """Look up by likeness: C(M, k, β)[i] = softmax_i(β D(k, M[i])), D the cosine.

    Args:
        memory: [batch, slot, word].
        keys: [batch, head, word].
        strengths: [batch, head], β >= 1.
        delta: added to the product of norms.

    Returns:
        [batch, head, slot], summing to 1 over slots.
    """
    weights: Tensor = _Lookup.apply(memory, keys, strengths, delta)  # type: ignore[no-untyped-call]
    return weights


def masked_content_weights(
    memory: Tensor, keys: Tensor, strengths: Tensor, masks: Tensor, delta: float = DELTA
) -> Tensor:
    """Look up by the likeness of some words: softmax_i(β D(m ∘ k, m ∘ M[i])), D the cosine.

    Csordas and Schmidhuber 2019, "Improving Differentiable Neural Computers Through Memory Masking, De-allocation, and
    Link Distribution Sharpness Control": a head may search by a part of a word and so find what the rest of it is.

    Both products with the mask are moved to the side of the key, so that no masked copy of the memory is made per head.

    Args:
        memory: [batch, slot, word].
        keys: [batch, head, word].
        strengths: [batch, head], β >= 1.
        masks: [batch, head, word], in [0, 1]; of ones, the lookup is that of `content_weights`.
        delta: added to the product of norms.

    Returns:
        [batch, head, slot], summing to 1 over slots.
    """
    shares = masks.square()
    dots = torch.bmm(keys * shares, memory.mT)
    key_norms = _safe_root((keys.square() * shares).sum(dim=2, keepdim=True))
    row_norms = _safe_root(torch.bmm(shares, memory.square().mT))
    cosines = dots / torch.addcmul(dots.new_full((), delta), key_norms, row_norms)
    return torch.softmax(strengths.unsqueeze(2) * cosines, dim=2)


def _safe_root(squares: Tensor) -> Tensor:
    """The square root, with the gradient 0 at 0, where that of a norm has no value."""
    return squares.clamp_min(torch.finfo(squares.dtype).tiny).sqrt()
