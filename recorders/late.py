"""Numbers that may still be on their way from a device: one can ask whether they are there, without waiting for it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Late:
    """The numbers of a small tensor, copied to host memory without waiting.

    Args:
        value: a floating-point tensor on any device.
    """

    def __init__(self, value: Tensor) -> None:
        value = value.detach()
        self._done: Any = None
        if value.device.type == "cuda":
            cuda: Any = torch.cuda
            self._host = torch.empty(value.shape, dtype=value.dtype, pin_memory=True)
            self._host.copy_(value, non_blocking=True)
            self._done = cuda.Event()
            self._done.record(cuda.current_stream(value.device))
        else:
            self._host = value.clone() if value.device.type == "cpu" else value.cpu()

    def ready(self) -> bool:
        """Whether the numbers have arrived."""
        return self._done is None or bool(self._done.query())

    def numbers(self) -> list[float]:
        """The numbers, flat. Waits for them when they have not arrived."""
        if self._done is not None:
            self._done.synchronize()
        return [float(number) for number in self._host.flatten().tolist()]
