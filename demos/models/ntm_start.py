"""What an NTM's state is before the first time: constants, learned values, or values drawn at random."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from memviz.demos.models.ntm_memory import NTMMemoryState
from memviz.demos.models.ntm_options import Start


class Beginning(NamedTuple):
    """The state before the first time: the heads' and memory's, and what the controller sees as the last reads."""

    memory: NTMMemoryState
    read_vectors: Tensor


class InitialState(nn.Module):
    """Gives the state before the first time for a batch.

    Its parameters and buffers are named for what they start: memory [slot, word], read_vectors [read_head, word],
    read_weights [read_head, slot] and write_weights [write_head, slot] (both through a softmax over slots).

    Args:
        start: where each part comes from.
        slots: N.
        words: W.
        read_heads: R.
        write_heads: H.
    """

    memory: Tensor | None
    read_vectors: Tensor | None
    read_weights: Tensor | None
    write_weights: Tensor | None
    like: Tensor

    def __init__(self, start: Start, slots: int, words: int, read_heads: int, write_heads: int) -> None:
        super().__init__()
        self.start = start
        self._read_heads, self._write_heads, self._slots, self._words = read_heads, write_heads, slots, words
        # Knows device and dtype where there is neither a parameter nor a buffer.
        self.register_buffer("like", torch.zeros(()), persistent=False)
        self._hold("memory", start.memory, slots, words, spread=0.1)
        self._hold("read_vectors", start.read_vectors, read_heads, words, spread=0.1)
        # Wide enough for each head to begin at a place: nothing else tells one slot of an even memory from another.
        self._hold("read_weights", start.weights, read_heads, slots, spread=1.0)
        self._hold("write_weights", start.weights, write_heads, slots, spread=1.0)

    def _hold(self, name: str, how: str, rows: int, columns: int, spread: float) -> None:
        values = torch.randn(rows, columns) * spread
        if how in ("learned", "sigmoid"):
            self.register_parameter(name, nn.Parameter(values))
        else:
            self.register_buffer(name, values if how == "random" else None)

    @property
    def uniform(self) -> bool:
        """Whether all words of the memory start equal."""
        return self.start.memory == "constant"

    def forward(self, batch: int) -> Beginning:
        """The state before the first time of `batch` sequences."""
        if self.memory is None:
            memory = self.like.new_full((batch, self._slots, self._words), self.start.value)
        else:
            values = torch.sigmoid(self.memory) if self.start.memory == "sigmoid" else self.memory
            memory = values.expand(batch, -1, -1)
        weights = (
            self._weights(self.read_weights, batch, self._read_heads),
            self._weights(self.write_weights, batch, self._write_heads),
        )
        return Beginning(NTMMemoryState(memory, *weights), self._reads(batch))

    def _weights(self, held: Tensor | None, batch: int, heads: int) -> Tensor:
        if held is not None:
            return torch.softmax(held, dim=1).expand(batch, -1, -1)
        weights = self.like.new_zeros(batch, heads, self._slots)
        if self.start.weights == "first_slot":
            weights[:, :, 0] = 1
        return weights

    def _reads(self, batch: int) -> Tensor:
        shape = (batch, self._read_heads, self._words)
        if self.read_vectors is not None:
            return self.read_vectors.expand(shape)
        if self.start.read_vectors == "redrawn":
            # U(-√(6/W), √(6/W)), what kaiming_uniform_ draws for W inputs.
            return self.like.new_empty(shape).uniform_(-1, 1) * math.sqrt(6 / self._words)
        return self.like.new_zeros(shape)
