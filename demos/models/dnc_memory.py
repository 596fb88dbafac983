"""The memory of a differentiable neural computer (Graves et al. 2016), with every internal tapped.

One call is one time: the interface vector of the controller goes in, what the read heads read comes out. All fields of
a DNC in memviz's catalogue pass through `memviz.tap`, which costs nothing while no recorder is active.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

import memviz
from memviz.demos.models import addressing, lookup
from memviz.demos.models.links import follow_links
from memviz.demos.models.lookup import content_weights
from memviz.recorders.controls import BEFORE, Access, ControlPoint


class MemoryState(NamedTuple):
    """What a DNC's memory carries from one time to the next.

    Axes: memory [batch, slot, word], usage [batch, slot], link_matrix [batch, write_head, slot_to, slot_from],
    precedence_weights and write_weights [batch, write_head, slot], read_weights [batch, read_head, slot].
    """

    memory: Tensor
    usage: Tensor
    link_matrix: Tensor
    precedence_weights: Tensor
    read_weights: Tensor
    write_weights: Tensor


class Interface(NamedTuple):
    """The interface vector ξ_t, parsed and bounded; `mode` runs over one backward and one forward mode per write head.

    Axes: keys and vectors [batch, head, word], strengths and gates [batch, head], read_modes [batch, read_head, mode]
    in the order backward per write head, content, forward per write head.
    """

    read_keys: Tensor
    write_keys: Tensor
    write_vectors: Tensor
    read_strengths: Tensor
    write_strengths: Tensor
    erase_vectors: Tensor
    free_gates: Tensor
    allocation_gate: Tensor
    write_gate: Tensor
    read_modes: Tensor


def _control_points(write_heads: int) -> tuple[ControlPoint, ...]:
    """Where `memviz.ablate` can change a run: what a time begins with, and the walks along the links."""
    # With several write heads there are more modes than the three of the catalogue.
    interface = [name for name in Interface._fields if name != "read_modes" or write_heads == 1]
    state = ("memory", "usage", "link_matrix", "precedence_weights", "read_weights", "write_weights")
    step = {name: Access(("x", name)) for name in interface}
    step |= {f"{BEFORE}{name}": Access(("state", name)) for name in state}
    walks = {"forward_weights": Access((1,)), "backward_weights": Access((2,))}
    return ControlPoint("step", step), ControlPoint("follow", walks, result=True)


class DNCMemory(nn.Module):
    """N slots of W words, written by content or to free slots, read by content or along the order of writing.

    Args:
        input_size: width of the controller's output, from which the interface vector is computed.
        nr_cells: N, number of slots.
        cell_size: W, width of a slot.
        read_heads: R.
        write_heads: H; each keeps its own links, and allocates after the heads before it (deepmind/dnc).
        initial_value: what every word holds before the first time. A small constant learns copying faster than
            learned or random values (Collier & Beel 2018).
    """

    memviz_law = "dnc"

    def __init__(
        self,
        input_size: int,
        nr_cells: int = 16,
        cell_size: int = 16,
        read_heads: int = 1,
        write_heads: int = 1,
        initial_value: float = 1e-6,
    ) -> None:
        super().__init__()
        self.nr_cells = nr_cells
        self.cell_size = cell_size
        self.read_heads = read_heads
        self.write_heads = write_heads
        self.initial_value = initial_value
        self.memviz_attributes = {
            "allocation_delta": addressing.DELTA,
            "cosine_delta": lookup.DELTA,
            "write_heads": write_heads,
            # Slots that were never written to are in equal use but for the last bit, which no replay can repeat.
            "allocation_ties": "arbitrary",
        }
        self.memviz_controls = _control_points(write_heads)
        # Grouped by the function that bounds them, so that each function runs once.
        self._unbounded = [read_heads * cell_size, write_heads * cell_size, write_heads * cell_size]
        self._strengths = [read_heads, write_heads]
        self._gates = [write_heads * cell_size, read_heads, write_heads, write_heads]
        self._modes = read_heads * (1 + 2 * write_heads)
        self.interface = nn.Linear(input_size, self.interface_size)

    @property
    def interface_size(self) -> int:
        """Width of the interface vector: RW + 3HW + 3H + 2R + R(1 + 2H), the paper's WR + 3W + 5R + 3 for H = 1."""
        return sum(self._unbounded) + sum(self._strengths) + sum(self._gates) + self._modes

    def initial_state(self, batch: int) -> MemoryState:
        """Memory at its initial value and all else zero, on the device and in the dtype of the parameters."""
        new = self.interface.weight.new_zeros
        n, heads = self.nr_cells, self.write_heads
        memory = self.interface.weight.new_full((batch, n, self.cell_size), self.initial_value)
        # Words that are all equal are said once, and what is zero need not be said.
        memviz.tap("initial/memory", memory[:, :1, :1])
        return MemoryState(
            memory=memory,
            usage=new(batch, n),
            link_matrix=new(batch, heads, n, n),
            precedence_weights=new(batch, heads, n),
            read_weights=new(batch, self.read_heads, n),
            write_weights=new(batch, heads, n),
        )

    def resume(self, state: MemoryState) -> MemoryState:
        """Go on from a state of an earlier sequence: memviz is shown what later state follows from; returns `state`."""
        for name, value in zip(MemoryState._fields, state, strict=True):
            memviz.tap(f"initial/{name}", value)
        return state

    def parse(self, controller_output: Tensor) -> Interface:
        """Split the interface vector and bound its parts: strengths >= 1, gates in [0, 1], modes a distribution.

        Args:
            controller_output: [batch, input_size].
        """
        batch, width = len(controller_output), self.cell_size
        sizes = [sum(self._unbounded), sum(self._strengths), sum(self._gates), self._modes]
        unbounded, strengths, gates, modes = torch.split(self.interface(controller_output), sizes, dim=1)
        read_keys, write_keys, write_vectors = torch.split(unbounded, self._unbounded, dim=1)
        read_strengths, write_strengths = torch.split(addressing.oneplus(strengths), self._strengths, dim=1)
        erase, free, allocation, write = torch.split(torch.sigmoid(gates), self._gates, dim=1)
        return Interface(
            read_keys=read_keys.view(batch, self.read_heads, width),
            write_keys=write_keys.view(batch, self.write_heads, width),
            write_vectors=write_vectors.view(batch, self.write_heads, width),
            read_strengths=read_strengths,
            write_strengths=write_strengths,
            erase_vectors=erase.view(batch, self.write_heads, width),
            free_gates=free,
            allocation_gate=allocation,
            write_gate=write,
            read_modes=torch.softmax(modes.view(batch, self.read_heads, -1), dim=-1),
        )

    def forward(self, controller_output: Tensor, state: MemoryState) -> tuple[Tensor, MemoryState]:
        """One time: free, allocate, write, link, read.

        Args:
            controller_output: [batch, input_size].
            state: the state after the time before.

        Returns:
            The read vectors [batch, read_head, word] and the state after this time.
        """
        return self.step(self.parse(controller_output), state)

    def step(self, x: Interface, state: MemoryState) -> tuple[Tensor, MemoryState]:
        """One time, from the parsed interface vector; arguments and result as in `forward`."""
        usage = addressing.update_usage(state.usage, state.write_weights, state.read_weights, x.free_gates)
        allocation = addressing.allocate_per_head(usage, x.write_gate * x.allocation_gate)
        written_content = content_weights(state.memory, x.write_keys, x.write_strengths)
        # w^w = g^w (g^a a + (1 - g^a) c^w)
        address = torch.lerp(written_content, allocation, x.allocation_gate.unsqueeze(2))
        write_weights = x.write_gate.unsqueeze(2) * address
        memory = addressing.write(state.memory, write_weights, x.erase_vectors, x.write_vectors)

        link, forward, backward = self.follow(state, write_weights)
        precedence = addressing.update_precedence(state.precedence_weights, write_weights)

        read_content = content_weights(memory, x.read_keys, x.read_strengths)
        # w^r = π_1 b + π_2 c^r + π_3 f
        ways = torch.cat((backward, read_content.unsqueeze(2), forward), dim=2)
        read_weights = torch.matmul(x.read_modes.unsqueeze(2), ways).squeeze(2)
        read_vectors = torch.bmm(read_weights, memory)

        after = MemoryState(memory, usage, link, precedence, read_weights, write_weights)
        self._tap(x, after, allocation, written_content, read_content, forward, backward, read_vectors)
        return read_vectors, after

    def follow(self, state: MemoryState, write_weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The links after a write, and one step forward and backward along them from where each head read before.

        Args:
            state: the state after the time before.
            write_weights: [batch, write_head, slot], at this time.

        Returns:
            Link matrix [batch, write_head, slot_to, slot_from]; forward and backward weights
            [batch, read_head, write_head, slot].
        """
        return follow_links(state.link_matrix, state.precedence_weights, write_weights, state.read_weights)

    def _tap(
        self,
        x: Interface,
        after: MemoryState,
        allocation: Tensor,
        write_content: Tensor,
        read_content: Tensor,
        forward: Tensor,
        backward: Tensor,
        read_vectors: Tensor,
    ) -> None:
        """Show memviz every internal of this time under its name in the catalogue."""
        for name, value in zip(Interface._fields[:-1], x[:-1], strict=True):
            memviz.tap(name, value)
        for name, value in zip(MemoryState._fields, after, strict=True):
            memviz.tap(name, value)
        # Lets a reader check that the state it derives is the state the model had.
        memviz.tap("final/memory", after.memory)
        memviz.tap("read_modes", self._three_modes(x.read_modes))
        memviz.tap("allocation_weights", allocation)
        memviz.tap("write_content_weights", write_content)
        memviz.tap("read_content_weights", read_content)
        memviz.tap("forward_weights", forward)
        memviz.tap("backward_weights", backward)
        memviz.tap("read_vectors", read_vectors)

    def _three_modes(self, modes: Tensor) -> Tensor:
        """[batch, read_head, mode] with the shares of all write heads' links added up: backward, content, forward."""
        heads = self.write_heads
        if heads == 1:
            return modes
        backward, content, forward = torch.split(modes, [heads, 1, heads], dim=-1)
        return torch.cat((backward.sum(-1, keepdim=True), content, forward.sum(-1, keepdim=True)), dim=-1)
