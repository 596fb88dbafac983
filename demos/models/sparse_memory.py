"""The memory of a SAM, and with temporal links that of an SDNC, with every internal tapped in its sparse form.

Rae et al. 2016, "Scaling Memory-Augmented Neural Networks with Sparse Reads and Writes". A time costs O(K) whatever
the number of slots: it reads the K slots most like each key, writes to those read at the time before and to the one
that was not accessed for longest, and keeps of the memory only what it overwrites.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

import memviz
from memviz.demos.models import addressing
from memviz.demos.models.influence import ShowsInfluence
from memviz.demos.models.sparse_bank import Bank, SparseState
from memviz.demos.models.sparse_links import Precedence
from memviz.demos.models.sparse_search import Search, similarity
from memviz.demos.models.sparse_sets import merge
from memviz.demos.models.sparse_versions import Version

ACCESSED = 0.005
"""A slot counts as accessed when it is read or written with more than this (Rae et al. 2016, section 3.2)."""

COSINE_DELTA = 1e-6
"""Added to the product of norms, so that an empty row has a cosine."""

DENSE_SLOTS = 4096
"""Slots up to which a recorder is shown the whole memory, before the first and after the last time."""


class SparseInterface(NamedTuple):
    """The interface vector, parsed and bounded.

    Axes: read_keys [batch, read_head, word], write_vectors [batch, write_head, word], read_strengths [batch,
    read_head], gates [batch, write_head], read_modes [batch, read_head, mode] or None; there is one write head.
    """

    read_keys: Tensor
    write_vectors: Tensor
    read_strengths: Tensor
    allocation_gate: Tensor
    write_gate: Tensor
    read_modes: Tensor | None


class SparseMemory(ShowsInfluence):
    """N slots of W words, of which a time reads and writes a few.

    Args:
        input_size: width of the controller's output, from which the interface vector is computed.
        nr_cells: N, number of slots.
        cell_size: W, width of a slot.
        sparse_reads: K, slots that each head reads by content; all of them where there are fewer.
        read_heads: R.
        temporal_reads: K_L, slots that each head reads along the links in each direction, and links kept to and from
            each slot; 0 for a SAM, which has none.
        search: how the K slots are found; see `memviz.demos.models.sparse_search`.
        num_lists: cells of faiss's inverted file; about 4 √N by default.
        index_checks: cells that are looked into.
        initial_value: what every word holds before the first time.
    """

    def __init__(
        self,
        input_size: int,
        nr_cells: int = 5000,
        cell_size: int = 10,
        sparse_reads: int = 4,
        read_heads: int = 4,
        temporal_reads: int = 0,
        search: Search = "auto",
        num_lists: int | None = None,
        index_checks: int = 32,
        initial_value: float = 1e-6,
    ) -> None:
        super().__init__()
        self.nr_cells, self.cell_size, self.read_heads = nr_cells, cell_size, read_heads
        self.sparse_reads, self.temporal_reads = min(sparse_reads, nr_cells), min(temporal_reads, nr_cells)
        self.initial_value = initial_value
        self._search = {
            "count": self.sparse_reads,
            "search": search,
            "index_checks": index_checks,
            "index_lists": num_lists,
            "delta": COSINE_DELTA,
        }
        self._banks: dict[tuple[object, ...], Bank] = {}
        self.memviz_law = "sdnc" if self.temporal_reads else "sam"
        self.memviz_attributes = {
            "slots": nr_cells,
            "temporal_reads": self.temporal_reads,
            "cosine_delta": COSINE_DELTA,
            "accessed": ACCESSED,
        }
        modes = 3 if self.temporal_reads else 0
        self._parts = [read_heads * cell_size, cell_size, read_heads, 1, 1, read_heads * modes]
        self.interface = nn.Linear(input_size, sum(self._parts))

    def __getstate__(self) -> dict[str, object]:
        """A copy of the module begins without memories of its own."""
        return {**self.__dict__, "_banks": {}}

    @property
    def positions(self) -> int:
        """Slots that a head reads at most: K + 2 K_L."""
        return self.sparse_reads + 2 * self.temporal_reads

    @property
    def recall(self) -> Tensor | None:
        """[batch, read_head] of the last used memory: see `Finder.recall`."""
        banks = list(self._banks.values())
        return banks[-1].finder.recall if banks else None

    def initial_state(self, batch: int, memory: Tensor | None = None) -> SparseState:
        """The state before the first time, on the device and in the dtype of the parameters.

        Args:
            batch: number of items.
            memory: what the slots hold, [batch, slot, word]; `initial_value` everywhere by default.
        """
        if memory is None:
            bank = self._fresh_bank(batch)
            bank.versions.checkout(bank.fresh)
            # Words that are all equal are said once.
            memviz.tap("initial/memory", bank.rows.values[:1].view(1, 1, -1)[..., :1].clone())
        else:
            bank = self._bank(batch)
            bank.fill(memory)
            self._tap_initial(memory)
        new = self.interface.weight.new_zeros
        nobody = torch.full((batch, self.read_heads, self.positions), self.nr_cells, device=new(0).device)
        linked = self.temporal_reads > 0
        return SparseState(
            bank,
            bank.fresh,
            time=0,
            read_indices=nobody,
            read_values=new(nobody.shape),
            token=new(0),
            link_token=new(0) if linked else None,
            precedence=Precedence(nobody[:, 0, : self.temporal_reads], new(batch, self.temporal_reads))
            if linked
            else None,
        )

    def resume(self, state: SparseState) -> SparseState:
        """Go on from a state of an earlier sequence: memviz is shown what later state follows from; returns `state`."""
        self._tap_initial(state.memory if self.nr_cells <= DENSE_SLOTS else None)
        if self.nr_cells <= DENSE_SLOTS:
            memviz.tap("initial/read_weights", state.read_weights)
            if state.precedence is not None:
                memviz.tap("initial/precedence_weights", state.precedence_weights.unsqueeze(1))
                memviz.tap("initial/link_matrix", state.link_matrix.unsqueeze(1))
        return state

    def close(self, state: SparseState) -> None:
        """Show memviz the memory after the last time, by which it checks what it derives."""
        if self.nr_cells <= DENSE_SLOTS:
            memviz.tap("final/memory", state.memory)

    def parse(self, controller_output: Tensor) -> SparseInterface:
        """Split the interface vector and bound its parts: strengths >= 1, gates in [0, 1], modes a distribution.

        Args:
            controller_output: [batch, input_size].
        """
        batch, width = len(controller_output), self.cell_size
        keys, vector, strengths, allocation, write, modes = self.interface(controller_output).split(self._parts, dim=1)
        return SparseInterface(
            read_keys=keys.view(batch, self.read_heads, width),
            write_vectors=vector.view(batch, 1, width),
            read_strengths=addressing.oneplus(strengths),
            allocation_gate=torch.sigmoid(allocation),
            write_gate=torch.sigmoid(write),
            read_modes=torch.softmax(modes.view(batch, self.read_heads, 3), dim=-1) if self.temporal_reads else None,
        )

    def forward(self, controller_output: Tensor, state: SparseState) -> tuple[Tensor, SparseState]:
        """One time: allocate, write, link, read.

        Args:
            controller_output: [batch, input_size].
            state: the state after the time before. It stays as it is.

        Returns:
            The read vectors [batch, read_head, word] and the state after this time.
        """
        x, bank = self.parse(controller_output), state.bank
        bank.versions.checkout(state.version)
        time = state.time + 1

        least_used, written, weights, token = self._write(x, state)
        link_token, precedence, left_out = state.link_token, state.precedence, None
        walks: tuple[tuple[Tensor, Tensor, Tensor], ...] = ()
        if bank.links is not None:
            assert link_token is not None
            assert precedence is not None
            link_token, precedence, left_out = bank.links.update(link_token, precedence, written, weights)
            walks = bank.links.walk(link_token, state.read_indices, state.read_values)

        content, content_left = bank.finder.nearest(x.read_keys, x.read_strengths, bank.versions.current.reached)
        indices = torch.cat((content, *(positions for positions, _, _ in walks)), dim=2)
        rows = bank.rows.gather(token, bank.global_rows(indices))
        scores = similarity(rows[:, :, : self.sparse_reads], x.read_keys, COSINE_DELTA)
        content_values = torch.softmax(x.read_strengths.unsqueeze(2) * scores, dim=2)
        values = content_values
        if x.read_modes is not None:
            (_, forward, _), (_, backward, _) = walks
            back, by_content, on = torch.split(x.read_modes, 1, dim=2)
            values = torch.cat((by_content * content_values, on * forward, back * backward), dim=2)
            # A slot that is reached in several ways is read once, in the place of the first.
            indices, values = merge(indices, values, self.nr_cells)
        read_vectors = torch.matmul(values.unsqueeze(2), rows).squeeze(2)

        version = self._access(bank, time, (indices, values), (written, weights))
        after = SparseState(bank, version, time, indices, values, token, link_token, precedence)
        self._tap(x, after, read_vectors, least_used, (written, weights), (content, content_values, content_left))
        if walks:
            assert left_out is not None
            self._tap_links(after, walks, left_out)
        return read_vectors, after

    def _write(self, x: SparseInterface, state: SparseState) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Clear the least recently used slot, then write w = g^w (g^a I + (1 - g^a) w^r), w^r the mean of the heads.

        Returns:
            The slot cleared [batch]; slots written and their weights [batch, write_position]; the token.
        """
        bank = state.bank
        least_used = bank.order.least()
        read = state.read_values.flatten(1) / self.read_heads
        slots = torch.cat((least_used.unsqueeze(1), state.read_indices.flatten(1)), dim=1)
        shares = torch.cat((x.allocation_gate, (1 - x.allocation_gate) * read), dim=1)
        slots, weights = merge(slots, x.write_gate * shares, self.nr_cells)
        keep = torch.ones_like(weights)
        keep[:, 0] = 0  # the least recently used slot comes first
        token = bank.rows.update(
            state.token, bank.global_rows(slots), keep.unsqueeze(2), weights.unsqueeze(2) * x.write_vectors
        )
        named = torch.where(slots == self.nr_cells, -1, slots)
        bank.versions.commit(reached=int(named.max()) + 1)
        return least_used, slots, weights, token

    def _access(self, bank: Bank, time: int, *weightings: tuple[Tensor, Tensor]) -> Version:
        """Note which slots were read or written, by how much they count, and close the time."""
        slots = torch.cat(
            [torch.where(values > ACCESSED, where, self.nr_cells).flatten(1) for where, values in weightings], dim=1
        )
        rows, keys = bank.global_rows(slots).flatten(), bank.order.key(slots, time).flatten()
        bank.versions.put(bank.order.keys, rows, keys)
        return bank.versions.commit()

    def _tap(
        self,
        x: SparseInterface,
        after: SparseState,
        read_vectors: Tensor,
        least_used: Tensor,
        written: tuple[Tensor, Tensor],
        content: tuple[Tensor, Tensor, Tensor],
    ) -> None:
        """Show memviz every internal of this time under its name in the catalogue."""
        recall = after.bank.finder.recall
        memviz.tap(
            {
                **{name: value for name, value in x._asdict().items() if value is not None},
                "least_used": least_used.unsqueeze(1),
                "write_indices": self._named(written[0]).unsqueeze(1),
                "write_values": written[1].unsqueeze(1),
                "read_content_indices": content[0],
                "read_content_values": content[1],
                "read_content_left_out": content[2],
                "read_indices": self._named(after.read_indices),
                "read_values": after.read_values,
                "read_vectors": read_vectors,
                "neighbour_recall": torch.ones_like(content[2]) if recall is None else recall,
            }
        )

    def _tap_links(
        self, after: SparseState, walks: tuple[tuple[Tensor, Tensor, Tensor], ...], precedence_left: Tensor
    ) -> None:
        """The same for what an SDNC has besides."""
        for side, (positions, values, left_out) in zip(("forward", "backward"), walks, strict=True):
            memviz.tap(
                {f"{side}_indices": self._named(positions), f"{side}_values": values, f"{side}_left_out": left_out}
            )
        assert after.precedence is not None
        memviz.tap(
            {
                "precedence_indices": self._named(after.precedence.positions).unsqueeze(1),
                "precedence_values": after.precedence.values.unsqueeze(1),
                "precedence_left_out": precedence_left.unsqueeze(1),
            }
        )

    def _tap_initial(self, memory: Tensor | None) -> None:
        if memory is not None and self.nr_cells <= DENSE_SLOTS:
            memviz.tap("initial/memory", memory)

    def _named(self, positions: Tensor) -> Tensor:
        """Positions as they are recorded, -1 for none."""
        return torch.where(positions == self.nr_cells, -1, positions)

    def _bank(self, batch: int) -> Bank:
        return Bank(
            batch,
            self.nr_cells,
            self.cell_size,
            self.initial_value,
            self.temporal_reads,
            self.interface.weight.detach(),
            self._search,
        )

    def _fresh_bank(self, batch: int) -> Bank:
        """The memory that sequences of this batch size begin with. It is rolled back for each, not made anew."""
        weight = self.interface.weight
        key = (batch, weight.device, weight.dtype, self.initial_value)
        bank = self._banks.pop(key, None) or self._bank(batch)
        # The newest two are kept: training and evaluation may differ in their batch size.
        self._banks = dict([*self._banks.items(), (key, bank)][-2:])
        return bank
