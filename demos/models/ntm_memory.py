"""The memory and the heads of a Neural Turing Machine (Graves et al. 2014), with every internal tapped.

One call is one time: what the controller gives goes in, what the read heads read comes out. Heads may act together or
one after the other; each looks up and reads the memory as the heads before it left it. All fields of an NTM in memviz's
catalogue pass through `memviz.tap`. The axis `head` of gates, shifts and sharpening holds the read heads, then the
write heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

import memviz
from memviz.demos.models import addressing
from memviz.demos.models.influence import ShowsInfluence
from memviz.demos.models.lookup import content_weights
from memviz.demos.models.ntm_addressing import locate, shift_tables
from memviz.demos.models.ntm_options import (
    Dialect,
    ReadOrder,
    WriteOrder,
    allowed_shifts,
    writes_before_reads,
)
from memviz.demos.models.options import at_least_one, one_of
from memviz.errors import OptionError
from memviz.recorders.controls import BEFORE, Access, ControlPoint


class NTMMemoryState(NamedTuple):
    """What the memory and its heads carry from one time to the next.

    Axes: memory [batch, slot, word], read_weights [batch, read_head, slot], write_weights [batch, write_head, slot].
    """

    memory: Tensor
    read_weights: Tensor
    write_weights: Tensor


class HeadParameters(NamedTuple):
    """What the heads emit at one time, parsed and bounded.

    Axes: keys and vectors [batch, head, word], strengths, gate and sharpening [batch, head], shift_weights
    [batch, head, shift]. Where read and write heads share a field, the read heads come first.
    """

    read_keys: Tensor
    write_keys: Tensor
    write_vectors: Tensor
    read_strengths: Tensor
    write_strengths: Tensor
    sharpening: Tensor
    interpolation_gate: Tensor
    erase_vectors: Tensor
    shift_weights: Tensor


_CONTROLS = (
    ControlPoint(
        "step",
        {name: Access(("x", name)) for name in HeadParameters._fields}
        | {f"{BEFORE}{name}": Access(("state", name)) for name in NTMMemoryState._fields},
    ),
)
"""Where `memviz.ablate` can change a run: what a time begins with."""


class NTMMemory(ShowsInfluence):
    """N slots of W words and the heads that move over them by content and by shifts.

    Args:
        input_size: width of what the heads see of the controller.
        nr_cells: N, number of slots.
        cell_size: W, width of a slot.
        read_heads: R.
        write_heads: H.
        shifts: how far a head may move in one time, in slots; see `NTM`.
        write_order: see `NTM`.
        read_order: see `NTM`.
        dialect: how the heads' parameters are bounded.

    Raises:
        OptionError: an option out of its range, a ValueError.
    """

    memviz_law = "ntm"
    memviz_controls = _CONTROLS

    _sources: Tensor
    _targets: Tensor

    def __init__(
        self,
        input_size: int,
        nr_cells: int = 16,
        cell_size: int = 16,
        read_heads: int = 1,
        write_heads: int = 1,
        shifts: Sequence[int] = (-1, 0, 1),
        write_order: WriteOrder = "parallel",
        read_order: ReadOrder = "after_write",
        dialect: Dialect | None = None,
    ) -> None:
        super().__init__()
        at_least_one(
            input_size=input_size,
            nr_cells=nr_cells,
            cell_size=cell_size,
            read_heads=read_heads,
            write_heads=write_heads,
        )
        one_of("write_order", write_order, ("parallel", "series", "last"))
        self.nr_cells = nr_cells
        self.cell_size = cell_size
        self.read_heads = read_heads
        self.write_heads = write_heads
        self.shifts = allowed_shifts(shifts)
        self.write_order = write_order
        self.dialect = dialect = dialect or Dialect()
        self._waits = writes_before_reads(read_order, read_heads, write_heads)
        if write_order != "series" and set(self._waits) - {0, write_heads}:
            raise OptionError(
                f"read_order={read_order!r} puts reads between the writes, which needs write_order='series', not "
                f"{write_order!r}"
            )
        heads = read_heads + write_heads
        self.layout: dict[str, tuple[int, int]] = {
            "read_keys": (read_heads, cell_size),
            "write_keys": (write_heads, cell_size),
            "write_vectors": (write_heads, cell_size),
            "read_strengths": (read_heads, 1),
            "write_strengths": (write_heads, 1),
            "sharpening": (heads, 1),
            "interpolation_gate": (heads, 1),
            "erase_vectors": (write_heads, 0 if dialect.erase == "ones" else cell_size),
            "shift_weights": (heads, len(self.shifts)),
        }
        """Rows of `interface.weight` in their order: for each field the number of heads, and of rows per head."""
        self._sizes = [heads * rows for heads, rows in self.layout.values()]
        self.interface = nn.Linear(input_size, sum(self._sizes))
        sources, targets = shift_tables(self.shifts, nr_cells)
        self.register_buffer("_sources", sources, persistent=False)
        self.register_buffer("_targets", targets, persistent=False)
        self.memviz_attributes = self._attributes()

    def _attributes(self) -> dict[str, object]:
        """What memviz has to know to derive state and addressing from what is tapped."""
        order: str | list[int] = list(self._waits)
        if set(self._waits) in ({0}, {self.write_heads}):
            order = "after_write" if self._waits[0] else "before_write"
        return {
            "write_heads": self.write_heads,
            "write_order": self.write_order if self.write_heads > 1 else "parallel",
            "read_order": order,
            "shifts": list(self.shifts),
            "cosine_delta": self.dialect.cosine_delta,
            "normalizing_delta": self.dialect.normalizing_delta,
            "bounded_by_tanh": sorted(self.dialect.bounded_by_tanh),
        }

    def begin(self, state: NTMMemoryState, read_vectors: Tensor, *, uniform: bool = False) -> NTMMemoryState:
        """Show memviz the state that a sequence begins with; returns `state`.

        Args:
            state: before the first time.
            read_vectors: [batch, read_head, word], what the controller sees at the first time.
            uniform: all words of the memory are equal, which is said once.
        """
        memviz.tap("initial/memory", state.memory[:, :1, :1] if uniform else state.memory)
        memviz.tap("initial/read_weights", state.read_weights)
        memviz.tap("initial/write_weights", state.write_weights)
        memviz.tap("initial/read_vectors", read_vectors)
        return state

    def parse(self, controller_output: Tensor) -> HeadParameters:
        """Split what the heads emit and bound its parts.

        Args:
            controller_output: [batch, input_size].
        """
        emitted, dialect, sizes = self.interface(controller_output), self.dialect, self._sizes
        # Grouped by the function that bounds them, so that each function runs once.
        free, soft = sum(sizes[:3]), 3 if dialect.sharpening == "softplus" else 2
        groups = [free, sum(sizes[3 : 3 + soft]), sum(sizes[3 + soft : 8]), sizes[8]]
        unbounded, positive, gates, shifts = torch.split(emitted, groups, dim=1)
        parts = [
            *torch.split(unbounded, sizes[:3], dim=1),
            *torch.split(functional.softplus(positive), sizes[3 : 3 + soft], dim=1),
            *torch.split(torch.sigmoid(gates), sizes[3 + soft : 8], dim=1),
            shifts,
        ]
        named = {
            name: part.view(len(part), heads, rows) if name not in _PER_HEAD else part
            for (name, (heads, rows)), part in zip(self.layout.items(), parts, strict=True)
        }
        named |= {name: torch.tanh(named[name]) for name in dialect.bounded_by_tanh}
        if dialect.strengths == "oneplus":
            named |= {name: 1 + named[name] for name in ("read_strengths", "write_strengths")}
        if dialect.erase == "ones":
            named["erase_vectors"] = torch.ones_like(named["write_vectors"])
        named["sharpening"] = 1 + named["sharpening"]
        named["shift_weights"] = torch.softmax(named["shift_weights"], dim=2)
        return HeadParameters(**named)

    def forward(self, controller_output: Tensor, state: NTMMemoryState) -> tuple[Tensor, NTMMemoryState]:
        """One time: every head looks up, moves, and reads or writes.

        Args:
            controller_output: [batch, input_size].
            state: the state after the time before.

        Returns:
            The read vectors [batch, read_head, word] and the state after this time, in the precision of the parameters
            also under autocast: what a small write changes would be lost in half precision.
        """
        device = controller_output.device.type
        if not torch.is_autocast_enabled(device):
            return self.step(self.parse(controller_output), state)
        with torch.autocast(device, enabled=False):
            return self.step(self.parse(controller_output.to(self.interface.weight.dtype)), state)

    def step(self, x: HeadParameters, state: NTMMemoryState) -> tuple[Tensor, NTMMemoryState]:
        """One time, from what the heads emit; arguments and result as in `forward`."""
        heads = range(self.write_heads)
        if self.write_order == "series" and self.write_heads > 1:
            memory, looked_up, weighted = state.memory, [], []
            for head in heads:
                one = slice(head, head + 1)
                content, weights = self._address(x, state, memory, "write", one)
                memory = addressing.write(memory, weights, x.erase_vectors[:, one], x.write_vectors[:, one])
                looked_up.append(content)
                weighted.append(weights)
            write_content, write_weights = torch.cat(looked_up, dim=1), torch.cat(weighted, dim=1)
        else:
            write_content, write_weights = self._address(x, state, state.memory, "write", slice(None))
            memory = self._after(self.write_heads, x, state, write_weights)

        contents, weightings, vectors = [], [], []
        for part, count in self._turns():
            seen = memory if count == self.write_heads else self._after(count, x, state, write_weights)
            content, weights = self._address(x, state, seen, "read", part)
            contents.append(content)
            weightings.append(weights)
            vectors.append(torch.bmm(weights, seen))
        read_content, read_weights, read_vectors = (_joined(parts) for parts in (contents, weightings, vectors))

        after = NTMMemoryState(memory, read_weights, write_weights)
        self._tap(x, after, write_content, read_content, read_vectors)
        return read_vectors, after

    def _turns(self) -> list[tuple[slice, int]]:
        """Read heads that see the same memory act together: which, and after how many write heads."""
        if len(set(self._waits)) == 1:
            return [(slice(None), self._waits[0])]
        return [(slice(head, head + 1), count) for head, count in enumerate(self._waits)]

    def _after(self, count: int, x: HeadParameters, state: NTMMemoryState, write_weights: Tensor) -> Tensor:
        """The memory after the first `count` write heads."""
        if count == 0:
            return state.memory
        if self.write_order == "series":
            memory = state.memory
            for head in range(count):
                one = slice(head, head + 1)
                memory = addressing.write(
                    memory, write_weights[:, one], x.erase_vectors[:, one], x.write_vectors[:, one]
                )
            return memory
        these = slice(-1 if self.write_order == "last" else None, None)
        return addressing.write(
            state.memory, write_weights[:, these], x.erase_vectors[:, these], x.write_vectors[:, these]
        )

    def _address(
        self, x: HeadParameters, state: NTMMemoryState, memory: Tensor, kind: Literal["read", "write"], part: slice
    ) -> tuple[Tensor, Tensor]:
        """Lookup and weighting of some read heads, or some write heads, that see the same memory."""
        if kind == "read":
            keys, strengths, previous, mine = x.read_keys, x.read_strengths, state.read_weights, slice(self.read_heads)
        else:
            keys, strengths, previous = x.write_keys, x.write_strengths, state.write_weights
            mine = slice(self.read_heads, None)
        content = content_weights(memory, keys[:, part], strengths[:, part], self.dialect.cosine_delta)
        weights = locate(
            content,
            previous[:, part],
            x.interpolation_gate[:, mine][:, part],
            x.shift_weights[:, mine][:, part],
            x.sharpening[:, mine][:, part],
            (self._sources, self._targets),
            self.dialect.normalizing_delta,
        )
        return content, weights

    def _tap(
        self,
        x: HeadParameters,
        after: NTMMemoryState,
        write_content: Tensor,
        read_content: Tensor,
        read_vectors: Tensor,
    ) -> None:
        """Show memviz every internal of this time under its name in the catalogue."""
        memviz.tap(
            {
                **x._asdict(),
                **after._asdict(),
                # Lets a reader check that the state it derives is the state the model had.
                "final/memory": after.memory,
                "write_content_weights": write_content,
                "read_content_weights": read_content,
                "read_vectors": read_vectors,
            }
        )


_PER_HEAD = ("read_strengths", "write_strengths", "sharpening", "interpolation_gate")
"""Fields with one number per head."""


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
