"""The memory of a DNC in numpy float64, one item and one slot at a time: the yardstick for the torch model.

Written from Graves et al. 2016, Methods ("Interface parameters", "Content-based addressing", "Dynamic memory
allocation", "Write weighting", "Temporal memory linkage", "Read weighting") and from Csordas and Schmidhuber 2019
(masking, de-allocation, link sharpening), sharing no code with `memviz.demos.models`. Departures from the papers are
those of the torch model and are named where they occur. `memviz.demos.reference.dnc` runs it under a controller.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memviz.demos.reference.dnc_controller import sigmoid

Array = NDArray[np.float64]

DELTA = 1e-6
"""Departure: added to the product of norms in the cosine, to usage before allocation (deepmind/dnc), and to a walk
along the links before it is sharpened (RobertCsordas/dnc)."""


def softplus(x: Array) -> Array:
    """log(1 + e^x). Departure: x itself beyond 20, as in torch, where the two differ by less than 3e-9."""
    return np.where(x > 20, x, np.log(1 + np.exp(np.minimum(x, 20))))


def softmax(x: Array) -> Array:
    """e^x / Σ e^x over a vector."""
    powers = np.exp(x - x.max())
    return np.asarray(powers / powers.sum())


def content_weighting(memory: Array, key: Array, strength: float, mask: Array | None = None) -> Array:
    """C(M, k, β): memory [slot, word], key and mask [word]; returns [slot]. A mask hides words of key and slots."""
    scores = np.zeros(len(memory))
    seen = np.ones(len(key)) if mask is None else mask
    key = seen * key
    for i, row in enumerate(memory):
        row = seen * row
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


def sharpened(walk: Array, power: float) -> Array:
    """S(d, s)[i] = (d[i] + δ)^s / Σ_j (d[j] + δ)^s over a walk d along the links."""
    lifted = [(max(value, 0.0) + DELTA) for value in walk]
    top = max(lifted)
    powers = np.array([(value / top) ** power for value in lifted])
    return np.asarray(powers / powers.sum())


@dataclass(frozen=True)
class Options:
    """What kind of memory it is; the names are those of `memviz.demos.models.DNC`."""

    read_heads: int = 1
    write_heads: int = 1
    masking: bool = False
    deallocation: bool = False
    link_sharpening: bool = False
    wiring: str = "paper"


class Memory:
    """The memory of one item: its state, and one `step` per time that returns every internal by catalogue name.

    Args:
        options: of the memory.
        state: memory [slot, word] and, zero where they are missing, usage [slot], link_matrix [write_head, slot, slot],
            precedence_weights, write_weights [write_head, slot], read_weights [read_head, slot].
    """

    def __init__(self, options: Options, state: Mapping[str, Array]) -> None:
        self.options = options
        self.read_heads, self.write_heads = options.read_heads, options.write_heads
        self.memory = np.array(state["memory"], dtype=float)
        self.slots, self.words = slots, _ = self.memory.shape
        self.usage = np.array(state.get("usage", np.zeros(slots)))
        self.link = np.array(state.get("link_matrix", np.zeros((self.write_heads, slots, slots))))
        self.precedence = np.array(state.get("precedence_weights", np.zeros((self.write_heads, slots))))
        self.read_weights = np.array(state.get("read_weights", np.zeros((self.read_heads, slots))))
        self.write_weights = np.array(state.get("write_weights", np.zeros((self.write_heads, slots))))

    def parse(self, vector: Array) -> dict[str, Array]:
        """The interface vector cut up and bounded, in the order in which the torch model lays it out."""
        r, h, w = self.read_heads, self.write_heads, self.words
        powers = (("forward_sharpening", (r,)), ("backward_sharpening", (r,))) if self.options.link_sharpening else ()
        masks = (("read_masks", (r, w)), ("write_masks", (h, w))) if self.options.masking else ()
        parts, start = {}, 0
        for name, shape in (
            ("read_keys", (r, w)),
            ("write_keys", (h, w)),
            ("write_vectors", (h, w)),
            ("read_strengths", (r,)),
            ("write_strengths", (h,)),
            *powers,
            ("erase_vectors", (h, w)),
            ("free_gates", (r,)),
            ("allocation_gate", (h,)),
            ("write_gate", (h,)),
            *masks,
            ("read_modes", (r, 1 + 2 * h)),
        ):
            size = int(np.prod(shape))
            parts[name] = vector[start : start + size].reshape(shape)
            start += size
        package = self.options.wiring == "package"
        for name in ("read_strengths", "write_strengths"):
            parts[name] = (0 if package else 1) + softplus(parts[name])
        for name, _ in powers:
            parts[name] = 1 + softplus(parts[name])
        for name in ("erase_vectors", "free_gates", "allocation_gate", "write_gate", *(name for name, _ in masks)):
            parts[name] = sigmoid(parts[name])
        if package:
            for name in ("read_keys", "write_keys", "write_vectors"):
                parts[name] = np.tanh(parts[name])
        parts["read_modes"] = np.array([softmax(modes) for modes in parts["read_modes"]])
        return parts

    def step(self, vector: Array) -> dict[str, Array]:
        """One time; `vector` is the interface vector of this item."""
        x = self.parse(vector)
        slots, heads = self.slots, self.write_heads
        # A head without a mask compares all words.
        read_masks, write_masks = x.get("read_masks", [None] * self.read_heads), x.get("write_masks", [None] * heads)

        kept = np.ones(slots)
        for i in range(slots):
            unwritten = np.prod([1 - self.write_weights[h, i] for h in range(heads)])
            retention = np.prod([1 - x["free_gates"][r] * self.read_weights[r, i] for r in range(self.read_heads)])
            written = 1 - unwritten
            self.usage[i] = (self.usage[i] + written - self.usage[i] * written) * retention
            kept[i] = retention

        # With several write heads each takes its share of the free list before the next (deepmind/dnc).
        allocation, taken = np.zeros((heads, slots)), self.usage.copy()
        for h in range(heads):
            allocation[h] = allocation_weighting(taken)
            taken = taken + (1 - taken) * x["write_gate"][h] * x["allocation_gate"][h] * allocation[h]

        write_content, write = np.zeros((heads, slots)), np.zeros((heads, slots))
        for h in range(heads):
            write_content[h] = content_weighting(
                self.memory, x["write_keys"][h], x["write_strengths"][h], write_masks[h]
            )
            gate = x["allocation_gate"][h]
            write[h] = x["write_gate"][h] * (gate * allocation[h] + (1 - gate) * write_content[h])

        for i in range(slots):
            for k in range(self.words):
                if self.options.deallocation:
                    self.memory[i, k] *= kept[i]
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
            read_content[r] = content_weighting(self.memory, x["read_keys"][r], x["read_strengths"][r], read_masks[r])
            modes = x["read_modes"][r]
            read[r] = modes[heads] * read_content[r]
            for h in range(heads):
                forward[r, h] = self.link[h] @ self.read_weights[r]
                backward[r, h] = self.link[h].T @ self.read_weights[r]
                if self.options.link_sharpening:
                    forward[r, h] = sharpened(forward[r, h], x["forward_sharpening"][r])
                    backward[r, h] = sharpened(backward[r, h], x["backward_sharpening"][r])
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
