"""A whole DNC in numpy float64, in plain loops: the yardstick for the torch model and for recordings.

    weights = {name: value.numpy() for name, value in model.double().state_dict().items()}
    result = run(x, weights, slots=8, words=4, read_heads=2)       # every internal by name, [time, batch, ...]
    write_trace("runs/reference", x, weights, slots=8, words=4, read_heads=2)

How many layers, cells, memories and linear layers there are follows from the names of the weights. Dropout is left
out: the reference is the model in eval mode. It shares no code with `memviz.demos.models`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memviz.demos.reference.dnc_controller import Controller, Weights
from memviz.demos.reference.dnc_memory import DELTA as DELTA
from memviz.demos.reference.dnc_memory import Memory, Options
from memviz.demos.reference.record import ReferenceMemory, ReferenceTrace

Array = NDArray[np.float64]

INITIAL_MEMORY = 1e-6
"""What every word holds before the first time; 0 with the package's wiring."""

_PARTS = (
    *("read_keys", "write_keys", "write_vectors"),
    *("read_strengths", "write_strengths", "forward_sharpening", "backward_sharpening"),
    *("erase_vectors", "free_gates", "allocation_gate", "write_gate", "read_masks", "write_masks"),
    "read_modes",
)
"""Parts of the interface vector in their order, for `independent_linears`."""


def run(
    x: Array,
    weights: Weights,
    *,
    slots: int,
    words: int,
    read_heads: int = 1,
    write_heads: int = 1,
    memory: Array | float | None = None,
    rnn_type: str = "lstm",
    nonlinearity: str = "tanh",
    clip: float = 20.0,
    masking: bool = False,
    deallocation: bool = False,
    link_sharpening: bool = False,
    wiring: str = "paper",
    state: Sequence[Any] | None = None,
    pass_through_memory: bool = True,
) -> dict[str, Array]:
    """A whole DNC over a batch of sequences.

    Args:
        x: [batch, time, input_channel].
        weights: parameters by the names of `memviz.demos.models.DNC.state_dict()`, in float64.
        slots: N.
        words: W.
        read_heads: R.
        write_heads: H.
        memory: before the first time, broadcast to [batch, slot, word]; by default 1e-6, and 0 with the package's
            wiring.
        rnn_type: "lstm", "gru" or "rnn".
        nonlinearity: "tanh" or "relu", of an "rnn".
        clip: bound on the controller's output, and with the paper's wiring on its recurrent state; 0 for none.
        masking: lookups are masked.
        deallocation: what is freed is cleared.
        link_sharpening: walks along the links are sharpened.
        wiring: "paper" or "package".
        state: (controller_hidden, memory, last_read) with the axes of `memviz.demos.models.dnc_state.DNCState`, as
            arrays; the memory as a mapping by field, or one per layer. Zeros, and `memory`, by default.
        pass_through_memory: False leaves the memory out, and uses `last_read` of the state wherever reads are used.

    Returns:
        Every internal by catalogue name, [time, batch, ...], and "output" as [time, batch, output_channel]. With one
        memory per layer names begin with it: "memory.0/usage". With layers that share one, its times are its turns.
    """
    options = Options(read_heads, write_heads, masking, deallocation, link_sharpening, wiring)
    layers = 1 + max(int(match[1]) for match in (re.match(r"controller\.(\d+)\.", name) for name in weights) if match)
    prefixes = _memories(weights)
    held = _begun(x, weights, slots=slots, words=words, memory=memory, wiring=wiring, state=state)
    items = []
    for item, sequence in enumerate(x):
        controllers = []
        for layer in range(layers):
            before = None if state is None else [part[:, item] for part in state[0][layer]]
            controllers.append(Controller(weights, layer, rnn_type, nonlinearity, clip, wiring == "paper", before))
        memories = [Memory(options, {name: values[item] for name, values in each.items()}) for each in held]
        last_read = np.zeros(read_heads * words) if state is None else np.ravel(state[2][item])
        seen: dict[str, list[Array]] = {}
        for x_t in sequence:
            below, reads = np.concatenate([x_t, last_read]), last_read
            for layer, controller in enumerate(controllers):
                hidden = controller.step(below)
                if pass_through_memory:
                    turn = layer % len(memories)
                    now = memories[turn].step(_interface(hidden, weights, prefixes[turn]))
                    reads = now["read_vectors"].ravel()
                    name = f"{prefixes[turn].rstrip('.')}/" if len(memories) > 1 else ""
                    for field, values in now.items():
                        seen.setdefault(name + field, []).append(values)
                below = np.concatenate([hidden, reads])
            if wiring == "paper":
                last_read = reads
            seen.setdefault("output", []).append(weights["output.weight"] @ below + weights["output.bias"])
        items.append(seen)
    return {name: np.array([item[name] for item in items]).swapaxes(0, 1) for name in items[0]}


def memories(
    result: Mapping[str, Array],
    *,
    initial: Mapping[str, Array] | Sequence[Mapping[str, Array]],
    masking: bool = False,
    deallocation: bool = False,
    link_sharpening: bool = False,
) -> list[ReferenceMemory]:
    """What `run` gave as memories that can be written, each with its law and the state that it began with.

    Args:
        result: of `run`.
        initial: state before the first time by field, [batch, ...]; one per memory.
        masking: as for `run`.
        deallocation: as for `run`.
        link_sharpening: as for `run`.
    """
    begun = [initial] if isinstance(initial, Mapping) else list(initial)
    names = list(dict.fromkeys(name.partition("/")[0] for name in result if "/" in name)) or ["memory"]
    found = []
    for name, before in zip(names, begun, strict=True):
        prefix = f"{name}/" if len(names) > 1 else ""
        fields = {n.removeprefix(prefix): v for n, v in result.items() if n.startswith(prefix) and n != "output"}
        fields |= {f"initial/{field}": np.asarray(values) for field, values in before.items()}
        attributes: dict[str, Any] = {
            "allocation_delta": DELTA,
            "cosine_delta": DELTA,
            "sharpening_delta": DELTA,
            "write_heads": fields["write_weights"].shape[2],
            "masking": masking,
            "deallocation": deallocation,
            "link_sharpening": link_sharpening,
        }
        found.append(ReferenceMemory(fields, name, "dnc", attributes))
    return found


def write_trace(path: str | os.PathLike[str], x: Array, weights: Weights, *, step: int = 0, **options: Any) -> Path:
    """Run the reference and write what it did as a trace of one record, in float64.

    Args:
        path: directory of the run; the result says where it is, should there be a trace already.
        x: [batch, time, input_channel].
        weights: as for `run`.
        step: training step that the weights belong to.
        options: as for `run`.

    Raises:
        TraceError: the trace cannot be written.
    """
    result = run(x, weights, **options)
    names = ("slots", "words", "memory", "wiring", "state")
    begun = _begun(x, weights, **{name: options[name] for name in names if name in options})
    chosen = {name: bool(options.get(name)) for name in ("masking", "deallocation", "link_sharpening")}
    with ReferenceTrace(path, "dnc") as trace:
        trace.append(step, memories(result, initial=begun, **chosen), input=x.swapaxes(0, 1), output=result["output"])
    return trace.path


def _memories(weights: Weights) -> list[str]:
    """What the names of the parameters of each memory begin with."""
    found = {match[1] for match in (re.match(r"(memory\.(\d+\.)?)interface", name) for name in weights) if match}
    return sorted(found, key=lambda name: (len(name), name))


def _begun(
    x: Array,
    weights: Weights,
    *,
    slots: int,
    words: int,
    memory: Array | float | None = None,
    wiring: str = "paper",
    state: Sequence[Any] | None = None,
) -> list[Mapping[str, Array]]:
    """The state of each memory before the first time."""
    if state is not None and state[1] is not None:
        return [state[1]] if isinstance(state[1], Mapping) else list(state[1])
    if memory is None:
        memory = 0.0 if wiring == "package" else INITIAL_MEMORY
    return [{"memory": np.broadcast_to(memory, (len(x), slots, words))} for _ in _memories(weights)]


def _interface(hidden: Array, weights: Weights, prefix: str) -> Array:
    """The interface vector of the controller's output."""
    if f"{prefix}interface.weight" in weights:
        return np.asarray(weights[f"{prefix}interface.weight"] @ hidden + weights[f"{prefix}interface.bias"])
    names = [f"{prefix}interface.{part}" for part in _PARTS if f"{prefix}interface.{part}.weight" in weights]
    return np.concatenate([weights[f"{name}.weight"] @ hidden + weights[f"{name}.bias"] for name in names])
