"""Temporal links between slots of a sparse memory: at most K_L to and K_L from each slot, walked both ways.

The law is that of a DNC (Graves et al. 2016, Methods, "Temporal memory linkage"),
L[i, j] <- (1 - w[i] - w[j]) L[i, j] + w[i] p[j] for i ≠ j, after which each row keeps its K_L largest entries, and then
each column (Rae et al. 2016, supplement D). A link lies once, in the table of the slot that it leads to; a second
table says for each slot where the links that lead away from it are. So the two directions never disagree, and a step
touches only the links of the slots written and last written before.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from memviz.demos.models.sparse_sets import largest, merge, value_at
from memviz.demos.models.sparse_store import Store
from memviz.demos.models.sparse_versions import Versions


class Precedence(NamedTuple):
    """p, which slots were written last: positions and values, [batch, link]; N stands for no slot."""

    positions: Tensor
    values: Tensor


class SparseLinks:
    """The link tables of a batch of memories.

    Args:
        batch: number of items.
        slots: N.
        width: K_L, links kept to and from each slot.
        like: a tensor with the dtype and device of the values.
        versions: where changes are logged.

    Attributes:
        source: [row, K_L], with N + 1 rows per item: from which slot each link into this slot comes, N for none.
        place: [row, K_L]: which links lead away from this slot, as slot_to · K_L + position; N · K_L for none.
        store: the values of `source`, [row · K_L, 1].
    """

    def __init__(self, batch: int, slots: int, width: int, like: Tensor, versions: Versions) -> None:
        rows = batch * (slots + 1)
        self.slots, self.width, self._versions = slots, width, versions
        self.source = torch.full((rows, width), slots, dtype=torch.int64, device=like.device)
        self.place = torch.full((rows, width), slots * width, dtype=torch.int64, device=like.device)
        self.store = Store(like.new_zeros(rows * width, 1), versions)
        self._first = torch.arange(batch, device=like.device) * (slots + 1)
        self._steps = torch.arange(width, device=like.device)

    def dense(self) -> Tensor:
        """A copy of all links, [batch, slot_to, slot_from]."""
        batch, n = len(self._first), self.slots
        matrix = self.store.values.new_zeros(batch, n + 1, n + 1)
        matrix.scatter_(2, self.source.view(batch, n + 1, -1), self.store.values.view(batch, n + 1, -1))
        return matrix[:, :n, :n]

    def update(
        self, token: Tensor, precedence: Precedence, positions: Tensor, weights: Tensor
    ) -> tuple[Tensor, Precedence, Tensor]:
        """Enter one write.

        Args:
            token: of the last change of links.
            precedence: of the time before.
            positions: [batch, n], slots written, each once, N for none.
            weights: [batch, n].

        Returns:
            The token; the precedence of this time; how much of it was left out, [batch].
        """
        token = self._decay(token, precedence, positions, weights)
        self._versions.commit()
        token = self._insert(token, precedence, positions, weights)
        self._versions.commit()

        # p <- (1 - Σ w) p + w
        kept = (1 - weights.sum(dim=1, keepdim=True)) * precedence.values
        joined = torch.cat((positions, precedence.positions), dim=1)
        last = merge(joined, torch.cat((weights, kept), dim=1), self.slots)
        where, values, left = largest(*last, self.width, self.slots)
        return token, Precedence(where, values), left

    def walk(self, token: Tensor, positions: Tensor, weights: Tensor) -> tuple[tuple[Tensor, Tensor, Tensor], ...]:
        """One step along the links from where each head read: f = L w and b = L^T w, their K_L largest entries.

        Args:
            token: of the last change of links.
            positions: [batch, read_head, n], slots read at the time before, each once per head, N for none.
            weights: [batch, read_head, n].

        Returns:
            Forward and backward, each as positions and values [batch, read_head, link] and what was left out
            [batch, read_head].
        """
        rows = self._rows(positions)
        away, into = self.place[rows], self._entries(positions)
        results = []
        for entries, slots in ((away, away // self.width), (into, self.source[rows])):
            strengths = self.store.gather(token, self._global(entries)).squeeze(-1)
            reached = (weights.unsqueeze(-1) * strengths).flatten(2)
            results.append(largest(*merge(slots.flatten(2), reached, self.slots), self.width, self.slots))
        return tuple(results)

    def _rows(self, slots: Tensor) -> Tensor:
        """Row numbers of slots [batch, ...]."""
        return slots + self._first.view(-1, *(1,) * (slots.dim() - 1))

    def _global(self, entries: Tensor) -> Tensor:
        """Row numbers in the store of links [batch, ...], which count from the start of their item."""
        return entries + self._first.view(-1, *(1,) * (entries.dim() - 1)) * self.width

    def _entries(self, slots: Tensor) -> Tensor:
        """The links into slots [batch, ...], as [batch, ..., K_L]."""
        return slots.unsqueeze(-1) * self.width + self._steps

    def _decay(self, token: Tensor, precedence: Precedence, positions: Tensor, weights: Tensor) -> Tensor:
        """(1 - w[i] - w[j]) L[i, j] + w[i] p[j] for the links that exist."""
        into, away = self._entries(positions), self.place[self._rows(positions)]
        sources, targets = self.source[self._rows(positions)], away // self.width
        # A link between two written slots is seen from both; the row of the one that it leads to has it.
        both = (targets.unsqueeze(-1) == positions[:, None, None, :]).any(dim=-1)
        away = torch.where(both, self.slots * self.width, away)

        here = weights.unsqueeze(2)
        lost = torch.cat((here + value_at(positions, weights, sources), here.expand(away.shape)), dim=2)
        gained = here * value_at(precedence.positions, precedence.values, sources)
        entries = torch.cat((into, away), dim=2)
        empty = torch.cat((sources == self.slots, away == self.slots * self.width), dim=2)
        keep = (1 - lost).masked_fill(empty, 1)
        add = torch.cat((gained.masked_fill(sources == self.slots, 0), torch.zeros_like(gained)), dim=2)
        return self.store.update(token, self._global(entries), keep.unsqueeze(-1), add.unsqueeze(-1))

    def _insert(self, token: Tensor, precedence: Precedence, positions: Tensor, weights: Tensor) -> Tensor:
        """Make the links w[i] p[j] that are not there yet; give up the smallest of rows, then of columns, too full."""
        none, width, n = self.slots * self.width, self.width, self.slots
        targets, origins = positions, precedence.positions
        rows = self._rows(targets)
        sources, into = self.source[rows], self._entries(targets)
        values = self.store.values[self._global(into)].squeeze(-1)

        fresh = weights.unsqueeze(2) * precedence.values.unsqueeze(1)
        known = (sources.unsqueeze(3) == origins[:, None, None, :]).any(dim=2)
        itself = targets.unsqueeze(2) == origins.unsqueeze(1)
        nobody = (targets == n).unsqueeze(2) | (origins == n).unsqueeze(1)
        worth = fresh.detach().masked_fill(known | itself | nobody, 0)

        # Rows: the K_L largest of what is there and what is new.
        both = torch.cat((values, worth), dim=2)
        chosen = torch.topk(both, width, dim=2).indices
        stays = torch.zeros_like(both, dtype=torch.bool).scatter_(2, chosen, True) & (both > 0)
        old_stays, new_stays = stays[..., :width], stays[..., width:]
        # The r-th new link of a row takes the r-th of its free places.
        pairs = min(width, new_stays.shape[2])
        free = torch.argsort(old_stays.to(torch.uint8), dim=2, stable=True)[..., :pairs]
        taken = torch.argsort((~new_stays).to(torch.uint8), dim=2, stable=True)[..., :pairs]
        makes = new_stays.gather(2, taken)
        made = torch.where(makes, into.gather(2, free), none)
        given_up = torch.where(old_stays | (sources == n), none, into)

        # Where links that are given up leave from, they are struck out.
        self._strike(given_up.flatten(1), sources.flatten(1))
        self._versions.put(self.source, rows.flatten(), self._filled(sources, old_stays, free, taken, makes, origins))

        # Columns: of each slot written before, the K_L largest of the links away from it.
        entry_of = torch.full(fresh.shape, none, device=fresh.device).scatter_(2, taken, made).transpose(1, 2)
        held = self.place[self._rows(origins)]
        held_values = self.store.values[self._global(held)].squeeze(-1).masked_fill(held == none, 0)
        arriving = torch.where(entry_of == none, 0.0, worth.transpose(1, 2))
        leaving, candidates = torch.cat((held_values, arriving), dim=2), torch.cat((held, entry_of), dim=2)
        best = torch.topk(leaving, width, dim=2)
        places = torch.where(best.values > 0, candidates.gather(2, best.indices), none)
        dropped = candidates.scatter(2, best.indices, none)
        self._versions.put(self.place, self._rows(origins).flatten(), places.flatten(0, 1))
        self._clear(dropped.flatten(1))

        # What was given up is zero, and what is new has its value, unless its column had no room.
        gone = (made.flatten(1).unsqueeze(2) == dropped.flatten(1).unsqueeze(1)).any(dim=2).view(made.shape)
        made = torch.where(gone, none, made)
        reused = (given_up.unsqueeze(3) == made.unsqueeze(2)).any(dim=3)
        zeroed = torch.cat((torch.where(reused, none, given_up).flatten(1), dropped.flatten(1)), dim=1)
        entries = torch.cat((made.flatten(1), zeroed), dim=1)
        value = fresh.gather(2, taken).masked_fill(made == none, 0).flatten(1)
        add = torch.cat((value, torch.zeros_like(zeroed, dtype=value.dtype)), dim=1).unsqueeze(-1)
        keep = torch.where(entries == none, 1.0, 0.0).to(add.dtype).unsqueeze(-1)
        return self.store.update(token, self._global(entries), keep, add)

    def _filled(
        self, sources: Tensor, stays: Tensor, free: Tensor, taken: Tensor, makes: Tensor, origins: Tensor
    ) -> Tensor:
        """The rows of `source` with what was given up taken out and what is new put in its place, [row, K_L]."""
        kept = torch.where(stays, sources, self.slots)
        new = origins.unsqueeze(1).expand(-1, sources.shape[1], -1).gather(2, taken)
        kept.scatter_(2, free, torch.where(makes, new, kept.gather(2, free)))
        return kept.flatten(0, 1)

    def _strike(self, entries: Tensor, sources: Tensor) -> None:
        """Take links [batch, n] out of the tables of the slots that they leave from."""
        none = self.slots * self.width
        slots = torch.where(entries == none, self.slots, sources)
        rows = self._rows(slots)
        # Several links may leave from one slot: each of its copies must show all of them struck out.
        matches = (self.place[rows].unsqueeze(3) == entries[:, None, None, :]).any(dim=3)
        self._versions.put(self.place, rows.flatten(), torch.where(matches, none, self.place[rows]).flatten(0, 1))

    def _clear(self, entries: Tensor) -> None:
        """Empty the places of links [batch, n] in `source`."""
        flat = self._global(entries)
        rows, at = (flat // self.width).flatten(), (flat % self.width).flatten()
        # By single cells, since one row may lose several.
        cells = self.source.view(-1, 1)
        self._versions.put(cells, rows * self.width + at, torch.full_like(rows, self.slots).unsqueeze(1))
