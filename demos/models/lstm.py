"""A plain LSTM: what a task takes without a memory."""

from __future__ import annotations

from torch import Tensor, nn

import memviz
from memviz.demos.models.options import at_least_one, sequence

State = tuple[Tensor, Tensor]
"""Hidden and cell state, each [layer, batch, cell]."""


class LSTM(nn.Module):
    """Layers of LSTM cells and a linear output, called as the models with a memory are.

    Its hidden state is tapped under the name `hidden`, [time, batch, cell], so that a run of it can be looked at.

    Args:
        input_size: channels of the input.
        hidden_size: cells per layer.
        output_size: channels of the output; `input_size` by default.
        num_layers: layers.

    Raises:
        OptionError: a size below 1.
    """

    def __init__(
        self, input_size: int, hidden_size: int = 64, output_size: int | None = None, num_layers: int = 1
    ) -> None:
        super().__init__()
        at_least_one(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        self.input_size = input_size
        self.lstm = nn.LSTM(input_size, hidden_size, num_layers, batch_first=True)
        self.output = nn.Linear(hidden_size, output_size or input_size)

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Run over a sequence [batch, time, input_channel]; gives the output and the state afterwards."""
        sequence(x, self.input_size, batch_first=True)
        hidden, state = self.lstm(x, state)
        memviz.tap("hidden", hidden, axes=("batch", "time", "cell"))
        return self.output(hidden), state
