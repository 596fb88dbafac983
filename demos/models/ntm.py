"""A Neural Turing Machine in torch (Graves et al. 2014), with its internals open to memviz.

The controller sees the input and what was read at the time before; its output and what is read at this time give the
model's output. What the paper leaves open is an option; `NTM.preset` sets the options as public implementations do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from memviz.demos.models import ntm_presets, options
from memviz.demos.models.ntm_controller import Controller, ControllerState
from memviz.demos.models.ntm_memory import NTMMemory, NTMMemoryState
from memviz.demos.models.ntm_options import STARTS, Dialect, ReadOrder, Start, WriteOrder
from memviz.demos.models.ntm_start import InitialState
from memviz.errors import OptionError


class NTMState(NamedTuple):
    """What carries over between sequences: the controller's layers, the memory with its heads, the last reads.

    `read_vectors` is [batch, read_head, word].
    """

    controller: ControllerState
    memory: NTMMemoryState
    read_vectors: Tensor


class NTM(nn.Module):
    """A controller whose heads read and write an external memory, by content and by moving from slot to slot.

    Arguments have the names of our DNC where it has them.

    Args:
        input_size: channels of the input.
        hidden_size: width of each controller layer.
        output_size: channels of the output; `input_size` by default.
        rnn_type: the controller: "lstm", "gru", "rnn" (tanh) or "feedforward" (tanh), which remembers nothing itself.
        num_layers: controller layers; each is fed by the layer below, the lowest by the input and the last reads.
        nr_cells: N, memory slots.
        cell_size: W, words per slot.
        read_heads: R.
        write_heads: H.
        batch_first: input and output are [batch, time, channel] instead of [time, batch, channel].
        clip: bound on the absolute value of an LSTM controller's cell; 0 for none.
        shifts: the moves that a head can make in one time, in slots; the memory is a ring.
        write_order: write heads write together ("parallel"), each sees and erases what those before it wrote
            ("series"), or only the last one's write counts ("last", as in diffmem).
        read_order: read heads look up and read "after_write", "before_write", or "in_turn" (head i after i write
            heads); or for each read head the number of write heads before it.
        initial_state: "constant", "learned", or a `Start` that says it for each part.
        heads_see: what the heads are computed from: the controller's "output", or the "cell" of its top LSTM layer.
        output_sees: the model's output is computed from the "controller and reads", or from the "controller" alone.
        output_activation: "none" or "sigmoid".
        dialect: how the heads' parameters are bounded.

    Raises:
        OptionError: an option out of its range, a ValueError.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int | None = None,
        rnn_type: str = "lstm",
        num_layers: int = 1,
        nr_cells: int = 16,
        cell_size: int = 16,
        read_heads: int = 1,
        write_heads: int = 1,
        batch_first: bool = True,
        clip: float = 20.0,
        *,
        shifts: Sequence[int] = (-1, 0, 1),
        write_order: WriteOrder = "parallel",
        read_order: ReadOrder = "after_write",
        initial_state: str | Start = "constant",
        heads_see: str = "output",
        output_sees: str = "controller and reads",
        output_activation: str = "none",
        dialect: Dialect | None = None,
    ) -> None:
        super().__init__()
        output_size = input_size if output_size is None else output_size
        options.at_least_one(input_size=input_size, output_size=output_size)
        options.flag(batch_first=batch_first)
        options.one_of("heads_see", heads_see, ("output", "cell"))
        options.one_of("output_sees", output_sees, ("controller and reads", "controller"))
        options.one_of("output_activation", output_activation, ("none", "sigmoid"))
        if not isinstance(initial_state, Start):
            options.one_of("initial_state", initial_state, STARTS)
            initial_state = STARTS[initial_state]
        self.memory = NTMMemory(
            hidden_size, nr_cells, cell_size, read_heads, write_heads, shifts, write_order, read_order, dialect
        )
        reads = read_heads * cell_size
        self.controller = Controller(
            input_size + reads, hidden_size, rnn_type, num_layers, clip, initial_state.controller == "learned"
        )
        if heads_see == "cell" and rnn_type != "lstm":
            raise OptionError(f"heads_see='cell' needs the cell of an LSTM; rnn_type is {rnn_type!r}")
        self.initial = InitialState(initial_state, nr_cells, cell_size, read_heads, write_heads)
        self.output = nn.Linear(hidden_size + (reads if output_sees == "controller and reads" else 0), output_size)
        self.input_size = input_size
        self.batch_first = batch_first
        self.heads_see = heads_see
        self.output_sees = output_sees
        self.output_activation = output_activation
        declared = {"heads_see": heads_see, "output_sees": output_sees}
        self.memory.memviz_attributes |= {name: said for name, said in declared.items() if said in _UNUSUAL}

    @classmethod
    def preset(cls, name: str, input_size: int, hidden_size: int, output_size: int | None = None, **given: Any) -> NTM:
        """A model with the equations, the initial state and the initial parameters of a public implementation.

        Args:
            name: "diffmem", "pytorch-ntm" or "ntm-pytorch"; see `ntm_presets`.
            input_size: channels of the input.
            hidden_size: width of the controller.
            output_size: channels of the output.
            given: further arguments of NTM, which win over those of the preset. These models pair each read head with
                a write head: give `read_heads`, and as many write heads are made unless you say otherwise.

        Raises:
            OptionError: no such preset, or an option out of its range.
        """
        options.one_of("preset", name, ntm_presets.PRESETS)
        preset = ntm_presets.PRESETS[name]
        model = cls(input_size, hidden_size, output_size, **preset.arguments(given))
        preset.draw(model)
        return model

    def initial_state(self, batch: int) -> NTMState:
        """The state before the first time, on the device and in the dtype of the parameters."""
        return self._begin(None, batch, False)

    def forward(
        self,
        x: Tensor,
        state: NTMState | Sequence[Any] | None = None,
        reset_experience: bool = False,
        pass_through_memory: bool = True,
    ) -> tuple[Tensor, NTMState]:
        """Run over a sequence.

        Args:
            x: [batch, time, input_channel], or [time, batch, input_channel] without `batch_first`.
            state: where to go on from, as (controller, memory, read vectors); each of them may be None for its initial
                value, and so may the whole.
            reset_experience: begin with the memory and the heads as they are at the very beginning, whatever `state`
                says of them; the rest of it counts.
            pass_through_memory: False: run the controller alone; the memory stays as it is, and wherever reads are
                used, those of `state` are.

        Returns:
            The output, with the axes of `x` and `output_size` channels, and the state afterwards.

        Raises:
            OptionError: an input of another shape, or a state of other parts or another batch, a ValueError.
        """
        options.sequence(x, self.input_size, self.batch_first)
        times = x.unbind(1 if self.batch_first else 0)
        controller, memory, reads = self._begin(state, len(times[0]), reset_experience)

        seen = []
        for x_t in times:
            hidden, controller = self.controller(torch.cat((x_t, reads.flatten(1)), dim=1), controller)
            shown = controller[-1][1] if self.heads_see == "cell" else hidden
            if pass_through_memory:
                reads, memory = self.memory(shown, memory)
            both = self.output_sees == "controller and reads"
            seen.append(torch.cat((hidden, reads.flatten(1)), dim=1) if both else hidden)
        # The output does not feed back, so it is computed for all times at once.
        outcome = torch.stack(seen, dim=1 if self.batch_first else 0)
        output = self.output(outcome)
        if self.output_sees == "controller and reads":
            self.memory.show_influence(self.output, outcome, reads.flatten(1).shape[1], self.batch_first)
        if self.output_activation == "sigmoid":
            output = torch.sigmoid(output)
        return output, NTMState(controller, memory, reads)

    def _begin(self, state: Sequence[Any] | None, batch: int, reset_experience: bool) -> NTMState:
        """What the first time begins with, shown to memviz."""
        given = (None, None, None) if state is None else tuple(state)
        if len(given) != 3:
            raise OptionError(f"a state is (controller, memory, read vectors), not {len(given)} parts")
        controller, memory, reads = given
        start = None
        if memory is None or reads is None or reset_experience:
            start = self.initial(batch)
        fresh = memory is None or reset_experience
        if start is not None:
            memory = start.memory if fresh else memory
            reads = start.read_vectors if reads is None else reads
        for part in (memory.memory, reads):
            if len(part) != batch:
                raise OptionError(f"the state is of a batch of {len(part)}, the input of {batch}")
        self.memory.begin(memory, reads, uniform=fresh and self.initial.uniform)
        return NTMState(self.controller.initial_state(batch) if controller is None else controller, memory, reads)


_UNUSUAL = ("cell", "controller")
"""Values of `heads_see` and `output_sees` that depart from the paper and that a record cannot show."""
