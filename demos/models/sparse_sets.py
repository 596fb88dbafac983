"""Sparse weightings as pairs of positions and values, where a position may come up several times."""

from __future__ import annotations

import torch
from torch import Tensor


def merge(positions: Tensor, values: Tensor, empty: int) -> tuple[Tensor, Tensor]:
    """Add up the values of equal positions, so that each position stands once.

    Args:
        positions: [..., n], slot numbers.
        values: [..., n].
        empty: the position that stands for none.

    Returns:
        Positions with `empty` in place of repetitions, the first occurrence staying where it was; the summed values,
        0 at `empty`; both [..., n].
    """
    same = positions.unsqueeze(-1) == positions.unsqueeze(-2)
    # Whether an earlier entry names the same position.
    again = torch.tril(same, diagonal=-1).any(dim=-1)
    single = ~again & (positions != empty)
    summed = torch.matmul((same & single.unsqueeze(-1)).to(values.dtype), values.unsqueeze(-1)).squeeze(-1)
    return torch.where(single, positions, empty), summed


def value_at(positions: Tensor, values: Tensor, wanted: Tensor) -> Tensor:
    """The values of a merged weighting at some positions, 0 where it has none.

    Args:
        positions: [batch, n], merged.
        values: [batch, n].
        wanted: [batch, ...].

    Returns:
        [batch, ...].
    """
    flat = wanted.reshape(len(wanted), -1)
    hits = (flat.unsqueeze(2) == positions.unsqueeze(1)).to(values.dtype)
    return torch.bmm(hits, values.unsqueeze(2)).view(wanted.shape)


def largest(positions: Tensor, values: Tensor, count: int, empty: int) -> tuple[Tensor, Tensor, Tensor]:
    """The largest entries of a merged weighting.

    Args:
        positions: [..., n].
        values: [..., n], 0 or more.
        count: how many to keep.
        empty: the position that stands for none.

    Returns:
        Positions and values, [..., count], `empty` and 0 where there are fewer; the value that was left out, [...].
    """
    missing = count - positions.shape[-1]
    if missing > 0:
        positions = torch.nn.functional.pad(positions, (0, missing), value=empty)
        values = torch.nn.functional.pad(values, (0, missing))
    order = torch.topk(values.detach(), count, dim=-1).indices
    kept = values.gather(-1, order)
    positions = torch.where(kept > 0, positions.gather(-1, order), empty)
    return positions, kept, (values.sum(dim=-1) - kept.sum(dim=-1)).detach().clamp_min(0)
