"""What is recorded of what is reachable: which fields, which batch items, in which number format."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from memviz import fields
from memviz.analysis.replay import derivable
from memviz.errors import RecorderError
from memviz.recorders.capture import MemoryInfo
from memviz.trace.schema import MemorySchema

INTERNALS = frozenset({"write_content_weights", "read_content_weights", "forward_weights", "backward_weights"})
"""Intermediate results that `fields="default"` leaves out of what adapters reach."""

OPT_IN = frozenset({"memory_influence"})
"""What is computed beside the model for those who ask for it by name, or for everything."""

STATES = frozenset(
    {
        "memory",
        "link_matrix",
        "usage",
        "precedence_weights",
        "read_vectors",
        "allocation_weights",
        "fast_weights",
        "fast_reads",
    }
)
"""What `fields="default"` leaves out where a law lets memviz derive it exactly."""

KEYFRAMES = ("memory", "fast_weights")
"""States whose last value is recorded when they are derived: what the derivation is checked against."""

DTYPES: Mapping[str, torch.dtype] = {
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float32": torch.float32,
}


@dataclass(frozen=True, slots=True)
class FieldChoice:
    """The argument `fields` of memviz.attach: "default", "all", or names, bare or full; ["default", "usage"] adds."""

    mode: str
    names: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, value: str | Sequence[str]) -> FieldChoice:
        """Read the argument.

        Raises:
            RecorderError: it is none of these.
        """
        if isinstance(value, str):
            if value not in ("default", "all"):
                raise RecorderError(
                    f'fields={value!r}: expected "default", "all" or a list of names such as [{value!r}]'
                )
            return cls(value)
        names = frozenset(value)
        if not names or not all(isinstance(name, str) for name in names):
            raise RecorderError(f'fields={value!r}: expected "default", "all" or a list of names of fields')
        mode = "all" if "all" in names else "default" if "default" in names else "named"
        return cls(mode, names - {"all", "default"})

    def choose(self, memory: str, info: MemoryInfo, reachable: Collection[str]) -> frozenset[str]:
        """The fields of one memory to record, bare names, keyframes included.

        Args:
            memory: its name.
            info: its law and attributes, and whether it comes from taps, which someone put there on purpose.
            reachable: bare names of what probes or taps bring.
        """
        last = {f"{fields.FINAL_PREFIX}{name}" for name in reachable}
        named = {name for name in {*reachable, *last} if name in self.names or f"{memory}/{name}" in self.names}
        if self.mode == "named":
            return frozenset(named)
        if self.mode == "all":
            return frozenset({*reachable, *named})
        wanted = frozenset(reachable if info.tapped or memory == fields.MODEL else set(reachable) - INTERNALS)
        wanted -= OPT_IN.union(info.attributes.get("on_request", ()))
        droppable = (STATES | INTERNALS) & wanted
        derived = derivable(MemorySchema(memory, info.law, attributes=info.attributes), wanted - droppable) & droppable
        frames = {f"{fields.FINAL_PREFIX}{name}" for name in KEYFRAMES if name in derived - named}
        return (wanted - derived) | frames | named


class BatchChoice:
    """The argument `batch` of memviz.attach: one item, several, a slice, "all" or "worst".

    Attributes:
        worst: whether the losses of the items decide, which are known after the forward.
    """

    def __init__(self, value: int | slice | Sequence[int] | str) -> None:
        """Read the argument.

        Raises:
            RecorderError: it is none of these.
        """
        self._value: slice | tuple[int, ...]
        self.worst = isinstance(value, str) and value == "worst"
        if self.worst:
            self._value = (0,)
        elif isinstance(value, int):
            self._value = (value,)
        elif isinstance(value, slice):
            self._value = value
        elif value == "all":
            self._value = slice(None)
        elif not isinstance(value, str) and value:
            if not all(type(item) is int for item in value):
                raise RecorderError(f"batch={value!r}: expected positions of batch items, which are whole numbers")
            self._value = tuple(value)
        else:
            raise RecorderError(f'batch={value!r}: expected a position, a list of positions, a slice, "all" or "worst"')

    def items(self, size: int) -> tuple[int, ...]:
        """The positions to record of a batch of `size` items; those that it does not have are left out.

        Where the losses should decide, this is what is recorded without them.
        """
        if isinstance(self._value, slice):
            return tuple(range(*self._value.indices(size)))
        return tuple(item % size for item in self._value if -size <= item < size)

    def __str__(self) -> str:
        if self.worst:
            return "the batch item with the largest loss"
        if isinstance(self._value, slice):
            return "all batch items" if self._value == slice(None) else f"batch items {self._value}"
        items = ", ".join(map(str, self._value))
        return f"batch item {items}" if len(self._value) == 1 else f"batch items {items}"


def parse_dtype(value: str | None) -> torch.dtype | None:
    """The argument `dtype` of memviz.attach; None keeps values as the model computed them.

    Raises:
        RecorderError: no such format.
    """
    if value is None:
        return None
    if value not in DTYPES:
        raise RecorderError(f"dtype={value!r}: expected None (as computed) or one of {', '.join(DTYPES)}")
    return DTYPES[value]


def storable(values: Tensor, dtype: torch.dtype | None) -> Tensor:
    """The values in a format that a trace can hold: `dtype` for floating point, or as they are.

    Eight-bit floats become float16, which holds each of their values exactly.
    """
    if values.is_floating_point():
        if dtype is not None:
            return values.to(dtype)
        return values.to(torch.float16) if values.element_size() == 1 else values
    return values
