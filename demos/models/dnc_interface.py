"""The interface of a DNC: what its controller tells the memory at one time, cut out of one vector and bounded.

Graves et al. 2016, Methods, "Interface parameters"; masks and the powers that sharpen links are those of Csordas and
Schmidhuber 2019.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

Bounds = Literal["paper", "package"]
"""`paper`: keys and write vectors are free, strengths oneplus. `package`: tanh and softplus, as in `dnc` 1.1.0."""


class Interface(NamedTuple):
    """The interface vector ξ_t, parsed and bounded; `mode` runs over one backward and one forward mode per write head.

    Axes: keys, vectors and masks [batch, head, word], strengths, powers and gates [batch, head], read_modes
    [batch, read_head, mode] in the order backward per write head, content, forward per write head. Masks are there
    with `masking`, the powers of sharpening with `link_sharpening`.
    """

    read_keys: Tensor
    write_keys: Tensor
    write_vectors: Tensor
    read_strengths: Tensor
    write_strengths: Tensor
    erase_vectors: Tensor
    free_gates: Tensor
    allocation_gate: Tensor
    write_gate: Tensor
    read_modes: Tensor
    read_masks: Tensor | None = None
    write_masks: Tensor | None = None
    forward_sharpening: Tensor | None = None
    backward_sharpening: Tensor | None = None

    def present(self) -> dict[str, Tensor]:
        """The parts that this model emits, by name."""
        return {name: value for name, value in zip(self._fields, self, strict=True) if value is not None}


class Layout:
    """Where each part lies in the interface vector: grouped by the function that bounds it, so that each runs once.

    Args:
        words: W.
        read_heads: R.
        write_heads: H.
        masking: a mask per head.
        link_sharpening: two powers per read head.
        bounds: see `Bounds`.

    Attributes:
        shapes: shape of each part of one item, by name, in the order of the vector.
        size: width of the vector: RW + 3HW + 3H + 2R + R(1 + 2H), the paper's WR + 3W + 5R + 3 for H = 1, and with
            masks (R + H) W more, with sharpening 2R more.
    """

    def __init__(
        self, words: int, read_heads: int, write_heads: int, masking: bool, link_sharpening: bool, bounds: Bounds
    ) -> None:
        r, h, w = read_heads, write_heads, words
        free = {"read_keys": (r, w), "write_keys": (h, w), "write_vectors": (h, w)}
        strengths = {"read_strengths": (r,), "write_strengths": (h,)}
        powers = {"forward_sharpening": (r,), "backward_sharpening": (r,)} if link_sharpening else {}
        gates = {"erase_vectors": (h, w), "free_gates": (r,), "allocation_gate": (h,), "write_gate": (h,)}
        masks = {"read_masks": (r, w), "write_masks": (h, w)} if masking else {}
        modes = {"read_modes": (r, 1 + 2 * h)}
        self._bounds = bounds
        self._strengths = r + h
        groups: tuple[Mapping[str, tuple[int, ...]], ...] = (free, strengths | powers, gates | masks, modes)
        self.shapes: dict[str, tuple[int, ...]] = {n: s for group in groups for n, s in group.items()}
        self._sizes = tuple(_width(group) for group in groups)
        self._shapes = tuple(self.shapes.values())
        self._widths = tuple(math.prod(shape) for shape in self._shapes)
        self.size = sum(self._sizes)

    def parse(self, vector: Tensor) -> Interface:
        """Cut up and bound an interface vector [batch, size]: gates in [0, 1], modes a distribution, strengths > 0."""
        values = _Parse.apply(  # type: ignore[no-untyped-call]
            vector, self._sizes, self._widths, self._shapes, self._strengths, self._bounds == "package"
        )
        return Interface(**dict(zip(self.shapes, values, strict=True)))


class _Parse(torch.autograd.Function):
    """The whole of `Layout.parse` as one node; autograd would keep some thirty for as many small operations."""

    @staticmethod
    def forward(
        ctx: Any,
        vector: Tensor,
        sizes: tuple[int, ...],
        widths: tuple[int, ...],
        shapes: tuple[tuple[int, ...], ...],
        strengths: int,
        package: bool,
    ) -> tuple[Tensor, ...]:
        """Cut up and bound `vector`, [batch, size].

        `sizes` are those of the groups free, positive, gates and modes; `widths` and `shapes` those of the parts, of
        which the modes are the last; of the positive ones the first `strengths` are strengths, the others powers.
        """
        free, positive, gates, modes = torch.split(vector, list(sizes), dim=1)
        raised = nn.functional.softplus(positive)
        # Powers below 1 would blur, whatever the strengths are.
        raised[:, strengths if package else 0 :] += 1
        modes = torch.softmax(modes.view(-1, *shapes[-1]), dim=-1)
        whole = torch.cat((torch.tanh(free) if package else free, raised, torch.sigmoid(gates), modes.flatten(1)), 1)
        ctx.save_for_backward(positive, whole)
        ctx.sizes, ctx.modes, ctx.package = sizes, shapes[-1], package
        # A view costs its bookkeeping, so what has the right axes is left alone.
        parts = zip(torch.split(whole, list(widths), dim=1), shapes, strict=True)
        return tuple(part if len(shape) == 1 else part.view(-1, *shape) for part, shape in parts)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None, None, None]:
        """The gradient of the vector, from those of all parts."""
        positive, whole = ctx.saved_tensors
        grad = torch.cat([part.flatten(1) for part in grads], dim=1)
        free, raised, gates, modes = torch.split(grad, ctx.sizes, dim=1)
        values, _, opened, chosen = torch.split(whole, ctx.sizes, dim=1)
        if ctx.package:
            free.mul_(1 - values.square())
        raised.mul_(torch.sigmoid(positive))
        gates.mul_(opened).mul_(1 - opened)
        modes.mul_(chosen)
        # Of a softmax: the gradient less its mean under the distribution.
        shape = (len(grad), *ctx.modes)
        mean = modes.view(shape).sum(dim=-1, keepdim=True)
        modes.view(shape).addcmul_(chosen.view(shape), mean, value=-1)
        return grad.to(positive.dtype), None, None, None, None, None


class IndependentLinears(nn.ModuleDict):
    """One linear layer per part of the interface vector instead of one for all (`independent_linears` of `dnc`).

    It computes the same function; what differs is how parameters are grouped, named and counted by an optimizer that
    treats each tensor on its own.
    """

    def __init__(self, input_size: int, layout: Layout) -> None:
        super().__init__({name: nn.Linear(input_size, math.prod(shape)) for name, shape in layout.shapes.items()})

    def forward(self, x: Tensor) -> Tensor:
        """The interface vector [batch, size] of the controller's output [batch, input_size]."""
        return torch.cat([linear(x) for linear in self.values()], dim=1)


def _width(group: Mapping[str, tuple[int, ...]]) -> int:
    return sum(math.prod(shape) for shape in group.values())
