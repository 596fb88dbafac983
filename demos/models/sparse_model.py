"""What SAM and SDNC have in common: a recurrent controller around a sparsely accessed memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
        start = self.memory.initial_state(batch, memory)
        return SparseModelState(self._initial_controller(batch), start, self._initial_reads(batch))

    def forward(
        self,
        x: Tensor,
        state: Sequence[Any] | None = None,
        reset_experience: bool = False,
        pass_through_memory: bool = True,
    ) -> tuple[Tensor, SparseModelState]:
        """Run over a sequence.

        Args:
            x: [batch, time, input_channel], or [time, batch, input_channel] without `batch_first`.
            state: where to go on from, a SparseModelState or its three parts, each of which may be None for its initial
                value. It stays as it is.
            reset_experience: begin with an empty memory, whatever `state` says of it; the rest of it counts.
            pass_through_memory: False: run the controller alone; the memory stays as it is, and wherever reads are
                used, those of `state` are.

        Returns:
            The output, with the axes of `x` and `output_size` channels (no activation), and the state afterwards.

        Raises:
            OptionError: `x` has other axes, or `state` is of another batch.
        """
        sequence(x, self.input_size, self.batch_first)
        times = x.unbind(1 if self.batch_first else 0)
        controller, memory, reads = self._begin(state, len(times[0]), reset_experience)

        seen = []
        for x_t in times:
            hidden, controller = self._control(torch.cat((x_t, reads.flatten(1)), dim=1), controller)
            if pass_through_memory:
                reads, memory = self.memory(hidden, memory)
            seen.append(torch.cat((hidden, reads.flatten(1)), dim=1))
        if pass_through_memory:
            self.memory.close(memory)
        # The output does not feed back, so it is computed for all times at once.
        shown = torch.stack(seen, dim=1 if self.batch_first else 0)
        output = self.output(shown)
        if pass_through_memory:
            self.memory.show_influence(self.output, shown, shown.shape[2] - self.hidden_size, self.batch_first)
        return output, SparseModelState(controller, memory, reads)

    def _begin(self, state: Sequence[Any] | None, batch: int, reset_experience: bool) -> SparseModelState:
        """What the first time begins with."""
        given = (None, None, None) if state is None else tuple(state)
        if len(given) != 3:
            raise OptionError(f"a state is (controller, memory, read vectors), not {len(given)} parts")
        controller, memory, reads = given
        if memory is None or reset_experience:
            memory = self.memory.initial_state(batch)
        elif memory.bank.batch != batch:
            raise OptionError(f"the state is of a batch of {memory.bank.batch}, the input of {batch}")
        else:
            self.memory.resume(memory)
        return SparseModelState(
            self._initial_controller(batch) if controller is None else controller,
            memory,
            self._initial_reads(batch) if reads is None else reads,
        )

    def _initial_controller(self, batch: int) -> tuple[tuple[Tensor, ...], ...]:
        layer = (self.output.weight.new_zeros(batch, self.hidden_size),) * (2 if self.rnn_type == "lstm" else 1)
        return (layer,) * len(self.controller)

    def _initial_reads(self, batch: int) -> Tensor:
        return self.output.weight.new_zeros(batch, self.memory.read_heads, self.memory.cell_size)

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
