"""From the class of the package `dnc` 1.1.0 to ours, with its weights: the same outputs, every internal open.

    ours = from_dnc_package(theirs)                          # a copy; theirs is left as it is
    output, state = ours(x, state_from_dnc_package(hidden))  # goes on from what theirs returned

Ours then has `wiring="package"`. A sequence that begins from nothing begins alike in both but for one thing: the
package draws the first hidden state of its controller at random each time, ours begins at zero. Two options are not
carried over because they change no output: `debug` (attach memviz) and `bidirectional` (which the package ignores).

The package itself is not imported here: its classes are told by their parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from memviz.demos.models.dnc import DNC
from memviz.demos.models.dnc_memory import DNCMemory
from memviz.demos.models.dnc_state import MemoryState
from memviz.errors import OptionError

_OPTIONS = (
    *("input_size", "hidden_size", "num_layers", "num_hidden_layers", "bias", "batch_first", "dropout", "nr_cells"),
    *("read_heads", "cell_size", "nonlinearity", "independent_linears", "share_memory", "clip"),
)
"""Options that both have, under the same names."""

_LINEARS = {
    "read_keys": "read_keys_transform",
    "read_strengths": "read_strengths_transform",
    "write_keys": "write_key_transform",
    "write_strengths": "write_strength_transform",
    "erase_vectors": "erase_vector_transform",
    "write_vectors": "write_vector_transform",
    "free_gates": "free_gates_transform",
    "allocation_gate": "allocation_gate_transform",
    "write_gate": "write_gate_transform",
    "read_modes": "read_modes_transform",
}
"""Parts of the interface vector in the order of the package, and what it calls the linear layer of each."""

_STATE = {
    "memory": "memory",
    "usage": "usage_vector",
    "link_matrix": "link_matrix",
    "precedence_weights": "precedence",
    "read_weights": "read_weights",
    "write_weights": "write_weights",
}
"""Parts of our memory's state, and their keys in the package's."""

_ALL = slice(None)

_MODES = (0, 2, 1)
"""Our read modes (backward, content, forward) by their places in the package's (backward, forward, content)."""


def from_dnc_package(model: nn.Module) -> DNC:
    """Our DNC with the options and weights of a `dnc.DNC` of the package `dnc` 1.1.0.

    Args:
        model: the package's model. Its weights are copied, with their device, dtype and `requires_grad`; training or
            eval mode is carried over too, hooks are not.

    Returns:
        A DNC that computes the same from the same state, within rounding.

    Raises:
        OptionError: it is another class, such as its SAM or SDNC, or a DNC of another version; or it was changed in a
            way that has no place in ours. The line says what was found.
    """
    _check_class(model)
    theirs: Any = model  # attributes of an nn.Module have no useful type
    options = {name: getattr(theirs, name) for name in _OPTIONS}
    ours = DNC(**options, rnn_type=theirs.rnn_type.lower(), wiring="package")

    source = dict(theirs.named_parameters())
    places = _places(ours)
    missing = next((place for place, _ in places.values() if place not in source), None)
    if missing is not None:
        raise OptionError(
            f"cannot carry over this {_name(model)}: it has no parameter {missing}; "
            "undo parametrizations such as weight norm first, and see that it is an unchanged dnc 1.1.0"
        )
    left = sorted(set(source) - {place for place, _ in places.values()})
    if left:
        raise OptionError(f"cannot carry over this {_name(model)}: our DNC has no place for {', '.join(left)}")
    target = {name: source[place].detach()[rows].clone() for name, (place, rows) in places.items()}
    _check_shapes(ours, target)

    first = next(iter(target.values()))
    ours.to(device=first.device, dtype=first.dtype)
    ours.load_state_dict(target)
    for name, parameter in ours.named_parameters():
        parameter.requires_grad_(source[places[name][0]].requires_grad)
    return ours.train(model.training)


def state_from_dnc_package(hidden: Sequence[Any]) -> tuple[Any, Any, Any]:
    """What the package's forward takes and returns as `(controller_hidden, memory, last_read)`, as ours takes it.

    Args:
        hidden: controller states per layer, each [hidden_layer, batch, hidden] (a pair of them for an LSTM); the dict
            of the shared memory, or a list with one per layer; the reads [batch, read_head * word]. Each may be None.

    Returns:
        The same with our names, the tensors shared and not copied.

    Raises:
        OptionError: it has other parts.
    """
    if not isinstance(hidden, tuple | list) or len(hidden) != 3:
        raise OptionError("a state of the package dnc is (controller_hidden, memory, last_read); this is none")
    controller, memory, last_read = hidden
    cells = None
    if controller is not None:
        cells = tuple(tuple(layer) if isinstance(layer, tuple | list) else (layer,) for layer in controller)
    held = None
    if memory is not None:
        held = _memory(memory) if isinstance(memory, Mapping) else tuple(_memory(each) for each in memory)
    return cells, held, last_read


def _memory(memory: Mapping[str, Tensor]) -> MemoryState:
    missing = [key for key in _STATE.values() if key not in memory]
    if missing:
        raise OptionError(f"this memory state has no {missing[0]!r}; only those of the dense dnc.DNC can be taken over")
    return MemoryState(**{field: memory[key] for field, key in _STATE.items()})


def _name(model: nn.Module) -> str:
    return f"{type(model).__module__}.{type(model).__qualname__}"


def _check_class(model: nn.Module) -> None:
    memories, name = getattr(model, "memories", None), _name(model)
    if not isinstance(memories, list) or not memories or not hasattr(model, "rnns"):
        raise OptionError(f"expected a dnc.DNC of the package dnc 1.1.0, not a {name}")
    if hasattr(memories[0], "rebuild_indexes"):
        raise OptionError(f"expected a dense dnc.DNC, not a {name}: the memory of SAM and SDNC is sparse")
    missing = [option for option in (*_OPTIONS, "rnn_type") if not hasattr(model, option)]
    if missing:
        raise OptionError(f"expected a dnc.DNC of the package dnc 1.1.0, not a {name} without {missing[0]}")
    if not hasattr(memories[0], "independent_linears"):
        raise OptionError(f"expected the memory of dnc 1.1.0 in the {name}, not a {type(memories[0]).__qualname__}")


def _places(ours: DNC) -> dict[str, tuple[str, Any]]:
    """For each of our parameters, which one of the package it comes from, and which of its rows, in which order."""
    found: dict[str, tuple[str, Any]] = {}
    for layer, controller in enumerate(ours.layers()):
        for number, cell in enumerate(controller.cells):
            for name, _ in cell.named_parameters():
                theirs = f"{controller.rnn_type}_layer_{layer}.{name}_l{number}"
                found[f"controller.{layer}.cells.{number}.{name}"] = theirs, _ALL
    for layer, memory in enumerate(ours.memories()):
        inside = "memory" if ours.shares_memory else f"memory.{layer}"
        outside = f"rnn_layer_memory_{'shared' if ours.shares_memory else layer}"
        for kind in ("weight", "bias"):
            if isinstance(memory.interface, nn.Linear):
                found[f"{inside}.interface.{kind}"] = f"{outside}.interface_weights.{kind}", _rows(memory)
                continue
            for part, linear in _LINEARS.items():
                rows = _mode_rows(memory) if part == "read_modes" else _ALL
                found[f"{inside}.interface.{part}.{kind}"] = f"{outside}.{linear}.{kind}", rows
    return found | {f"output.{kind}": (f"output.{kind}", _ALL) for kind in ("weight", "bias")}


def _rows(memory: DNCMemory) -> Tensor:
    """For each row of our interface layer, the row of the package's."""
    start, theirs = 0, {}
    for part in _LINEARS:
        size = torch.Size(memory.layout.shapes[part]).numel()
        theirs[part] = torch.arange(start, start + size)
        start += size
    theirs["read_modes"] = theirs["read_modes"][_mode_rows(memory)]
    return torch.cat([theirs[part] for part in memory.layout.shapes])


def _mode_rows(memory: DNCMemory) -> Tensor:
    """The rows of the read modes, three per head, in the order of ours."""
    return (3 * torch.arange(memory.read_heads).unsqueeze(1) + torch.tensor(_MODES)).flatten()


def _check_shapes(ours: DNC, target: Mapping[str, Tensor]) -> None:
    for name, parameter in ours.named_parameters():
        if parameter.shape != target[name].shape:
            raise OptionError(
                f"cannot carry over {name}: expected the shape {list(parameter.shape)} from the model's options, "
                f"found {list(target[name].shape)}"
            )
