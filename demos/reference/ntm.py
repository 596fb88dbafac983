"""A Neural Turing Machine in numpy float64, one item, head and slot at a time: the yardstick for the torch model.

Written from Graves et al. 2014, section 3 (equations 2 to 9), sharing no code with `memviz.demos.models`. What the
paper leaves open are keywords, named as the options of the torch model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memviz.demos.reference.record import ReferenceMemory

Array = NDArray[np.float64]
Weights = Mapping[str, Array]
Layer = list[Array]
"""State of one controller layer: hidden and cell of an LSTM, hidden of other cells, nothing of a feed-forward layer."""


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x)."""
    return np.asarray(1 / (1 + np.exp(-x)))


def softplus(x: Array) -> Array:
    """log(1 + e^x)."""
    return np.asarray(np.log(1 + np.exp(x)))


def softmax(x: Array) -> Array:
    """e^x / Σ e^x over a vector."""
    powers = np.exp(x - x.max())
    return np.asarray(powers / powers.sum())


@dataclass(frozen=True)
class Options:
    """What the paper leaves open; see `memviz.demos.models.NTM` and its `Dialect`.

    Attributes:
        shifts: allowed moves, in slots.
        write_order: "parallel", "series" or "last".
        waits: for each read head, after how many write heads it reads; after all of them where it is None.
        strengths: "softplus" or "oneplus".
        sharpening: "softplus" or "sigmoid".
        erase: "sigmoid" or "ones".
        bounded_by_tanh: fields that tanh bounds.
        cosine_delta: added to the product of norms.
        normalizing_delta: added to the sum after sharpening.
    """

    shifts: Sequence[int] = (-1, 0, 1)
    write_order: str = "parallel"
    waits: Sequence[int] | None = None
    strengths: str = "softplus"
    sharpening: str = "softplus"
    erase: str = "sigmoid"
    bounded_by_tanh: Sequence[str] = ()
    cosine_delta: float = 1e-6
    normalizing_delta: float = 0.0


def content_weighting(memory: Array, key: Array, strength: float, delta: float) -> Array:
    """Equations 5 and 6: memory [slot, word], key [word]; returns [slot]."""
    scores = np.zeros(len(memory))
    for i, row in enumerate(memory):
        scores[i] = strength * (key @ row) / (np.sqrt(key @ key) * np.sqrt(row @ row) + delta)
    return softmax(scores)


def location_weighting(
    content: Array, before: Array, gate: float, shift: Array, power: float, options: Options
) -> Array:
    """Equations 7, 8 and 9 for one head; content and before [slot], shift [shift]; returns [slot]."""
    slots = len(content)
    gated = np.array([gate * content[i] + (1 - gate) * before[i] for i in range(slots)])
    shifted = np.zeros(slots)
    for i in range(slots):
        for k, by in enumerate(options.shifts):
            shifted[(i + by) % slots] += gated[i] * shift[k]
    powers = shifted**power
    return np.asarray(powers / (powers.sum() + options.normalizing_delta))


class Memory:
    """The memory and heads of one item: their state, and one `step` per time that returns every internal by name."""

    def __init__(self, memory: Array, read_weights: Array, write_weights: Array, options: Options) -> None:
        self.memory, self.options = memory, options
        self.read_weights, self.write_weights = read_weights, write_weights
        self.slots, self.words = memory.shape
        self.read_heads, self.write_heads = len(read_weights), len(write_weights)

    def parse(self, vector: Array) -> dict[str, Array]:
        """What the heads emit cut up and bounded, in the order in which the torch model lays it out."""
        r, h, w, options = self.read_heads, self.write_heads, self.words, self.options
        parts, start = {}, 0
        for name, shape in (
            ("read_keys", (r, w)),
            ("write_keys", (h, w)),
            ("write_vectors", (h, w)),
            ("read_strengths", (r,)),
            ("write_strengths", (h,)),
            ("sharpening", (r + h,)),
            ("interpolation_gate", (r + h,)),
            ("erase_vectors", (h, w if options.erase == "sigmoid" else 0)),
            ("shift_weights", (r + h, len(options.shifts))),
        ):
            size = int(np.prod(shape))
            parts[name] = vector[start : start + size].reshape(shape)
            start += size
        for name in options.bounded_by_tanh:
            parts[name] = np.tanh(parts[name])
        for name in ("read_strengths", "write_strengths"):
            parts[name] = softplus(parts[name]) + (1 if options.strengths == "oneplus" else 0)
        parts["sharpening"] = 1 + (softplus if options.sharpening == "softplus" else sigmoid)(parts["sharpening"])
        parts["interpolation_gate"] = sigmoid(parts["interpolation_gate"])
        parts["erase_vectors"] = sigmoid(parts["erase_vectors"]) if options.erase == "sigmoid" else np.ones((h, w))
        parts["shift_weights"] = np.array([softmax(shift) for shift in parts["shift_weights"]])
        return parts

    def address(self, x: Mapping[str, Array], kind: str, head: int, memory: Array) -> tuple[Array, Array]:
        """Lookup and weighting of one head over the memory that it sees."""
        shared = head if kind == "read" else self.read_heads + head
        before = (self.read_weights if kind == "read" else self.write_weights)[head]
        strength = float(x[f"{kind}_strengths"][head])
        content = content_weighting(memory, x[f"{kind}_keys"][head], strength, self.options.cosine_delta)
        gate, power = float(x["interpolation_gate"][shared]), float(x["sharpening"][shared])
        return content, location_weighting(content, before, gate, x["shift_weights"][shared], power, self.options)

    def written(self, x: Mapping[str, Array], weights: Sequence[Array]) -> Array:
        """The memory after the first so many write heads (equations 3 and 4), from the memory of the time before."""
        memory, heads = self.memory.copy(), range(len(weights))
        if self.options.write_order == "last":
            heads = heads[-1:]
        for i in range(self.slots):
            for k in range(self.words):
                for h in heads:
                    memory[i, k] *= 1 - weights[h][i] * x["erase_vectors"][h, k]
                    if self.options.write_order == "series":
                        memory[i, k] += weights[h][i] * x["write_vectors"][h, k]
                if self.options.write_order != "series":
                    memory[i, k] += sum(weights[h][i] * x["write_vectors"][h, k] for h in heads)
        return memory

    def step(self, vector: Array) -> dict[str, Array]:
        """One time; `vector` is what the linear layer of the heads gives for this item."""
        x = self.parse(vector)
        write_content: list[Array] = []
        write: list[Array] = []
        for h in range(self.write_heads):
            seen = self.written(x, write) if self.options.write_order == "series" else self.memory
            content, weights = self.address(x, "write", h, seen)
            write_content.append(content)
            write.append(weights)

        read_content, read, vectors = [], [], []
        for r in range(self.read_heads):
            count = self.write_heads if self.options.waits is None else self.options.waits[r]
            seen = self.written(x, write[:count])
            content, weights = self.address(x, "read", r, seen)
            read_content.append(content)
            read.append(weights)
            # Equation 2.
            vectors.append(
                np.array([sum(weights[i] * seen[i, k] for i in range(self.slots)) for k in range(self.words)])
            )

        self.memory = self.written(x, write)
        self.read_weights, self.write_weights = np.array(read), np.array(write)
        return x | {
            "write_content_weights": np.array(write_content),
            "read_content_weights": np.array(read_content),
            "write_weights": self.write_weights,
            "read_weights": self.read_weights,
            "memory": self.memory.copy(),
            "read_vectors": np.array(vectors),
        }


def control(x: Array, layers: list[Layer], weights: Weights, rnn_type: str, clip: float) -> Array:
    """One time of the controller of one item; what the top layer gives. The state of each layer changes in place.

    Parameters have torch's layout: gates of an LSTM are input, forget, cell, output, those of a GRU reset, update, new.
    """
    for number, layer in enumerate(layers):
        own = {
            name.rpartition(".")[2]: value
            for name, value in weights.items()
            if name.startswith(f"controller.layers.{number}.")
        }
        if rnn_type == "feedforward":
            x = np.tanh(own["weight"] @ x + own["bias"])
            continue
        given = own["weight_ih"] @ x + own["bias_ih"]
        kept = own["weight_hh"] @ layer[0] + own["bias_hh"]
        if rnn_type == "lstm":
            i, f, g, o = (given + kept).reshape(4, -1)
            layer[1] = sigmoid(f) * layer[1] + sigmoid(i) * np.tanh(g)
            layer[0] = sigmoid(o) * np.tanh(layer[1])
            if clip:
                layer[1] = np.clip(layer[1], -clip, clip)
        elif rnn_type == "gru":
            (reset, update, new), (kept_reset, kept_update, kept_new) = given.reshape(3, -1), kept.reshape(3, -1)
            update = sigmoid(update + kept_update)
            layer[0] = (1 - update) * np.tanh(new + sigmoid(reset + kept_reset) * kept_new) + update * layer[0]
        else:
            layer[0] = np.tanh(given + kept)
        x = layer[0]
    return x


def run(
    x: Array,
    weights: Weights,
    *,
    memory: Array,
    read_weights: Array,
    write_weights: Array,
    read_vectors: Array,
    rnn_type: str = "lstm",
    clip: float = 20.0,
    heads_see: str = "output",
    output_sees: str = "controller and reads",
    output_activation: str = "none",
    options: Options | None = None,
) -> dict[str, Array]:
    """A whole NTM over a batch of sequences.

    Args:
        x: [batch, time, input_channel].
        weights: parameters by the names of `memviz.demos.models.NTM.state_dict()`, in float64.
        memory: before the first time, [batch, slot, word].
        read_weights: before the first time, [batch, read_head, slot].
        write_weights: before the first time, [batch, write_head, slot].
        read_vectors: what the controller sees at the first time, [batch, read_head, word].
        rnn_type: of the controller.
        clip: of an LSTM's cell, 0 for none.
        heads_see: "output" or "cell".
        output_sees: "controller and reads" or "controller".
        output_activation: "none" or "sigmoid".
        options: what the paper leaves open.

    Returns:
        Every internal by catalogue name, [time, batch, ...], and "output" as [time, batch, output_channel].
    """
    items = []
    for item, sequence in enumerate(x):
        heads = Memory(memory[item].copy(), read_weights[item], write_weights[item], options or Options())
        layers, reads, times = start_controller(weights, rnn_type), read_vectors[item], []
        for x_t in sequence:
            hidden = control(np.concatenate([x_t, reads.ravel()]), layers, weights, rnn_type, clip)
            shown = layers[-1][1] if heads_see == "cell" else hidden
            now = heads.step(weights["memory.interface.weight"] @ shown + weights["memory.interface.bias"])
            reads = now["read_vectors"]
            seen = np.concatenate([hidden, reads.ravel()]) if output_sees == "controller and reads" else hidden
            output = weights["output.weight"] @ seen + weights["output.bias"]
            now["output"] = sigmoid(output) if output_activation == "sigmoid" else output
            times.append(now)
        items.append(times)
    return {name: np.array([[item[t][name] for item in items] for t in range(x.shape[1])]) for name in items[0][0]}


def memory_of(
    result: Mapping[str, Array], *, initial: Mapping[str, Array], options: Options | None = None
) -> ReferenceMemory:
    """What `run` gave, ready for a `ReferenceTrace`.

    Args:
        result: of `run`.
        initial: what it was given: memory, read_weights and write_weights before the first time.
        options: as given to `run`.
    """
    options = options or Options()
    heads = result["write_weights"].shape[2]
    waits = [heads] * result["read_weights"].shape[2] if options.waits is None else list(options.waits)
    order: str | list[int] = waits
    if len(set(waits)) == 1 and waits[0] in (0, heads):
        order = "after_write" if waits[0] else "before_write"
    attributes = {
        "write_heads": heads,
        "write_order": options.write_order,
        "read_order": order,
        "shifts": list(options.shifts),
        "cosine_delta": options.cosine_delta,
        "normalizing_delta": options.normalizing_delta,
    }
    fields = {name: values for name, values in result.items() if name != "output"}
    fields |= {f"initial/{name}": values for name, values in initial.items()} | {"final/memory": result["memory"][-1]}
    return ReferenceMemory(fields, law="ntm", attributes=attributes)


def start_controller(weights: Weights, rnn_type: str) -> list[Layer]:
    """The controller of one item before the first time: learned where there are parameters for it, else zero."""
    numbers = {name.split(".")[2] for name in weights if name.startswith("controller.layers.")}
    kept = {"lstm": ("hidden", "cell"), "feedforward": ()}.get(rnn_type, ("hidden",))
    layers: list[Layer] = []
    for number in range(len(numbers)):
        width = weights[f"controller.layers.{number}.weight_hh"].shape[1] if kept else 0
        held = [weights.get(f"controller.initial_{name}") for name in kept]
        layers.append([np.zeros(width) if start is None else start[number].copy() for start in held])
    return layers
