"""What a DNC carries from one sequence to the next, and the checks of a state that somebody hands in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor

from memviz.errors import OptionError


class MemoryState(NamedTuple):
    """What a DNC's memory carries from one time to the next.

    Axes: memory [batch, slot, word], usage [batch, slot], link_matrix [batch, write_head, slot_to, slot_from],
    precedence_weights and write_weights [batch, write_head, slot], read_weights [batch, read_head, slot].
    """

    memory: Tensor
    usage: Tensor
    link_matrix: Tensor
    precedence_weights: Tensor
    read_weights: Tensor
    write_weights: Tensor


class DNCState(NamedTuple):
    """What a DNC carries from one sequence to the next; the names are those of the package `dnc`.

    `controller_hidden` holds (hidden, cell) per layer for an LSTM and (hidden,) otherwise, each
    [hidden_layer, batch, hidden]; `memory` is one state when layers share a memory and a tuple of one per layer
    otherwise; `last_read` is [batch, read_head, word].
    """

    controller_hidden: tuple[tuple[Tensor, ...], ...]
    memory: MemoryState | tuple[MemoryState, ...]
    last_read: Tensor


def parts(state: Sequence[Any] | None) -> tuple[Any, Any, Any]:
    """(controller_hidden, memory, last_read) of a state in which any of them, or all, may be None.

    Raises:
        OptionError: it has not three parts.
    """
    if state is None:
        return None, None, None
    if not isinstance(state, tuple | list) or len(state) != 3:
        raise OptionError(
            f"the state must be (controller_hidden, memory, last_read), each of them or None, not {_words(state)}"
        )
    controller, memory, last_read = state
    return controller, memory, last_read


def check_parts(name: str, value: Any, shapes: Sequence[tuple[int, ...]]) -> None:
    """Whether a part of a state is a sequence of tensors of these shapes.

    Raises:
        OptionError: it is not; the line names the part.
    """
    if not isinstance(value, tuple | list) or len(value) != len(shapes):
        raise OptionError(f"{name} of the state must hold {len(shapes)}, not {_words(value)}")
    names = getattr(value, "_fields", range(len(shapes)))
    for part, tensor, shape in zip(names, value, shapes, strict=True):
        check_shape(f"{name}[{part}]" if isinstance(part, int) else f"{name}.{part}", tensor, shape)


def check_shape(name: str, value: Any, shape: tuple[int, ...]) -> None:
    """Whether a part of a state is a tensor of this shape.

    Raises:
        OptionError: it is not.
    """
    if not isinstance(value, Tensor) or tuple(value.shape) != shape:
        raise OptionError(f"{name} of the state must be a tensor of the shape {list(shape)}, not {_words(value)}")


def _words(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"one of the shape {list(value.shape)}"
    return f"{type(value).__name__} of {len(value)}" if isinstance(value, tuple | list) else type(value).__name__
