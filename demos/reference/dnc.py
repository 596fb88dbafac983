"""A DNC in numpy float64, one item and one slot at a time: the yardstick for the torch model and for recordings.

Written from Graves et al. 2016, Methods ("Interface parameters", "Content-based addressing", "Dynamic memory
allocation", "Write weighting", "Temporal memory linkage", "Read weighting"), sharing no code with
`memviz.demos.models`. Departures from the paper are those of the torch model and are named where they occur.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

DELTA = 1e-6
"""Departure: added to the product of norms in the cosine, and to usage before allocation (deepmind/dnc)."""

INITIAL_MEMORY = 1e-6


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x)."""
    return np.asarray(1 / (1 + np.exp(-x)))


def softmax(x: Array) -> Array:
    """e^x / Σ e^x over a vector."""
    powers = np.exp(x - x.max())
    return np.asarray(powers / powers.sum())


def content_weighting(memory: Array, key: Array, strength: float) -> Array:
    """C(M, k, β): memory [slot, word], key [word]; returns [slot]."""
    scores = np.zeros(len(memory))
    for i, row in enumerate(memory):
        scores[i] = strength * (key @ row) / (np.sqrt(key @ key) * np.sqrt(row @ row) + DELTA)
    return softmax(scores)


def allocation_weighting(usage: Array) -> Array:
    """Allocation a over slots, from usage [slot]: the free list is in ascending order of usage, ties by index."""
    lifted = DELTA + (1 - DELTA) * usage
    allocation, product = np.zeros(len(usage)), 1.0
    for slot in sorted(range(len(usage)), key=lambda i: (lifted[i], i)):
        allocation[slot] = (1 - lifted[slot]) * product
        product *= lifted[slot]
    return allocation


def lstm_cell(x: Array, h: Array, c: Array, weights: Mapping[str, Array], prefix: str) -> tuple[Array, Array]:
    """One LSTM time of one item, with torch's parameter layout (input, forget, cell, output); returns h and c."""
    gates = weights[f"{prefix}weight_ih"] @ x + weights[f"{prefix}bias_ih"]
    gates = gates + weights[f"{prefix}weight_hh"] @ h + weights[f"{prefix}bias_hh"]
    i, f, g, o = gates.reshape(4, -1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


class Memory:
    """The memory of one item: its state, and one `step` per time that returns every internal by catalogue name."""

    def __init__(self, memory: Array, read_heads: int, write_heads: int) -> None:
        self.memory, self.read_heads, self.write_heads = memory, read_heads, write_heads
        self.slots, self.words = slots, _ = memory.shape
        self.usage = np.zeros(slots)
        self.link = np.zeros((write_heads, slots, slots))
        self.precedence = np.zeros((write_heads, slots))
        self.read_weights = np.zeros((read_heads, slots))
        self.write_weights = np.zeros((write_heads, slots))

    def parse(self, vector: Array) -> dict[str, Array]:
        """The interface vector cut up and bounded, in the order in which the torch model lays it out."""
        r, h, w = self.read_heads, self.write_heads, self.words
        parts, start = {}, 0
        for name, shape in (
            ("read_keys", (r, w)),
            ("write_keys", (h, w)),
            ("write_vectors", (h, w)),
            ("read_strengths", (r,)),
            ("write_strengths", (h,)),
            ("erase_vectors", (h, w)),
            ("free_gates", (r,)),
            ("allocation_gate", (h,)),
            ("write_gate", (h,)),
            ("read_modes", (r, 1 + 2 * h)),
        ):
            size = int(np.prod(shape))
            parts[name] = vector[start : start + size].reshape(shape)
            start += size
        for name in ("read_strengths", "write_strengths"):
            parts[name] = 1 + np.log(1 + np.exp(parts[name]))
        for name in ("erase_vectors", "free_gates", "allocation_gate", "write_gate"):
            parts[name] = sigmoid(parts[name])
        parts["read_modes"] = np.array([softmax(modes) for modes in parts["read_modes"]])
        return parts

    def step(self, vector: Array) -> dict[str, Array]:
        """One time; `vector` is the interface vector of this item."""
        x = self.parse(vector)
        slots, heads = self.slots, self.write_heads

        for i in range(slots):
            unwritten = np.prod([1 - self.write_weights[h, i] for h in range(heads)])
            retention = np.prod([1 - x["free_gates"][r] * self.read_weights[r, i] for r in range(self.read_heads)])
            written = 1 - unwritten
            self.usage[i] = (self.usage[i] + written - self.usage[i] * written) * retention

        # With several write heads each takes its share of the free list before the next (deepmind/dnc).
        allocation, taken = np.zeros((heads, slots)), self.usage.copy()
        for h in range(heads):
            allocation[h] = allocation_weighting(taken)
            taken = taken + (1 - taken) * x["write_gate"][h] * x["allocation_gate"][h] * allocation[h]

        write_content, write = np.zeros((heads, slots)), np.zeros((heads, slots))
        for h in range(heads):
            write_content[h] = content_weighting(self.memory, x["write_keys"][h], x["write_strengths"][h])
            gate = x["allocation_gate"][h]
            write[h] = x["write_gate"][h] * (gate * allocation[h] + (1 - gate) * write_content[h])

        for i in range(slots):
            for k in range(self.words):
                for h in range(heads):
                    self.memory[i, k] *= 1 - write[h, i] * x["erase_vectors"][h, k]
                self.memory[i, k] += sum(write[h, i] * x["write_vectors"][h, k] for h in range(heads))

        for h in range(heads):
            link = np.zeros((slots, slots))
            for i in range(slots):
                for j in range(slots):
                    if i != j:
                        link[i, j] = (1 - write[h, i] - write[h, j]) * self.link[h, i, j]
                        link[i, j] += write[h, i] * self.precedence[h, j]
            self.link[h] = link
            self.precedence[h] = (1 - write[h].sum()) * self.precedence[h] + write[h]

        read_content = np.zeros((self.read_heads, slots))
        forward, backward = np.zeros((2, self.read_heads, heads, slots))
        read = np.zeros((self.read_heads, slots))
        for r in range(self.read_heads):
            read_content[r] = content_weighting(self.memory, x["read_keys"][r], x["read_strengths"][r])
            modes = x["read_modes"][r]
            read[r] = modes[heads] * read_content[r]
            for h in range(heads):
                forward[r, h] = self.link[h] @ self.read_weights[r]
                backward[r, h] = self.link[h].T @ self.read_weights[r]
                read[r] += modes[h] * backward[r, h] + modes[heads + 1 + h] * forward[r, h]

        self.write_weights, self.read_weights = write, read
        x["read_modes"] = np.array([[m[:heads].sum(), m[heads], m[heads + 1 :].sum()] for m in x["read_modes"]])
        return x | {
            "write_weights": write,
            "read_weights": read,
            "usage": self.usage.copy(),
            "allocation_weights": allocation,
            "write_content_weights": write_content,
            "read_content_weights": read_content,
            "forward_weights": forward,
            "backward_weights": backward,
            "precedence_weights": self.precedence.copy(),
            "link_matrix": self.link.copy(),
            "memory": self.memory.copy(),
            "read_vectors": np.array([read[r] @ self.memory for r in range(self.read_heads)]),
        }


def run(
    x: Array,
    weights: Mapping[str, Array],
    *,
    slots: int,
    words: int,
    read_heads: int = 1,
    write_heads: int = 1,
    memory: Array | float = INITIAL_MEMORY,
) -> dict[str, Array]:
    """A whole DNC with an LSTM controller over a batch of sequences.

    Args:
        x: [batch, time, input_channel].
        weights: parameters by the names of `memviz.demos.models.DNC.state_dict()`, in float64.
        slots: N.
        words: W.
        read_heads: R.
        write_heads: H.
        memory: before the first time, broadcast to [batch, slot, word].

    Returns:
        Every internal by catalogue name, [time, batch, ...], and "output" as [time, batch, output_channel].
    """
    layers = sum(name.startswith("controller.") and name.endswith("weight_hh") for name in weights)
    hidden = weights["controller.0.weight_hh"].shape[1]
    initial = np.broadcast_to(memory, (len(x), slots, words))
    items = []
    for sequence, before in zip(x, initial, strict=True):
        cells = Memory(before.copy(), read_heads, write_heads)
        h, c = np.zeros((layers, hidden)), np.zeros((layers, hidden))
        reads, times = np.zeros((read_heads, words)), []
        for x_t in sequence:
            below = np.concatenate([x_t, reads.ravel()])
            for layer in range(layers):
                h[layer], c[layer] = lstm_cell(below, h[layer], c[layer], weights, f"controller.{layer}.")
                below = h[layer]
            now = cells.step(weights["memory.interface.weight"] @ below + weights["memory.interface.bias"])
            reads = now["read_vectors"]
            seen = np.concatenate([below, reads.ravel()])
            now["output"] = weights["output.weight"] @ seen + weights["output.bias"]
            times.append(now)
        items.append(times)
    return {name: np.array([[item[t][name] for item in items] for t in range(x.shape[1])]) for name in items[0][0]}
