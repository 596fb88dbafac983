"""Which slot was not touched for longest, in a few operations however many slots there are.

Each slot has the key (time of its last access) · N + slot. A tree of minima over blocks of 64 keys finds the least key,
and with it the slot, without a look at the others; equal times are taken in the order of slots.
"""

from __future__ import annotations

import torch
from torch import Tensor

FAN = 64
"""Keys under one node of the tree."""


class LeastRecentlyUsed:
    """The order in which slots were last accessed, for each item of a batch.

    Args:
        batch: number of items.
        slots: N; one row more per item stands for no slot, and is never the least recently used.
        device: where the keys lie.

    Attributes:
        keys: [row], with N + 1 rows per item; change them through `Versions.put` and call `repair`.
    """

    def __init__(self, batch: int, slots: int, device: torch.device) -> None:
        self.batch, self.slots = batch, slots
        self._never = torch.iinfo(torch.int64).max
        index = torch.arange(slots + 1, device=device)
        index[slots] = self._never
        self.keys = index.repeat(batch)
        self._levels: list[Tensor] = []
        width = slots + 1
        while width > FAN:
            width = -(-width // FAN)
            self._levels.append(torch.empty(batch * width, dtype=torch.int64, device=device))
        self._fill()

    def key(self, slots: Tensor, time: int) -> Tensor:
        """Keys of slots accessed at a time, 1 or later; `slots` may hold N for none."""
        return torch.where(slots == self.slots, self._never, time * self.slots + slots)

    def least(self) -> Tensor:
        """The slot of each item that was not accessed for longest, [batch]."""
        top = self._levels[-1] if self._levels else self.keys
        return top.view(self.batch, -1).amin(dim=1) % self.slots

    def repair(self, rows: Tensor) -> None:
        """Bring the tree up to date after `keys` changed at `rows`, [n]."""
        below, width = self.keys, self.slots + 1
        item, place = rows // width, rows % width
        steps = torch.arange(FAN, device=rows.device)
        for level in self._levels:
            place = place // FAN
            inside = place.unsqueeze(1) * FAN + steps
            found = below[(item * width).unsqueeze(1) + inside.clamp_max(width - 1)]
            width = -(-width // FAN)
            level[item * width + place] = found.amin(dim=1)
            below = level

    def _fill(self) -> None:
        below = self.keys
        for level in self._levels:
            rows, width = below.view(self.batch, -1), level.numel() // self.batch
            padding = rows.new_full((self.batch, width * FAN - rows.shape[1]), self._never)
            level.copy_(torch.cat((rows, padding), dim=1).view(self.batch * width, FAN).amin(dim=1))
            below = level
