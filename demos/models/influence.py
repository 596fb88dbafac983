"""What every memory here can show memviz besides its own fields: how much of the model's output comes from it."""

from __future__ import annotations

from torch import Tensor, nn

import memviz
from memviz.recorders.influence import FIELD, linear_share


class ShowsInfluence(nn.Module):
    """A memory beside whose controller a linear output layer sees what was read."""

    def show_influence(self, output: nn.Linear, seen: Tensor, reads: int, batch_first: bool) -> None:
        """Tap `memory_influence`, which is computed only when it is recorded; see memviz.recorders.influence.

        Args:
            output: the output layer.
            seen: its input, [batch, time, controller + reads], or time first.
            reads: how many of its last channels are read vectors.
            batch_first: which of the two.
        """
        axes = ("batch", "time") if batch_first else ("time", "batch")
        memviz.tap(FIELD, lambda: linear_share(output.weight, seen, reads), axes=axes)
