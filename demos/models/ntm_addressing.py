"""Where a head of a Neural Turing Machine goes: interpolation, shift and sharpening, with a hand-written gradient.

Graves et al. 2014, "Neural Turing Machines", section 3.3.2, equations 7 to 9; the lookup before them (equations 5 and
6) is `lookup.content_weights`. Every head does this at every time, and of its dozen small operations autograd would
make a dozen nodes; here it is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class _Locate(torch.autograd.Function):
    """With w^g = g c + (1 - g) w, w~[i] = Σ_k s[k] w^g[i - k] and p = w~^γ: the new weighting p / (Σ p + δ)."""

    @staticmethod
    def forward(
        ctx: Any,
        content: Tensor,
        previous: Tensor,
        gate: Tensor,
        shift_weights: Tensor,
        sharpening: Tensor,
        sources: Tensor,
        targets: Tensor,
        delta: float,
    ) -> Tensor:
        """Axes as in `locate`; `sources` and `targets` are [shift, slot], see `shift_tables`."""
        gate, power, mix = gate.unsqueeze(2), sharpening.unsqueeze(2), shift_weights.unsqueeze(2)
        moved = torch.lerp(previous, content, gate)[..., sources]
        shifted = torch.matmul(mix, moved).squeeze(2)
        if delta:
            base, top = shifted, shifted.new_ones(())
        else:
            # The same quotient, but its sum is at least 1: small weights to a large power would all become 0.
            top = shifted.amax(dim=2, keepdim=True).clamp_min(torch.finfo(shifted.dtype).tiny)
            base = shifted / top
        powers = base.pow(power)
        total = powers.sum(dim=2, keepdim=True).add_(delta)
        if not delta:
            total.clamp_min_(torch.finfo(shifted.dtype).tiny)
        weights = powers / total
        ctx.save_for_backward(content, previous, gate, mix, power, moved, base, weights, total * top, targets)
        return weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients in the order of the arguments of `forward`."""
        content, previous, gate, mix, power, moved, base, weights, scale, targets = ctx.saved_tensors
        # ∂w_i/∂(log p_j) = w_i (1[i = j] - w_j), also with a δ in the sum.
        spread = grad - (grad * weights).sum(dim=2, keepdim=True)
        logs = base.clamp_min(torch.finfo(base.dtype).tiny).log_()
        grad_power = (spread * weights * logs).sum(dim=2)
        grad_shifted = spread.mul_(power).mul_(base.pow(power - 1)).div_(scale)

        grad_mix = torch.matmul(moved, grad_shifted.unsqueeze(3)).squeeze(3)
        grad_gated = torch.matmul(mix, grad_shifted[..., targets]).squeeze(2)
        grad_gate = (grad_gated * (content - previous)).sum(dim=2)
        grad_content = grad_gated * gate
        return grad_content, grad_gated.sub_(grad_content), grad_gate, grad_mix, grad_power, None, None, None


def shift_tables(shifts: Sequence[int], slots: int) -> tuple[Tensor, Tensor]:
    """For each allowed shift and slot: the slot from which weight comes, and the slot to which it goes.

    Args:
        shifts: how far each allowed shift moves a weighting, in slots; the memory is a ring.
        slots: N.

    Returns:
        Two tables of slot numbers, each [shift, slot].
    """
    slot, by = torch.arange(slots), torch.tensor(shifts).unsqueeze(1)
    return (slot - by) % slots, (slot + by) % slots


def locate(
    content: Tensor,
    previous: Tensor,
    gate: Tensor,
    shift_weights: Tensor,
    sharpening: Tensor,
    tables: tuple[Tensor, Tensor],
    delta: float = 0.0,
) -> Tensor:
    """Interpolate with the weighting of the time before, shift, sharpen (equations 7, 8, 9).

    Args:
        content: [batch, head, slot], the lookup c.
        previous: [batch, head, slot], the head's weighting at the time before.
        gate: [batch, head], g in [0, 1]: 1 takes the lookup, 0 the weighting before.
        shift_weights: [batch, head, shift], s, summing to 1 over shifts.
        sharpening: [batch, head], γ >= 1.
        tables: of the allowed shifts, from `shift_tables`.
        delta: added to the sum that the weighting is divided by; some implementations do. Without it the result sums
            to 1 (to 0 where there is no weight at all).

    Returns:
        [batch, head, slot].
    """
    weights: Tensor = _Locate.apply(  # type: ignore[no-untyped-call]
        content, previous, gate, shift_weights, sharpening, *tables, delta
    )
    return weights
