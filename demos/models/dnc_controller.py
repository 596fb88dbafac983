"""One layer of a DNC's controller: recurrent cells stacked on one another, run one time at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from memviz.demos.models import options

RnnType = Literal["lstm", "gru", "rnn"]
Nonlinearity = Literal["tanh", "relu"]

_CELLS: dict[str, Callable[..., nn.Module]] = {"lstm": nn.LSTMCell, "gru": nn.GRUCell, "rnn": nn.RNNCell}

RNN_TYPES = tuple(_CELLS)
NONLINEARITIES = ("tanh", "relu")

CellState = tuple[Tensor, ...]
"""(hidden, cell) of an LSTM, (hidden,) of the others, each [batch, hidden]."""


class ControllerLayer(nn.Module):
    """`num_hidden_layers` recurrent cells, each fed by the one below.

    Args:
        input_size: width of what the lowest cell is fed.
        hidden_size: width of each cell.
        rnn_type: "lstm", "gru" or "rnn".
        num_hidden_layers: number of cells.
        bias: whether cells have biases.
        dropout: share of the values between two cells that is dropped while training, as in `torch.nn.LSTM`.
        nonlinearity: "tanh" or "relu", of an "rnn".
        clip: bound on the absolute value of the output; 0 for none.
        clip_state: also bound the recurrent state, as deepmind/dnc does.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        rnn_type: RnnType = "lstm",
        num_hidden_layers: int = 1,
        bias: bool = True,
        dropout: float = 0.0,
        nonlinearity: Nonlinearity = "tanh",
        clip: float = 0.0,
        clip_state: bool = False,
    ) -> None:
        super().__init__()
        options.one_of("rnn_type", rnn_type, RNN_TYPES)
        options.one_of("nonlinearity", nonlinearity, NONLINEARITIES)
        self.rnn_type = rnn_type
        self.hidden_size = hidden_size
        self.clip = clip
        self.clip_state = clip_state
        self.dropout = dropout
        extra: dict[str, Any] = {"nonlinearity": nonlinearity} if rnn_type == "rnn" else {}
        widths = [input_size] + [hidden_size] * (num_hidden_layers - 1)
        self.cells = nn.ModuleList(_CELLS[rnn_type](width, hidden_size, bias=bias, **extra) for width in widths)
        # Outputs of tanh never reach a bound of 1 or more.
        self._bounded = rnn_type != "rnn" or nonlinearity == "tanh"

    @property
    def parts(self) -> int:
        """Tensors that carry over from one time to the next per cell: 2 for an LSTM, 1 otherwise."""
        return 2 if self.rnn_type == "lstm" else 1

    def initial_state(self, zeros: Tensor) -> list[CellState]:
        """The state of each cell before the first time, from zeros [batch, hidden]."""
        return [(zeros,) * self.parts for _ in self.cells]

    def forward(self, x: Tensor, state: Sequence[CellState]) -> tuple[Tensor, list[CellState]]:
        """One time.

        Args:
            x: [batch, input_size].
            state: of each cell, after the time before.

        Returns:
            The clipped output of the last cell [batch, hidden], and the state of each cell.
        """
        after: list[CellState] = []
        for number, (cell, before) in enumerate(zip(self.cells, state, strict=True)):
            if number and self.dropout:
                x = nn.functional.dropout(x, self.dropout, self.training)
            now = cell(x, before) if self.rnn_type == "lstm" else (cell(x, before[0]),)
            if self.clip and self.clip_state:
                now = self._clip_state(now)
            after.append(now)
            x = now[0]
        if self.clip and not (self._bounded and self.clip >= 1):
            x = x.clamp(-self.clip, self.clip)
        return x, after

    def _clip_state(self, state: CellState) -> CellState:
        hidden, *rest = state
        if not (self._bounded and self.clip >= 1):
            hidden = hidden.clamp(-self.clip, self.clip)
        return hidden, *(value.clamp(-self.clip, self.clip) for value in rest)


def pack(state: Sequence[CellState]) -> tuple[Tensor, ...]:
    """The state of a layer as torch's own RNNs and the package `dnc` hold it: parts [hidden_layer, batch, hidden]."""
    return tuple(torch.stack(parts) for parts in zip(*state, strict=True))


def unpack(state: Sequence[Tensor]) -> list[CellState]:
    """The inverse of `pack`."""
    return list(zip(*(part.unbind(0) for part in state), strict=True))
