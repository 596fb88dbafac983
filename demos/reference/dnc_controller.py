"""The recurrent cells of a DNC's controller in numpy float64, one item at a time, with torch's layout of parameters."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Weights = Mapping[str, Array]


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x), in a form that does not overflow."""
    return np.asarray(np.exp(-np.logaddexp(0, -x)))


def lstm_cell(x: Array, state: Sequence[Array], weights: Weights, prefix: str, _: str) -> tuple[Array, ...]:
    """One LSTM time (gates in the order input, forget, cell, output); returns h and c."""
    h, c = state
    gates = _affine(x, weights, f"{prefix}weight_ih", f"{prefix}bias_ih")
    gates = gates + _affine(h, weights, f"{prefix}weight_hh", f"{prefix}bias_hh")
    i, f, g, o = gates.reshape(4, -1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru_cell(x: Array, state: Sequence[Array], weights: Weights, prefix: str, _: str) -> tuple[Array, ...]:
    """One GRU time (gates in the order reset, update, new); returns h."""
    (h,) = state
    below = _affine(x, weights, f"{prefix}weight_ih", f"{prefix}bias_ih").reshape(3, -1)
    before = _affine(h, weights, f"{prefix}weight_hh", f"{prefix}bias_hh").reshape(3, -1)
    reset, update = sigmoid(below[0] + before[0]), sigmoid(below[1] + before[1])
    new = np.tanh(below[2] + reset * before[2])
    return ((1 - update) * new + update * h,)


def rnn_cell(x: Array, state: Sequence[Array], weights: Weights, prefix: str, nonlinearity: str) -> tuple[Array, ...]:
    """One time of a plain recurrent cell; returns h."""
    (h,) = state
    total = _affine(x, weights, f"{prefix}weight_ih", f"{prefix}bias_ih")
    total = total + _affine(h, weights, f"{prefix}weight_hh", f"{prefix}bias_hh")
    return (np.tanh(total) if nonlinearity == "tanh" else np.maximum(total, 0),)


_CELLS: Mapping[str, Callable[[Array, Sequence[Array], Weights, str, str], tuple[Array, ...]]] = {
    "lstm": lstm_cell,
    "gru": gru_cell,
    "rnn": rnn_cell,
}


class Controller:
    """One layer of the controller of one item: stacked cells and their state.

    Args:
        weights: parameters of the whole DNC by name.
        layer: number of this layer.
        rnn_type: "lstm", "gru" or "rnn".
        nonlinearity: "tanh" or "relu", of an "rnn".
        clip: bound on the absolute value of the output; 0 for none.
        clip_state: bound the recurrent state too (deepmind/dnc).
        state: parts (hidden, and the cell of an LSTM), each [hidden_layer, hidden]; zeros by default.
    """

    def __init__(
        self,
        weights: Weights,
        layer: int,
        rnn_type: str,
        nonlinearity: str,
        clip: float,
        clip_state: bool,
        state: Sequence[Array] | None = None,
    ) -> None:
        self.weights, self.rnn_type, self.nonlinearity = weights, rnn_type, nonlinearity
        self.clip, self.clip_state = clip, clip_state
        found = (re.match(rf"(controller\.{layer}\.cells\.\d+\.)weight_hh", name) for name in weights)
        self.prefixes = sorted((match[1] for match in found if match), key=lambda prefix: (len(prefix), prefix))
        hidden = weights[f"{self.prefixes[0]}weight_hh"].shape[1]
        parts = 2 if rnn_type == "lstm" else 1
        zeros = [np.zeros((len(self.prefixes), hidden)) for _ in range(parts)]
        self.state = [[part[number] for part in state or zeros] for number in range(len(self.prefixes))]

    def step(self, x: Array) -> Array:
        """One time; the output of the highest cell."""
        for number, prefix in enumerate(self.prefixes):
            now = _CELLS[self.rnn_type](x, self.state[number], self.weights, prefix, self.nonlinearity)
            if self.clip and self.clip_state:
                now = tuple(np.clip(part, -self.clip, self.clip) for part in now)
            self.state[number] = list(now)
            x = now[0]
        return np.clip(x, -self.clip, self.clip) if self.clip else x


def _affine(x: Array, weights: Weights, weight: str, bias: str) -> Array:
    total = weights[weight] @ x
    return total + weights[bias] if bias in weights else total
