"""The controller of an NTM: stacked LSTM, GRU or tanh cells, or a feed-forward network without a state of its own."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from memviz.demos.models.options import at_least_one, number, one_of

ControllerState = tuple[tuple[Tensor, ...], ...]
"""Per layer (hidden, cell) of an LSTM, (hidden,) of other cells, () of a feed-forward layer; each [batch, hidden]."""

_CELLS: dict[str, Callable[[int, int], nn.Module]] = {
    "lstm": nn.LSTMCell,
    "gru": nn.GRUCell,
    "rnn": nn.RNNCell,
    "feedforward": nn.Linear,
}

_KEPT = {"lstm": ("hidden", "cell"), "gru": ("hidden",), "rnn": ("hidden",), "feedforward": ()}


class Controller(nn.Module):
    """Cells stacked on each other; the lowest sees the input of the controller.

    Args:
        input_size: channels that the lowest layer sees.
        hidden_size: width of each layer.
        rnn_type: "lstm", "gru", "rnn" (tanh) or "feedforward" (tanh).
        num_layers: layers.
        clip: bound on the absolute value of an LSTM's cell; 0 for none.
        learned_start: the state before the first time is a parameter, `initial_hidden` and `initial_cell`
            [layer, hidden], instead of zero.

    Raises:
        OptionError: an option out of its range, a ValueError.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        rnn_type: str = "lstm",
        num_layers: int = 1,
        clip: float = 20.0,
        learned_start: bool = False,
    ) -> None:
        super().__init__()
        at_least_one(hidden_size=hidden_size, num_layers=num_layers)
        one_of("rnn_type", rnn_type, _CELLS)
        number(0, clip=clip)
        self.rnn_type = rnn_type
        self.hidden_size = hidden_size
        self.clip = clip
        widths = [input_size] + [hidden_size] * (num_layers - 1)
        self.layers = nn.ModuleList(_CELLS[rnn_type](width, hidden_size) for width in widths)
        for name in _KEPT[rnn_type] if learned_start else ():
            self.register_parameter(f"initial_{name}", nn.Parameter(torch.randn(num_layers, hidden_size) * 0.05))

    def initial_state(self, batch: int) -> ControllerState:
        """The state before the first time."""
        started = [getattr(self, f"initial_{name}", None) for name in _KEPT[self.rnn_type]]
        zeros = next(self.parameters()).new_zeros(batch, self.hidden_size)
        return tuple(
            tuple(zeros if held is None else held[layer].expand(batch, -1) for held in started)
            for layer in range(len(self.layers))
        )

    def forward(self, x: Tensor, state: ControllerState) -> tuple[Tensor, ControllerState]:
        """One time.

        Args:
            x: [batch, input_size].
            state: after the time before.

        Returns:
            What the top layer gives [batch, hidden_size], and the state after this time.
        """
        after: list[tuple[Tensor, ...]] = []
        for network, layer in zip(self.layers, state, strict=True):
            if self.rnn_type == "feedforward":
                x = torch.tanh(network(x))
            else:
                layer = network(x, layer) if self.rnn_type == "lstm" else (network(x, layer[0]),)
                if self.clip and self.rnn_type == "lstm":
                    # Hidden values are bounded by tanh; only the cell can grow.
                    layer = (layer[0], *(cell.clamp(-self.clip, self.clip) for cell in layer[1:]))
                x = layer[0]
            after.append(layer)
        return x, tuple(after)
