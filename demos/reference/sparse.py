"""A SAM and an SDNC in numpy float64 with dense arrays and plain loops: the yardstick for the sparse torch models.

Written from Rae et al. 2016 (section 3 and supplement D) and, for the links, Graves et al. 2016, sharing no code with
`memviz.demos.models`. Every weighting is a vector over all slots, of which all but the K largest entries are set to
zero; nothing is stored sparsely, so nothing of what makes the torch models fast can hide a mistake here. With K = N
nothing is set to zero, and this is the dense model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memviz.demos.reference.record import ReferenceMemory

Array = NDArray[Any]

DELTA = 1e-6
"""Added to the product of norms in the cosine."""

ACCESSED = 0.005
"""A slot counts as accessed from this weight on (Rae et al. 2016, section 3.2)."""

INITIAL_MEMORY = 1e-6


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x)."""
    return np.asarray(1 / (1 + np.exp(-x)))


def softmax(x: Array) -> Array:
    """e^x / Σ e^x over a vector."""
    powers = np.exp(x - x.max())
    return np.asarray(powers / powers.sum())


def lstm_cell(x: Array, h: Array, c: Array, weights: Mapping[str, Array], prefix: str) -> tuple[Array, Array]:
    """One LSTM time of one item, with torch's parameter layout (input, forget, cell, output); returns h and c."""
    gates = weights[f"{prefix}weight_ih"] @ x + weights[f"{prefix}bias_ih"]
    gates = gates + weights[f"{prefix}weight_hh"] @ h + weights[f"{prefix}bias_hh"]
    i, f, g, o = gates.reshape(4, -1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def keep_largest(values: Array, count: int) -> tuple[Array, float]:
    """The vector with all but its `count` largest entries set to zero, and what was taken away."""
    kept = np.zeros_like(values)
    for i in sorted(range(len(values)), key=lambda i: (-values[i], i))[:count]:
        kept[i] = values[i]
    return kept, float(values.sum() - kept.sum())


class Memory:
    """The memory of one item: its state, and one `step` per time that returns every internal, dense.

    Args:
        memory: [slot, word], before the first time.
        read_heads: R.
        sparse_reads: K.
        temporal_reads: K_L; 0 for a SAM.
    """

    def __init__(self, memory: Array, read_heads: int, sparse_reads: int, temporal_reads: int = 0) -> None:
        self.memory, self.read_heads = memory, read_heads
        self.slots, self.words = memory.shape
        self.nearest = min(sparse_reads, self.slots)
        self.linked = min(temporal_reads, self.slots)
        self.time = 0
        self.last_access = np.zeros(self.slots, int)
        self.read_weights = np.zeros((read_heads, self.slots))
        self.link = np.zeros((self.slots, self.slots))
        self.precedence = np.zeros(self.slots)

    def parse(self, vector: Array) -> dict[str, Array]:
        """The interface vector cut up and bounded, in the order in which the torch model lays it out."""
        r, w = self.read_heads, self.words
        parts, start = {}, 0
        for name, shape in (
            ("read_keys", (r, w)),
            ("write_vectors", (1, w)),
            ("read_strengths", (r,)),
            ("allocation_gate", (1,)),
            ("write_gate", (1,)),
            ("read_modes", (r, 3 if self.linked else 0)),
        ):
            size = int(np.prod(shape))
            parts[name] = vector[start : start + size].reshape(shape)
            start += size
        parts["read_strengths"] = 1 + np.log(1 + np.exp(parts["read_strengths"]))
        for name in ("allocation_gate", "write_gate"):
            parts[name] = sigmoid(parts[name])
        modes = parts.pop("read_modes")
        if self.linked:
            parts["read_modes"] = np.array([softmax(of_head) for of_head in modes])
        return parts

    def step(self, vector: Array) -> dict[str, Array]:
        """One time; `vector` is the interface vector of this item."""
        x = self.parse(vector)
        self.time += 1
        least_used = min(range(self.slots), key=lambda i: (self.last_access[i], i))

        write, gate = np.zeros(self.slots), x["allocation_gate"][0]
        for i in range(self.slots):
            read = sum(self.read_weights[r, i] for r in range(self.read_heads)) / self.read_heads
            write[i] = x["write_gate"][0] * (gate * (i == least_used) + (1 - gate) * read)
        self.memory[least_used] = 0
        for i in range(self.slots):
            self.memory[i] = self.memory[i] + write[i] * x["write_vectors"][0]

        result = x | {"least_used": np.array([least_used]), "write_weights": write[None]}
        if self.linked:
            result |= self.follow(write)
        content, left = np.zeros((2, self.read_heads, self.slots)), np.zeros(self.read_heads)
        read_weights = np.zeros((self.read_heads, self.slots))
        for r in range(self.read_heads):
            content[0, r], content[1, r], left[r] = self.look_up(x["read_keys"][r], x["read_strengths"][r])
            read_weights[r] = content[0, r]
            if self.linked:
                back, by_content, on = x["read_modes"][r]
                read_weights[r] = by_content * content[0, r]
                read_weights[r] += on * result["forward_weights"][r, 0] + back * result["backward_weights"][r, 0]
        self.read_weights = read_weights
        for i in range(self.slots):
            if write[i] > ACCESSED or (read_weights[:, i] > ACCESSED).any():
                self.last_access[i] = self.time
        return result | {
            "read_content_weights": content[0],
            "read_content_left_out": left,
            "read_weights": read_weights,
            "memory": self.memory.copy(),
            "read_vectors": read_weights @ self.memory,
            "last_access": self.last_access.copy(),
        }

    def look_up(self, key: Array, strength: float) -> tuple[Array, Array, float]:
        """The softmax over the K nearest slots; that over all; how much of the second lies on the others."""
        cosine = np.zeros(self.slots)
        for i, row in enumerate(self.memory):
            cosine[i] = (key @ row) / (np.sqrt(key @ key) * np.sqrt(row @ row) + DELTA)
        chosen = sorted(range(self.slots), key=lambda i: (-cosine[i], i))[: self.nearest]
        weights, whole = np.zeros(self.slots), softmax(strength * cosine)
        weights[chosen] = softmax(strength * cosine[chosen])
        return weights, whole, float(1 - whole[chosen].sum())

    def follow(self, write: Array) -> dict[str, Array]:
        """Enter a write into links and precedence, and walk from where each head read at the time before."""
        link = np.zeros((self.slots, self.slots))
        for i in range(self.slots):
            for j in range(self.slots):
                if i != j:
                    link[i, j] = (1 - write[i] - write[j]) * self.link[i, j] + write[i] * self.precedence[j]
        for i in range(self.slots):
            link[i], _ = keep_largest(link[i], self.linked)
        for j in range(self.slots):
            link[:, j], _ = keep_largest(link[:, j], self.linked)
        self.link = link
        self.precedence, left = keep_largest((1 - write.sum()) * self.precedence + write, self.linked)

        walks: dict[str, Array] = {}
        for name, matrix in (("forward", link), ("backward", link.T)):
            kept = [keep_largest(matrix @ self.read_weights[r], self.linked) for r in range(self.read_heads)]
            walks[f"{name}_weights"] = np.array([[weights] for weights, _ in kept])
            walks[f"{name}_left_out"] = np.array([rest for _, rest in kept])
        return walks | {
            "link_matrix": link[None].copy(),
            "precedence_weights": self.precedence[None].copy(),
            "precedence_left_out": np.array([left]),
        }


def run(
    x: Array,
    weights: Mapping[str, Array],
    *,
    slots: int,
    words: int,
    read_heads: int = 1,
    sparse_reads: int = 4,
    temporal_reads: int = 0,
    memory: Array | float = INITIAL_MEMORY,
) -> dict[str, Array]:
    """A whole SAM, or with `temporal_reads` an SDNC, with an LSTM controller over a batch of sequences.

    Args:
        x: [batch, time, input_channel].
        weights: parameters by the names of `memviz.demos.models.SAM.state_dict()`, in float64.
        slots: N.
        words: W.
        read_heads: R.
        sparse_reads: K.
        temporal_reads: K_L; 0 for a SAM.
        memory: before the first time, broadcast to [batch, slot, word].

    Returns:
        Every internal by catalogue name, dense, [time, batch, ...]; "last_access" [time, batch, slot]; the memory
        before as "initial/memory"; and "output" as [time, batch, output_channel].
    """
    layers = sum(name.startswith("controller.") and name.endswith("weight_hh") for name in weights)
    hidden = weights["controller.0.weight_hh"].shape[1]
    initial = np.broadcast_to(memory, (len(x), slots, words))
    items = []
    for sequence, before in zip(x, initial, strict=True):
        cells = Memory(before.copy(), read_heads, sparse_reads, temporal_reads)
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
    result = {name: np.array([[item[t][name] for item in items] for t in range(x.shape[1])]) for name in items[0][0]}
    return result | {"initial/memory": initial.astype(np.float64)}


def memory_of(result: Mapping[str, Array], temporal_reads: int = 0) -> ReferenceMemory:
    """What `run` returned, as the memory of a reference trace (`memviz.demos.reference.record`).

    Args:
        result: of `run`.
        temporal_reads: as given to `run`.
    """
    own = {name: values for name, values in result.items() if name not in ("output", "last_access")}
    attributes = {"slots": result["memory"].shape[2], "temporal_reads": temporal_reads, "cosine_delta": DELTA}
    return ReferenceMemory(
        own | {"final/memory": result["memory"][-1]}, "memory", "sdnc" if temporal_reads else "sam", attributes
    )
