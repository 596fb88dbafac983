"""In what public Neural Turing Machines differ, as options: how heads are bounded, how they act and how they start.

The paper (Graves et al. 2014) leaves much of this open; `ntm_presets` says who chose what.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

from memviz.demos.models.options import number, one_of
from memviz.errors import OptionError

WriteOrder = Literal["parallel", "series", "last"]
ReadOrder = Literal["after_write", "before_write", "in_turn"] | Sequence[int]

TANH_FIELDS = ("read_keys", "write_keys", "write_vectors")
"""What a head emits without bounds, unless it is asked to bound it by tanh."""

_START = {
    "memory": ("constant", "learned", "sigmoid", "random"),
    "read_vectors": ("zero", "learned", "random", "redrawn"),
    "weights": ("first_slot", "zero", "learned", "random"),
    "controller": ("zero", "learned"),
}


@dataclass(frozen=True)
class Start:
    """What each part of the state is before the first time.

    "learned" is a parameter; "random" is drawn once, when the model is made, and stays (a buffer of the state dict);
    "redrawn" is drawn anew for every sequence and item.

    Attributes:
        memory: "constant" (`value` everywhere), "learned", "sigmoid" (of a learned value) or "random".
        read_vectors: "zero", "learned", "random" or "redrawn".
        weights: "first_slot", "zero", or a softmax of "learned" or "random" values. With a constant memory all slots
            are alike, so somebody has to say where a head is.
        controller: "zero" or "learned".
        value: the constant.
    """

    memory: str = "constant"
    read_vectors: str = "zero"
    weights: str = "first_slot"
    controller: str = "zero"
    value: float = 1e-6

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.name in _START:
                one_of(f"the {field.name} of initial_state", getattr(self, field.name), _START[field.name])
        number(**{"the value of initial_state": self.value})


STARTS = {
    "constant": Start(),
    "learned": Start(memory="learned", read_vectors="learned", weights="learned", controller="learned"),
}
"""The initial states that have a name of their own."""


@dataclass(frozen=True)
class Dialect:
    """How a head's parameters are bounded, and small constants in its equations.

    Attributes:
        strengths: β is "softplus", positive as in the paper, or "oneplus", at least 1 as in a DNC.
        sharpening: γ is 1 + "softplus" or 1 + "sigmoid", which is at most 2.
        erase: the erase vector is a "sigmoid", or "ones": what is written replaces what was there.
        bounded_by_tanh: which of `TANH_FIELDS` are bounded by tanh.
        cosine_delta: added to the product of norms in the lookup.
        normalizing_delta: added to the sum that the weighting is divided by after sharpening.
    """

    strengths: str = "softplus"
    sharpening: str = "softplus"
    erase: str = "sigmoid"
    bounded_by_tanh: tuple[str, ...] = ()
    cosine_delta: float = 1e-6
    normalizing_delta: float = 0.0

    def __post_init__(self) -> None:
        one_of("strengths", self.strengths, ("softplus", "oneplus"))
        one_of("sharpening", self.sharpening, ("softplus", "sigmoid"))
        one_of("erase", self.erase, ("sigmoid", "ones"))
        number(0, 1, cosine_delta=self.cosine_delta, normalizing_delta=self.normalizing_delta)
        for name in self.bounded_by_tanh:
            one_of("each of bounded_by_tanh", name, TANH_FIELDS)


def allowed_shifts(shifts: Sequence[int]) -> tuple[int, ...]:
    """The allowed shifts of a head: distinct whole numbers, one at least.

    Raises:
        OptionError: they are not.
    """
    found = tuple(shifts)
    if not found or len(set(found)) < len(found) or not all(type(shift) is int for shift in found):
        raise OptionError(f"shifts must be distinct whole numbers such as (-1, 0, 1), not {shifts!r}")
    return found


def writes_before_reads(order: ReadOrder, read_heads: int, write_heads: int) -> tuple[int, ...]:
    """For each read head, after how many write heads it reads.

    Raises:
        OptionError: an order that is none.
    """
    if isinstance(order, str):
        one_of("read_order", order, ("after_write", "before_write", "in_turn"))
        turns = {"after_write": [write_heads] * read_heads, "before_write": [0] * read_heads}
        return tuple(turns.get(order) or (min(head, write_heads) for head in range(read_heads)))
    counts = tuple(order)
    if len(counts) != read_heads or not all(type(n) is int and 0 <= n <= write_heads for n in counts):
        raise OptionError(
            f"read_order must say for each of {read_heads} read heads after how many of {write_heads} write heads it "
            f"reads, not {order!r}"
        )
    return counts
