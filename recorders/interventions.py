"""What can be changed when a recorded sequence is run again: one small object per question.

Each says which fields it needs at one control point, and what it replaces at a time. All batch items are treated alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from memviz.recorders.controls import BEFORE


class Intervention(Protocol):
    """A change to the run of a model."""

    @property
    def needs(self) -> Sequence[str]:
        """The fields read or replaced, all at one control point."""
        ...

    def edit(self, time: int, values: dict[str, Tensor]) -> Mapping[str, Tensor]:
        """The replaced fields at one time, by name; empty for none."""
        ...

    def text(self) -> str:
        """What it does, to follow "with": "the write at t=4 removed"."""
        ...


@dataclass(frozen=True)
class RemoveWrite:
    """Shut the write gate at one time, so that nothing is written, erased, linked or taken into use.

    A memory without a write gate, such as an NTM, neither erases nor adds at that time; its heads move all the same.

    Attributes:
        time: which write.
        head: of which write head; all by default.
    """

    time: int
    head: int | None = None
    needs = ("write_gate",)
    instead = ("erase_vectors", "write_vectors")

    def edit(self, time: int, values: dict[str, Tensor]) -> Mapping[str, Tensor]:
        """See Intervention.edit."""
        if time != self.time:
            return {}
        names = self.needs if "write_gate" in values else self.instead
        changed = {name: values[name].clone() for name in names}
        for value in changed.values():
            value[:, slice(None) if self.head is None else self.head] = 0
        return changed

    def text(self) -> str:
        """See Intervention.text."""
        head = "" if self.head is None else f" by head {self.head}"
        return f"the write at t={self.time}{head} removed"


@dataclass(frozen=True)
class FreezeGate:
    """Hold a gate, a strength or the read modes at a value.

    Attributes:
        field: such as "write_gate", "free_gates", "allocation_gate", "read_modes".
        value: a number; for read modes three, in the order backward, content, forward.
        times: when; always by default.
    """

    field: str
    value: float | tuple[float, ...]
    times: Sequence[int] | None = None

    @property
    def needs(self) -> Sequence[str]:
        """See Intervention.needs."""
        return (self.field,)

    def edit(self, time: int, values: dict[str, Tensor]) -> Mapping[str, Tensor]:
        """See Intervention.edit."""
        if self.times is not None and time not in self.times:
            return {}
        old = values[self.field]
        return {self.field: torch.as_tensor(self.value, dtype=old.dtype, device=old.device).expand_as(old).clone()}

    def text(self) -> str:
        """See Intervention.text."""
        when = "" if self.times is None else f" at t={', '.join(map(str, self.times))}"
        return f"{self.field} held at {self.value}{when}"


@dataclass(frozen=True)
class ClearSlot:
    """Set a slot to zero just before a time; its usage and links stay."""

    slot: int
    time: int
    needs = (f"{BEFORE}memory",)

    def edit(self, time: int, values: dict[str, Tensor]) -> Mapping[str, Tensor]:
        """See Intervention.edit."""
        if time != self.time:
            return {}
        memory = values[f"{BEFORE}memory"].clone()
        memory[:, self.slot] = 0
        return {f"{BEFORE}memory": memory}

    def text(self) -> str:
        """See Intervention.text."""
        return f"slot {self.slot} cleared before t={self.time}"


@dataclass(frozen=True)
class SharpenLinks:
    """Sharpen the forward and backward weightings: (d / max d)^s, scaled to the mass that d had before.

    The link sharpness control of Csordas and Schmidhuber 2019, but with a fixed power and without adding mass:
    a model that was trained without it has no power to emit and relies on the mass it had.

    Attributes:
        power: s, at least 1.
    """

    power: float
    needs = ("forward_weights", "backward_weights")

    def edit(self, time: int, values: dict[str, Tensor]) -> Mapping[str, Tensor]:
        """See Intervention.edit."""
        return {name: self._sharpen(values[name]) for name in self.needs}

    def _sharpen(self, weights: Tensor) -> Tensor:
        tiny = torch.finfo(weights.dtype).tiny
        sharp = (weights / weights.amax(-1, keepdim=True).clamp_min(tiny)).clamp_min(0) ** self.power
        return sharp / sharp.sum(-1, keepdim=True).clamp_min(tiny) * weights.sum(-1, keepdim=True)

    def text(self) -> str:
        """See Intervention.text."""
        return f"links sharpened by the power {self.power:g}"


@dataclass(frozen=True)
class Deallocate:
    """Clear what is freed: M ∘ ψ before the write, the de-allocation of Csordas and Schmidhuber 2019."""

    needs = (f"{BEFORE}memory", f"{BEFORE}read_weights", "free_gates")

    def edit(self, time: int, values: dict[str, Tensor]) -> Mapping[str, Tensor]:
        """See Intervention.edit."""
        reads, gates = values[f"{BEFORE}read_weights"], values["free_gates"]
        retention = torch.prod(1 - gates.unsqueeze(2) * reads, dim=1)
        return {f"{BEFORE}memory": values[f"{BEFORE}memory"] * retention.unsqueeze(2)}

    def text(self) -> str:
        """See Intervention.text."""
        return "freed slots cleared (de-allocation)"
