"""A large array of rows that is read and written a few rows at a time, with exact gradients.

Both what a sparse memory holds and the values of its links change by one law: x[row] <- keep · x[row] + add, for a few
rows. Its gradient flows backward over the same rows: nothing in the backward pass is as large as the array, but for
one buffer of which only touched rows are ever looked at.

The order of reads and writes is kept by a *token*, an empty tensor that each write takes and gives: autograd then runs
a write backward after all reads of what it left. The write rolls the array back to what it found
(`memviz.demos.models.sparse_versions`), which it needs for the gradient of `keep`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from memviz.demos.models.sparse_versions import Versions


class Store:
    """Rows of some width, changed in place.

    Args:
        values: [row, width].
        versions: where changes are logged.

    Attributes:
        values: what the rows hold in the current version.
    """

    def __init__(self, values: Tensor, versions: Versions) -> None:
        self.values = values
        self.versions = versions
        self._gradient: Tensor | None = None
        self._seen: list[Tensor] = []
        self._pass = -1

    def gather(self, token: Tensor, rows: Tensor) -> Tensor:
        """What rows hold now; differentiable.

        Args:
            token: of the last write.
            rows: [...] of row numbers, in any number and order.

        Returns:
            [..., width].
        """
        found: Tensor = _Gather.apply(token, self, rows)  # type: ignore[no-untyped-call]
        return found

    def update(self, token: Tensor, rows: Tensor, keep: Tensor, add: Tensor) -> Tensor:
        """x[row] <- keep · x[row] + add, to be committed by the caller; differentiable in `keep` and `add`.

        Args:
            token: of the write before.
            rows: [...], each row once, but for rows with keep 1 and add 0.
            keep: [..., 1].
            add: [..., width].

        Returns:
            The token of this write.
        """
        done: Tensor = _Update.apply(token, keep, add, self, rows)  # type: ignore[no-untyped-call]
        return done

    def gradient(self, rows: Tensor) -> Tensor:
        """The buffer of ∂L/∂x of the backward pass in progress, [row, width], of which `rows` are about to be used."""
        running = torch._C._current_graph_task_id()
        if running < self._pass:
            raise RuntimeError("a backward pass through a sparse memory began inside of another one through it")
        if self._gradient is None:
            self._gradient = _untouched_zeros(self.values)
        if running > self._pass:
            for old in self._seen:
                self._gradient[old] = 0
            self._seen, self._pass = [], running
        self._seen.append(rows)
        return self._gradient


def _untouched_zeros(like: Tensor) -> Tensor:
    """Zeros that take no memory until they are touched, where the system can do that."""
    if like.device.type == "cpu" and like.dtype in (torch.float32, torch.float64):
        # torch.zeros writes to every page; numpy leaves it to the system.
        return torch.from_numpy(np.zeros(tuple(like.shape), np.float32 if like.dtype == torch.float32 else np.float64))
    return torch.zeros_like(like)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, token: Tensor, store: Store, rows: Tensor) -> Tensor:
        ctx.store, ctx.rows = store, rows.reshape(-1)
        ctx.save_for_backward(token)
        return store.values[rows]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        store: Store = ctx.store
        store.gradient(ctx.rows).index_add_(0, ctx.rows, grad.reshape(-1, store.values.shape[1]))
        return torch.zeros_like(ctx.saved_tensors[0]), None, None


class _Update(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, token: Tensor, keep: Tensor, add: Tensor, store: Store, rows: Tensor) -> Tensor:
        width = store.values.shape[1]
        ctx.store, ctx.rows, ctx.before = store, rows.reshape(-1), store.versions.current
        ctx.save_for_backward(token, keep)
        old = store.values[ctx.rows]
        store.versions.put(store.values, ctx.rows, torch.addcmul(add.reshape(-1, width), keep.reshape(-1, 1), old))
        return torch.zeros_like(token)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _: Tensor) -> tuple[Tensor, Tensor | None, Tensor, None, None]:
        token, keep = ctx.saved_tensors
        store: Store = ctx.store
        buffer = store.gradient(ctx.rows)
        store.versions.checkout(ctx.before)
        after = buffer[ctx.rows]
        buffer[ctx.rows] = keep.reshape(-1, 1) * after
        grad_keep = None
        if ctx.needs_input_grad[1]:
            grad_keep = (after * store.values[ctx.rows]).sum(dim=1).view(keep.shape)
        return torch.zeros_like(token), grad_keep, after.view(*keep.shape[:-1], -1), None, None
