"""A differentiable neural computer in torch, wired as in the paper, with its internals open to memviz.

Graves et al. 2016: the controller sees the input and what was read at the time before; its output and what is read at
this time give the model's output. Around that, all options of the class of the package `dnc` 1.1.0, and those of
Csordas and Schmidhuber 2019.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from memviz.demos.models import options
from memviz.demos.models.dnc_controller import CellState, ControllerLayer, Nonlinearity, RnnType, pack, unpack
from memviz.demos.models.dnc_memory import DNCMemory
from memviz.demos.models.dnc_state import DNCState, MemoryState, check_parts, check_shape, parts
from memviz.errors import OptionError

Wiring = Literal["paper", "package"]

INITIAL_VALUE = {"paper": 1e-6, "package": 0.0}
"""What every word of the memory holds before the first time, by wiring."""

_SEES = "only the reads that the sequence began with"
"""Attribute of a memory whose controller does not see the reads of the time before."""


class DNC(nn.Module):
    """A recurrent controller with an external memory.

    A layer is a controller (`num_hidden_layers` recurrent cells) and a turn at the memory. The lowest is fed the input
    and the last reads; each further one is fed the output and the reads of the layer below at the same time; the
    output and the reads of the highest give the model's output.

    Options have the names of the package `dnc` where it has them, and its meaning. Its `gpu_id` is `model.to(device)`
    here, its `debug` is memviz, its `bidirectional` never did anything. `bool` options are False unless said.

    Args:
        input_size: channels of the input.
        hidden_size: width of each recurrent cell.
        output_size: channels of the output; `input_size` by default, as it always is in the package.
        rnn_type: "lstm", "gru" or "rnn".
        num_layers: layers, each with a turn at the memory at every time.
        num_hidden_layers: recurrent cells stacked within each layer (2 in the package).
        nr_cells: N, memory slots (5 in the package).
        cell_size: W, words per slot (10 in the package).
        read_heads: R (2 in the package).
        write_heads: H; each keeps its own links and allocates after the heads before it (deepmind/dnc).
        batch_first: True: input and output are [batch, time, channel]; False: [time, batch, channel].
        clip: bound on the absolute value of the controller's output; 0 for none. With the paper's wiring also of its
            recurrent state, as in deepmind/dnc.
        bias: True: recurrent cells have biases.
        dropout: share of the values between the cells of a layer that is dropped while training.
        nonlinearity: "tanh" or "relu", of the cells of an "rnn".
        independent_linears: a linear layer per part of the interface vector, not one for all.
        share_memory: True: one memory, at which the layers take turns. It is recorded as "memory", with a time for
            each turn. False: one per layer, recorded as "memory.0", "memory.1" and so on.
        masking: lookups compare only the words that a mask lets through (Csordas and Schmidhuber 2019).
        deallocation: freed slots are cleared (same source).
        link_sharpening: walks along the links are sharpened (same source).
        wiring: "paper": the lowest controller is fed the reads of the time before; keys and write vectors are free,
            strengths are oneplus. "package": as `dnc` 1.1.0 computes; it is fed, at every time, the reads that the
            sequence began with; keys and write vectors go through tanh, strengths through softplus.
        initial_value: what every word of the memory holds before the first time; by default 1e-6, and 0 with the
            package's wiring.

    Raises:
        OptionError: an option has no such value; one line says which values there are.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int | None = None,
        rnn_type: RnnType = "lstm",
        num_layers: int = 1,
        nr_cells: int = 16,
        cell_size: int = 16,
        read_heads: int = 1,
        write_heads: int = 1,
        batch_first: bool = True,
        clip: float = 20.0,
        *,
        num_hidden_layers: int = 1,
        bias: bool = True,
        dropout: float = 0.0,
        nonlinearity: Nonlinearity = "tanh",
        independent_linears: bool = False,
        share_memory: bool = True,
        masking: bool = False,
        deallocation: bool = False,
        link_sharpening: bool = False,
        wiring: Wiring = "paper",
        initial_value: float | None = None,
    ) -> None:
        super().__init__()
        output_size = input_size if output_size is None else output_size
        options.at_least_one(
            input_size=input_size,
            hidden_size=hidden_size,
            output_size=output_size,
            num_layers=num_layers,
            num_hidden_layers=num_hidden_layers,
            nr_cells=nr_cells,
            cell_size=cell_size,
            read_heads=read_heads,
            write_heads=write_heads,
        )
        options.one_of("wiring", wiring, INITIAL_VALUE)
        options.number(0, clip=clip)
        options.probability(dropout=dropout)
        options.flag(batch_first=batch_first, bias=bias, share_memory=share_memory)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.num_hidden_layers = num_hidden_layers
        self.batch_first = batch_first
        # Not by its name in the package, which is that of a method of every nn.Module.
        self.shares_memory = share_memory
        self.wiring = wiring

        reads = read_heads * cell_size
        widths = [input_size + reads] + [hidden_size + reads] * (num_layers - 1)
        self.controller = nn.ModuleList(
            ControllerLayer(
                width,
                hidden_size,
                rnn_type,
                num_hidden_layers,
                bias,
                dropout,
                nonlinearity,
                clip,
                clip_state=wiring == "paper",
            )
            for width in widths
        )
        memories = [
            DNCMemory(
                hidden_size,
                nr_cells,
                cell_size,
                read_heads,
                write_heads,
                INITIAL_VALUE[wiring] if initial_value is None else initial_value,
                independent_linears,
                masking,
                deallocation,
                link_sharpening,
                bounds=wiring,
            )
            for _ in range(1 if share_memory else num_layers)
        ]
        if wiring == "package":
            memories[0].memviz_attributes["controller_sees"] = _SEES
        if share_memory and num_layers > 1:
            memories[0].memviz_attributes["shared_by_layers"] = num_layers
        self.memory: nn.Module = memories[0] if share_memory else nn.ModuleList(memories)
        self.output = nn.Linear(hidden_size + reads, output_size)

    def layers(self) -> list[ControllerLayer]:
        """The controllers, from the lowest layer to the highest."""
        return [layer for layer in self.controller if isinstance(layer, ControllerLayer)]

    def memories(self) -> list[DNCMemory]:
        """The one shared memory, or those of the layers."""
        return [module for module in self.memory.modules() if isinstance(module, DNCMemory)]

    def initial_state(self, batch: int) -> DNCState:
        """The state before the first time: zeros, but for the memory's own initial value."""
        controller, memories, last_read = self._begin(None, batch, False)
        return self._state(controller, memories, last_read)

    def forward(
        self,
        x: Tensor,
        state: DNCState | Sequence[Any] | None = None,
        reset_experience: bool = False,
        pass_through_memory: bool = True,
    ) -> tuple[Tensor, DNCState]:
        """Run over a sequence.

        Args:
            x: [batch, time, input_channel], or [time, batch, input_channel] without `batch_first`.
            state: where to go on from, as (controller_hidden, memory, last_read); each of them may be None for its
                initial value, and so may the whole.
            reset_experience: begin with an empty memory, whatever `state` says of it; the rest of it counts.
            pass_through_memory: False: run the controller alone; the memory stays as it is, and wherever reads are
                used, `last_read` of `state` is.

        Returns:
            The output, with the axes of `x` and `output_size` channels (no activation), and the state afterwards.

        Raises:
            OptionError: the input or a part of the state has not the shape that this model takes.
        """
        options.sequence(x, self.input_size, self.batch_first)
        times = x.unbind(1 if self.batch_first else 0)
        controller, memories, last_read = self._begin(state, len(times[0]), reset_experience)

        layers, own, reads = self.layers(), self.memories(), last_read
        seen = []
        for x_t in times:
            below = torch.cat((x_t, last_read.flatten(1)), dim=1)
            for number, layer in enumerate(layers):
                hidden, controller[number] = layer(below, controller[number])
                if pass_through_memory:
                    turn = 0 if self.shares_memory else number
                    reads, memories[turn] = own[turn](hidden, memories[turn])
                below = torch.cat((hidden, reads.flatten(1)), dim=1)
            if self.wiring == "paper":
                last_read = reads
            seen.append(below)
        # The output does not feed back, so it is computed for all times at once.
        shown = torch.stack(seen, dim=1 if self.batch_first else 0)
        output = self.output(shown)
        if pass_through_memory:
            own[-1].show_influence(self.output, shown, shown.shape[2] - self.hidden_size, self.batch_first)
        if self.wiring == "package" and not pass_through_memory:
            reads = torch.zeros_like(reads)  # the package returns none, and takes none for zeros
        return output, self._state(controller, memories, reads)

    def _begin(
        self, state: Sequence[Any] | None, batch: int, reset_experience: bool
    ) -> tuple[list[list[CellState]], list[MemoryState], Tensor]:
        """What the first time begins with: the cells of each layer, the memories, the last reads."""
        controller, memory, last_read = parts(state)
        own, layers = self.memories(), self.layers()
        zeros = next(self.output.parameters()).new_zeros

        if controller is None:
            cells = [layer.initial_state(zeros(batch, self.hidden_size)) for layer in layers]
        else:
            if not isinstance(controller, tuple | list) or len(controller) != len(layers):
                raise OptionError(f"controller_hidden of the state must hold one entry per layer, {len(layers)}")
            for layer, given in zip(layers, controller, strict=True):
                shape = (self.num_hidden_layers, batch, self.hidden_size)
                check_parts("controller_hidden", given, [shape] * layer.parts)
            cells = [unpack(given) for given in controller]

        if memory is None or reset_experience:
            memories = [each.initial_state(batch) for each in own]
        else:
            held = [memory] if self.shares_memory else memory
            if not isinstance(held, tuple | list) or len(held) != len(own):
                raise OptionError(f"memory of the state must be a tuple with one state per layer, {len(own)}")
            memories = [each.resume(given, batch) for each, given in zip(own, held, strict=True)]

        shape = (batch, own[0].read_heads, own[0].cell_size)
        if last_read is None:
            last_read = zeros(shape)
        elif isinstance(last_read, Tensor) and last_read.shape == (batch, shape[1] * shape[2]):
            last_read = last_read.view(shape)  # as the package has it
        check_shape("last_read", last_read, shape)
        return cells, memories, last_read

    def _state(
        self, controller: Sequence[Sequence[CellState]], memories: Sequence[MemoryState], last_read: Tensor
    ) -> DNCState:
        held = memories[0] if self.shares_memory else tuple(memories)
        return DNCState(tuple(pack(layer) for layer in controller), held, last_read)
