"""A differentiable neural computer in torch, wired as in the paper, with its internals open to memviz.

Graves et al. 2016: the controller sees the input and what was read at the time before; its output and what is read at
this time give the model's output.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from memviz.demos.models.dnc_memory import DNCMemory, MemoryState

RnnType = Literal["lstm", "gru", "rnn"]
_CELLS: dict[str, Callable[[int, int], nn.Module]] = {"lstm": nn.LSTMCell, "gru": nn.GRUCell, "rnn": nn.RNNCell}


class DNCState(NamedTuple):
    """What carries over between sequences: one entry per controller layer, the memory, the last reads.

    `controller` holds (hidden, cell) per layer for an LSTM and (hidden,) otherwise, each [batch, hidden];
    `read_vectors` is [batch, read_head, word].
    """

    controller: tuple[tuple[Tensor, ...], ...]
    memory: MemoryState
    read_vectors: Tensor


class DNC(nn.Module):
    """A recurrent controller with an external memory.

    Arguments have the names of the `dnc` package where it has them. Two differ in meaning: `num_layers` stacks
    controller cells below one memory, and the controller sees the reads of the time before, as in the paper.

    Args:
        input_size: channels of the input.
        hidden_size: width of each controller layer.
        output_size: channels of the output; `input_size` by default.
        rnn_type: "lstm", "gru" or "rnn" (tanh).
        num_layers: controller layers; each is fed by the layer below, the lowest by the input and the last reads.
        nr_cells: N, memory slots.
        cell_size: W, words per slot.
        read_heads: R.
        write_heads: H.
        batch_first: input and output are [batch, time, channel] instead of [time, batch, channel].
        clip: bound on the absolute value of the controller's recurrent state, as in deepmind/dnc; 0 for none.

    Raises:
        ValueError: an unknown `rnn_type`.
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
    ) -> None:
        super().__init__()
        if rnn_type not in _CELLS:
            raise ValueError(f"rnn_type is one of {', '.join(_CELLS)}, not {rnn_type!r}")
        self.rnn_type = rnn_type
        self.hidden_size = hidden_size
        self.batch_first = batch_first
        self.clip = clip
        reads = read_heads * cell_size
        widths = [input_size + reads] + [hidden_size] * (num_layers - 1)
        self.controller = nn.ModuleList(_CELLS[rnn_type](width, hidden_size) for width in widths)
        self.memory = DNCMemory(hidden_size, nr_cells, cell_size, read_heads, write_heads)
        self.output = nn.Linear(hidden_size + reads, output_size or input_size)

    def initial_state(self, batch: int) -> DNCState:
        """The state before the first time: zeros, but for the memory's own initial value."""
        memory = self.memory.initial_state(batch)
        zeros = memory.memory.new_zeros
        layer = (zeros(batch, self.hidden_size),) * (2 if self.rnn_type == "lstm" else 1)
        reads = zeros(batch, self.memory.read_heads, self.memory.cell_size)
        return DNCState((layer,) * len(self.controller), memory, reads)

    def forward(self, x: Tensor, state: DNCState | None = None) -> tuple[Tensor, DNCState]:
        """Run over a sequence.

        Args:
            x: [batch, time, input_channel], or [time, batch, input_channel] without `batch_first`.
            state: where to go on from; the initial state by default.

        Returns:
            The output, with the axes of `x` and `output_size` channels (no activation), and the state afterwards.
        """
        times = x.unbind(1 if self.batch_first else 0)
        if state is None:
            state = self.initial_state(len(times[0]))
        else:
            self.memory.resume(state.memory)
        controller, memory, reads = state

        seen = []
        for x_t in times:
            hidden, controller = self._control(torch.cat((x_t, reads.flatten(1)), dim=1), controller)
            reads, memory = self.memory(hidden, memory)
            seen.append(torch.cat((hidden, reads.flatten(1)), dim=1))
        # The output does not feed back, so it is computed for all times at once.
        output = self.output(torch.stack(seen, dim=1 if self.batch_first else 0))
        return output, DNCState(controller, memory, reads)

    def _control(
        self, x: Tensor, state: tuple[tuple[Tensor, ...], ...]
    ) -> tuple[Tensor, tuple[tuple[Tensor, ...], ...]]:
        """One time of all controller layers: the output of the last, and their state."""
        after: list[tuple[Tensor, ...]] = []
        for cell, layer in zip(self.controller, state, strict=True):
            layer = cell(x, layer) if self.rnn_type == "lstm" else (cell(x, layer[0]),)
            if self.clip:
                # Hidden values are bounded by tanh; only the cell of an LSTM can grow.
                layer = (*layer[:-1], layer[-1].clamp(-self.clip, self.clip))
            after.append(layer)
            x = layer[0]
        return x, tuple(after)
