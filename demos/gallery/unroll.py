"""Run the memory of a DNC over what its controller emits, with the option to get one of its equations wrong.

The right equations are those of `memviz.analysis.dynamics`. A fault in an implementation is a replacement for one of
them; a fault in what the controller does is a change of what goes in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memviz.analysis import dynamics
from memviz.testing.simulate import COSINE_DELTA

Array = NDArray[np.floating]

INTERFACE = (
    "write_gate",
    "allocation_gate",
    "free_gates",
    "read_modes",
    "write_strengths",
    "read_strengths",
    "write_keys",
    "read_keys",
    "erase_vectors",
    "write_vectors",
)
"""What the controller emits at every time; the axes are those of the catalogue."""


def _content(memory: Array, keys: Array, strengths: Array) -> Array:
    return dynamics.content_weights(memory, keys, strengths, COSINE_DELTA)


@dataclass(frozen=True, slots=True)
class Equations:
    """The equations that a fault may replace; each takes and gives arrays without a time axis.

    `content` (memory, keys, strengths), `allocate` (usage), `write` (memory, weights, erase vectors, write vectors).
    """

    content: Callable[[Array, Array, Array], Array] = _content
    allocate: Callable[[Array], Array] = dynamics.allocate
    write: Callable[[Array, Array, Array, Array], Array] = dynamics.write_in_parallel


LAWFUL = Equations()


def unroll(interface: Mapping[str, Array], initial: Array, equations: Equations = LAWFUL) -> dict[str, Array]:
    """All fields of a DNC with one write head.

    Args:
        interface: the fields of INTERFACE, [time, batch, ...].
        initial: memory before the first time, [batch, slot, word].
        equations: what to compute with.

    Returns:
        The interface, the state and the weightings by name in the catalogue, and the keyframes `initial/memory` and
        `final/memory`; float32.
    """
    x = interface
    times, batch, read_heads = x["free_gates"].shape
    slots = initial.shape[1]
    memory = initial.astype(np.float32)
    usage, precedence = np.zeros((batch, slots), np.float32), np.zeros((batch, 1, slots), np.float32)
    link = np.zeros((batch, 1, slots, slots), np.float32)
    write, read = np.zeros((batch, 1, slots), np.float32), np.zeros((batch, read_heads, slots), np.float32)
    frames: list[dict[str, Array]] = []
    for t in range(times):
        usage = dynamics.update_usage(usage, write, read, x["free_gates"][t])
        allocation = equations.allocate(usage)[:, None]
        write_content = equations.content(memory, x["write_keys"][t], x["write_strengths"][t])
        gate, share = x["write_gate"][t][..., None], x["allocation_gate"][t][..., None]
        write = gate * (share * allocation + (1 - share) * write_content)
        memory = equations.write(memory, write, x["erase_vectors"][t], x["write_vectors"][t])
        link = dynamics.update_link(link, precedence, write)
        precedence = dynamics.update_precedence(precedence, write)
        forward, backward = dynamics.step_forward(link, read), dynamics.step_backward(link, read)
        read_content = equations.content(memory, x["read_keys"][t], x["read_strengths"][t])
        modes = x["read_modes"][t]
        read = modes[..., :1] * backward[:, :, 0] + modes[..., 1:2] * read_content + modes[..., 2:] * forward[:, :, 0]
        frames.append(
            {
                "usage": usage,
                "allocation_weights": allocation,
                "write_content_weights": write_content,
                "write_weights": write,
                "memory": memory,
                "link_matrix": link,
                "precedence_weights": precedence,
                "forward_weights": forward,
                "backward_weights": backward,
                "read_content_weights": read_content,
                "read_weights": read,
                "read_vectors": dynamics.read(memory, read),
            }
        )
    fields = {name: np.stack([frame[name] for frame in frames]) for name in frames[0]}
    fields |= {name: np.asarray(x[name]) for name in INTERFACE}
    fields |= {"initial/memory": initial, "final/memory": fields["memory"][-1]}
    return {name: values.astype(np.float32) for name, values in fields.items()}
