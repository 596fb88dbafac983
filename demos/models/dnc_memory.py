"""The memory of a differentiable neural computer (Graves et al. 2016), with every internal tapped.

One call is one time: the interface vector of the controller goes in, what the read heads read comes out. All fields of
a DNC in memviz's catalogue pass through `memviz.tap`, which costs nothing while no recorder is active.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

import memviz
from memviz.demos.models import addressing, links, lookup, options
from memviz.demos.models.dnc_interface import Bounds, IndependentLinears, Interface, Layout
from memviz.demos.models.dnc_state import MemoryState, check_parts
from memviz.demos.models.influence import ShowsInfluence
from memviz.recorders.controls import BEFORE, Access, ControlPoint


def _control_points(layout: Layout) -> tuple[ControlPoint, ...]:
    """Where `memviz.ablate` can change a run: what a time begins with, and the walks along the links."""
    # With several write heads there are more modes than the three of the catalogue.
    interface = [name for name in layout.shapes if name != "read_modes" or layout.shapes[name][1] == 3]
    step = {name: Access(("x", name)) for name in interface}
    step |= {f"{BEFORE}{name}": Access(("state", name)) for name in MemoryState._fields}
    walks = {"forward_weights": Access((1,)), "backward_weights": Access((2,))}
    return ControlPoint("step", step), ControlPoint("follow", walks, result=True)


class DNCMemory(ShowsInfluence):
    """N slots of W words, written by content or to free slots, read by content or along the order of writing.

    Args:
        input_size: width of the controller's output, from which the interface vector is computed.
        nr_cells: N, number of slots.
        cell_size: W, width of a slot.
        read_heads: R.
        write_heads: H; each keeps its own links, and allocates after the heads before it (deepmind/dnc).
        initial_value: what every word holds before the first time. A small constant learns copying faster than
            learned or random values (Collier & Beel 2018).
        independent_linears: a linear layer per part of the interface vector, not one for all.
        masking: lookups compare only the words that a mask lets through (Csordas and Schmidhuber 2019).
        deallocation: what is freed is also cleared from the memory, before the write (same source).
        link_sharpening: the walks along the links are sharpened by emitted powers (same source).
        bounds: how keys, write vectors and strengths are bounded; see `dnc_interface.Bounds`.

    Raises:
        OptionError: an option has no such value.
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
        independent_linears: bool = False,
        masking: bool = False,
        deallocation: bool = False,
        link_sharpening: bool = False,
        bounds: Bounds = "paper",
    ) -> None:
        super().__init__()
        options.at_least_one(
            input_size=input_size,
            nr_cells=nr_cells,
            cell_size=cell_size,
            read_heads=read_heads,
            write_heads=write_heads,
        )
        options.number(initial_value=initial_value)
        options.flag(
            independent_linears=independent_linears,
            masking=masking,
            deallocation=deallocation,
            link_sharpening=link_sharpening,
        )
        options.one_of("bounds", bounds, ("paper", "package"))
        self.nr_cells = nr_cells
        self.cell_size = cell_size
        self.read_heads = read_heads
        self.write_heads = write_heads
        self.initial_value = initial_value
        self.masking = masking
        self.deallocation = deallocation
        self.link_sharpening = link_sharpening
        self.bounds = bounds
        self.layout = Layout(cell_size, read_heads, write_heads, masking, link_sharpening, bounds)
        self.memviz_attributes = self._attributes()
        self.memviz_controls = _control_points(self.layout)
        self.interface: nn.Module
        if independent_linears:
            self.interface = IndependentLinears(input_size, self.layout)
        else:
            self.interface = nn.Linear(input_size, self.layout.size)

    @property
    def interface_size(self) -> int:
        """Width of the interface vector; see `dnc_interface.Layout`."""
        return self.layout.size

    def _attributes(self) -> dict[str, Any]:
        """What memviz must know of this memory to hold it against its laws; see memviz.analysis.rules."""
        attributes: dict[str, Any] = {
            "allocation_delta": addressing.DELTA,
            "cosine_delta": lookup.DELTA,
            "write_heads": self.write_heads,
            # Slots that were never written to are in equal use but for the last bit, which no replay can repeat.
            "allocation_ties": "arbitrary",
        }
        attributes |= {name: True for name in ("masking", "deallocation", "link_sharpening") if getattr(self, name)}
        if self.link_sharpening:
            attributes["sharpening_delta"] = links.SHARPENING_DELTA
        if self.bounds == "package":
            attributes["strengths"] = "softplus"
            attributes["bounded_by_tanh"] = ["read_keys", "write_keys", "write_vectors"]
        return attributes

    def shapes(self, batch: int) -> dict[str, tuple[int, ...]]:
        """Shape of each part of the state, by name."""
        slots, heads = self.nr_cells, self.write_heads
        return {
            "memory": (batch, slots, self.cell_size),
            "usage": (batch, slots),
            "link_matrix": (batch, heads, slots, slots),
            "precedence_weights": (batch, heads, slots),
            "read_weights": (batch, self.read_heads, slots),
            "write_weights": (batch, heads, slots),
        }

    def initial_state(self, batch: int) -> MemoryState:
        """Memory at its initial value and all else zero, on the device and in the dtype of the parameters."""
        like, shapes = next(self.interface.parameters()), self.shapes(batch)
        memory = like.new_full(shapes.pop("memory"), self.initial_value)
        # Words that are all equal are said once, and what is zero need not be said.
        memviz.tap("initial/memory", memory[:, :1, :1])
        return MemoryState(memory, **{name: like.new_zeros(shape) for name, shape in shapes.items()})

    def resume(self, state: Sequence[Tensor], batch: int) -> MemoryState:
        """Go on from a state of an earlier sequence: memviz is shown what later state follows from.

        Raises:
            OptionError: a part of it has another shape than this memory's.
        """
        check_parts("memory", state, list(self.shapes(batch).values()))
        for name, value in zip(MemoryState._fields, state, strict=True):
            memviz.tap(f"initial/{name}", value)
        return MemoryState(*state)

    def parse(self, controller_output: Tensor) -> Interface:
        """The interface vector of the controller's output [batch, input_size], split and bounded."""
        return self.layout.parse(self.interface(controller_output))

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
        retained = None
        if self.deallocation:
            retained = addressing.retention(state.read_weights, x.free_gates)
            usage = addressing.count_writes(state.usage, state.write_weights) * retained
        else:
            usage = addressing.update_usage(state.usage, state.write_weights, state.read_weights, x.free_gates)
        allocation = addressing.allocate_per_head(usage, x.write_gate, x.allocation_gate)
        written_content = _look_up(state.memory, x.write_keys, x.write_strengths, x.write_masks)
        write_weights = addressing.write_weights(written_content, allocation, x.allocation_gate, x.write_gate)
        # M_t = M ∘ ψ 1^T ∘ (1 - w e^T) + w v^T; without de-allocation there is no ψ.
        before = state.memory if retained is None else state.memory * retained.unsqueeze(2)
        memory = addressing.write(before, write_weights, x.erase_vectors, x.write_vectors)

        link, forward, backward = self.follow(x, state, write_weights)
        precedence = links.update_precedence(state.precedence_weights, write_weights)

        read_content = _look_up(memory, x.read_keys, x.read_strengths, x.read_masks)
        # w^r = π_1 b + π_2 c^r + π_3 f
        ways = torch.cat((backward, read_content.unsqueeze(2), forward), dim=2)
        mixed = torch.bmm(x.read_modes.flatten(0, 1).unsqueeze(1), ways.flatten(0, 1))
        read_weights = mixed.view(-1, self.read_heads, self.nr_cells)
        read_vectors = torch.bmm(read_weights, memory)

        after = MemoryState(memory, usage, link, precedence, read_weights, write_weights)
        self._tap(x, after, allocation, written_content, read_content, forward, backward, read_vectors)
        return read_vectors, after

    def follow(self, x: Interface, state: MemoryState, write_weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The links after a write, and one step forward and backward along them from where each head read before.

        Args:
            x: the interface of this time.
            state: the state after the time before.
            write_weights: [batch, write_head, slot], at this time.

        Returns:
            Link matrix [batch, write_head, slot_to, slot_from]; forward and backward weights
            [batch, read_head, write_head, slot], sharpened with `link_sharpening`.
        """
        link, forward, backward = links.follow_links(
            state.link_matrix, state.precedence_weights, write_weights, state.read_weights
        )
        if x.forward_sharpening is not None and x.backward_sharpening is not None:
            forward = links.sharpen(forward, x.forward_sharpening)
            backward = links.sharpen(backward, x.backward_sharpening)
        return link, forward, backward

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
        memviz.tap(
            {
                **x.present(),
                "read_modes": self._three_modes(x.read_modes),
                **after._asdict(),
                # Lets a reader check that the state it derives is the state the model had.
                "final/memory": after.memory,
                "allocation_weights": allocation,
                "write_content_weights": write_content,
                "read_content_weights": read_content,
                "forward_weights": forward,
                "backward_weights": backward,
                "read_vectors": read_vectors,
            }
        )

    def _three_modes(self, modes: Tensor) -> Tensor:
        """[batch, read_head, mode] with the shares of all write heads' links added up: backward, content, forward."""
        heads = self.write_heads
        if heads == 1:
            return modes
        backward, content, forward = torch.split(modes, [heads, 1, heads], dim=-1)
        return torch.cat((backward.sum(-1, keepdim=True), content, forward.sum(-1, keepdim=True)), dim=-1)


def _look_up(memory: Tensor, keys: Tensor, strengths: Tensor, masks: Tensor | None) -> Tensor:
    if masks is None:
        return lookup.content_weights(memory, keys, strengths)
    return lookup.masked_content_weights(memory, keys, strengths, masks)
