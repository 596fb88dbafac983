"""What SAM and SDNC have in common: a recurrent controller around a sparsely accessed memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from memviz.demos.models.options import at_least_one, flag, number, one_of, sequence
from memviz.demos.models.sparse_bank import SparseState
from memviz.demos.models.sparse_memory import SparseMemory
from memviz.errors import OptionError

RnnType = Literal["lstm", "gru", "rnn"]
_CELLS: dict[str, Callable[[int, int], nn.Module]] = {"lstm": nn.LSTMCell, "gru": nn.GRUCell, "rnn": nn.RNNCell}


class SparseModelState(NamedTuple):
    """What carries over between sequences: one entry per controller layer, the memory, the last reads.

    `controller` holds (hidden, cell) per layer for an LSTM and (hidden,) otherwise, each [batch, hidden];
    `read_vectors` is [batch, read_head, word]. Nothing that the model does later changes a state.
    """

    controller: tuple[tuple[Tensor, ...], ...]
    memory: SparseState
    read_vectors: Tensor

    def detach(self) -> SparseModelState:
        """The same state, through which no gradient flows: where truncated backpropagation begins."""
        layers = tuple(tuple(value.detach() for value in layer) for layer in self.controller)
        return SparseModelState(layers, self.memory.detach(), self.read_vectors.detach())


class SparseModel(nn.Module):
    """A controller that sees the input and what was read at the time before, and a sparse memory.

    Args and Raises are those of `memviz.demos.models.SAM`; `memory` holds the arguments of `SparseMemory`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int | None,
        rnn_type: RnnType,
        num_layers: int,
        batch_first: bool,
        clip: float,
        **memory: Any,
    ) -> None:
        super().__init__()
        output_size = input_size if output_size is None else output_size
        at_least_one(input_size=input_size, hidden_size=hidden_size, output_size=output_size, num_layers=num_layers)
        at_least_one(**{name: memory[name] for name in ("nr_cells", "cell_size", "read_heads", "sparse_reads")})
        at_least_one(index_checks=memory["index_checks"])
        if memory["num_lists"] is not None:
            at_least_one(num_lists=memory["num_lists"])
        if "temporal_reads" in memory:
            at_least_one(temporal_reads=memory["temporal_reads"])
        one_of("rnn_type", rnn_type, _CELLS)
        one_of("search", memory["search"], ("auto", "exact", "faiss"))
        flag(batch_first=batch_first)
        number(0, clip=clip)
        self.input_size, self.hidden_size, self.rnn_type = input_size, hidden_size, rnn_type
        self.batch_first, self.clip = batch_first, clip
        reads = memory["read_heads"] * memory["cell_size"]
        widths = [input_size + reads] + [hidden_size] * (num_layers - 1)
        self.controller = nn.ModuleList(_CELLS[rnn_type](width, hidden_size) for width in widths)
        self.memory = SparseMemory(hidden_size, **memory)
        self.output = nn.Linear(hidden_size + reads, output_size)

    def initial_state(self, batch: int, memory: Tensor | None = None) -> SparseModelState:
        """The state before the first time: zeros, but for the memory.

        Args:
            batch: number of items.
            memory: what the slots hold, [batch, slot, word]; 1e-6 everywhere by default.

        Raises:
            OptionError: `memory` has another shape.
        """
        slots = (batch, self.memory.nr_cells, self.memory.cell_size)
        if memory is not None and tuple(memory.shape) != slots:
            raise OptionError(f"memory must be [batch, slot, word], {list(slots)}, not {list(memory.shape)}")
        zeros = self.output.weight.new_zeros
        layer = (zeros(batch, self.hidden_size),) * (2 if self.rnn_type == "lstm" else 1)
        reads = zeros(batch, self.memory.read_heads, self.memory.cell_size)
        return SparseModelState((layer,) * len(self.controller), self.memory.initial_state(batch, memory), reads)

    def forward(self, x: Tensor, state: SparseModelState | None = None) -> tuple[Tensor, SparseModelState]:
        """Run over a sequence.

        Args:
            x: [batch, time, input_channel], or [time, batch, input_channel] without `batch_first`.
            state: where to go on from; the initial state by default. It stays as it is.

        Returns:
            The output, with the axes of `x` and `output_size` channels (no activation), and the state afterwards.

        Raises:
            OptionError: `x` has other axes, or `state` is of another batch.
        """
        sequence(x, self.input_size, self.batch_first)
        times = x.unbind(1 if self.batch_first else 0)
        if state is None:
            state = self.initial_state(len(times[0]))
        elif state.memory.bank.batch != len(times[0]):
            raise OptionError(f"the state is of a batch of {state.memory.bank.batch}, the input of {len(times[0])}")
        else:
            self.memory.resume(state.memory)
        controller, memory, reads = state

        seen = []
        for x_t in times:
            hidden, controller = self._control(torch.cat((x_t, reads.flatten(1)), dim=1), controller)
            reads, memory = self.memory(hidden, memory)
            seen.append(torch.cat((hidden, reads.flatten(1)), dim=1))
        self.memory.close(memory)
        # The output does not feed back, so it is computed for all times at once.
        output = self.output(torch.stack(seen, dim=1 if self.batch_first else 0))
        return output, SparseModelState(controller, memory, reads)

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
