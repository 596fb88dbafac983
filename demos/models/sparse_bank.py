"""What a sparse memory holds, for a batch of sequences, and the handle by which a caller keeps one state of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from memviz.demos.models.sparse_links import Precedence, SparseLinks
from memviz.demos.models.sparse_lru import LeastRecentlyUsed
from memviz.demos.models.sparse_search import Finder
from memviz.demos.models.sparse_store import Store
from memviz.demos.models.sparse_versions import Version, Versions


class Bank:
    """The large arrays of a batch of memories: rows, order of access, links. All of them change in place.

    Row N of each item stands for no slot and holds zeros.

    Args:
        batch: number of items.
        slots: N.
        words: W.
        value: what every word holds in the beginning.
        links: K_L, or 0 for a memory without links.
        like: a tensor with the dtype and device of the rows.
        search: arguments of `Finder` besides the rows and the batch.
    """

    def __init__(
        self, batch: int, slots: int, words: int, value: float, links: int, like: Tensor, search: Mapping[str, Any]
    ) -> None:
        self.batch, self.slots, self.words = batch, slots, words
        self.versions = Versions(self._changed)
        rows = like.new_full((batch, slots + 1, words), value)
        rows[:, slots] = 0
        self.rows = Store(rows.view(-1, words), self.versions)
        self.order = LeastRecentlyUsed(batch, slots, like.device)
        self.finder = Finder(self.rows.values, batch, **search)
        self.links = SparseLinks(batch, slots, links, like, self.versions) if links else None
        self.first = torch.arange(batch, device=like.device) * (slots + 1)
        self.fresh = self.versions.current

    def global_rows(self, slots: Tensor) -> Tensor:
        """Row numbers of slots [batch, ...]."""
        return slots + self.first.view(-1, *(1,) * (slots.dim() - 1))

    def dense(self) -> Tensor:
        """A copy of the rows, [batch, slot, word]."""
        return self.rows.values.view(self.batch, self.slots + 1, -1)[:, : self.slots].clone()

    def fill(self, memory: Tensor) -> None:
        """Begin with these rows, [batch, slot, word]; only before the first time."""
        self.rows.values.view(self.batch, self.slots + 1, -1)[:, : self.slots] = memory
        self.fresh.reached = self.slots

    def _changed(self, array: Tensor, rows: Tensor) -> None:
        if array is self.rows.values:
            self.finder.changed(rows)
        elif array is self.order.keys:
            self.order.repair(rows)


@dataclass(frozen=True, slots=True, eq=False)
class SparseState:
    """What a sparse memory carries from one time to the next.

    The large arrays are not in here: the state names a version of a `Bank`, which goes back to it when it is needed.
    So nothing that the model does later changes a state, and keeping one costs only what was changed since.

    Attributes:
        bank: where the arrays are.
        version: which version of them this is.
        time: times since the beginning of the memory.
        read_indices: [batch, read_head, read_position], slots read at this time; N stands for none.
        read_values: [batch, read_head, read_position], with which weights.
        token: orders the gradient of the rows; see `sparse_store`.
        link_token: the same of the links; None without links.
        precedence: which slots were written last; None without links.
    """

    bank: Bank
    version: Version
    time: int
    read_indices: Tensor
    read_values: Tensor
    token: Tensor
    link_token: Tensor | None = None
    precedence: Precedence | None = None

    @property
    def memory(self) -> Tensor:
        """A copy of the memory, [batch, slot, word], without a gradient."""
        self.bank.versions.checkout(self.version)
        return self.bank.dense()

    @property
    def link_matrix(self) -> Tensor:
        """A copy of the links, [batch, slot_to, slot_from], without a gradient; for small memories.

        Raises:
            ValueError: the memory has no links.
        """
        if self.bank.links is None:
            raise ValueError("a SAM has no links; an SDNC has")
        self.bank.versions.checkout(self.version)
        return self.bank.links.dense()

    @property
    def last_access(self) -> Tensor:
        """At which time each slot was last accessed, [batch, slot]; 0 for never."""
        self.bank.versions.checkout(self.version)
        keys = self.bank.order.keys.view(self.bank.batch, -1)[:, : self.bank.slots]
        return torch.div(keys, self.bank.slots, rounding_mode="floor")

    @property
    def precedence_weights(self) -> Tensor:
        """Which slots were written last, [batch, slot].

        Raises:
            ValueError: the memory has no links.
        """
        if self.precedence is None:
            raise ValueError("a SAM has no precedence; an SDNC has")
        return dense(*self.precedence, self.bank.slots)

    @property
    def read_weights(self) -> Tensor:
        """Where each head read, [batch, read_head, slot]."""
        return dense(self.read_indices, self.read_values, self.bank.slots)

    def detach(self) -> SparseState:
        """The same state, through which no gradient flows: where truncated backpropagation begins."""
        last = self.precedence
        return replace(
            self,
            read_values=self.read_values.detach(),
            token=self.token.detach(),
            link_token=None if self.link_token is None else self.link_token.detach(),
            precedence=None if last is None else Precedence(last.positions, last.values.detach()),
        )


def dense(positions: Tensor, values: Tensor, slots: int) -> Tensor:
    """A sparse weighting [..., n] with each slot once, N for none, as a dense one, [..., slot]."""
    spread = values.new_zeros(*values.shape[:-1], slots + 1)
    return spread.scatter(-1, positions, values)[..., :slots]
