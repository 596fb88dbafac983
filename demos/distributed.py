"""Several processes that train one model: what torchrun says about them, and what they must agree on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from memviz.errors import OptionError


@dataclass(frozen=True, slots=True)
class World:
    """The processes of a run.

    Attributes:
        rank: of this one.
        size: how many there are.
        device: where this one computes.
    """

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    @property
    def first(self) -> bool:
        """Whether this is the process that speaks and writes checkpoints."""
        return self.rank == 0

    def wrapped(self, model: nn.Module) -> nn.Module:
        """The model to call in training: one that averages gradients over the processes where there are several."""
        return DistributedDataParallel(model) if self.size > 1 else model

    def all_agree(self, yes: bool) -> bool:
        """Whether every process says yes; waits for all."""
        if self.size == 1:
            return yes
        votes = torch.tensor(int(yes), device=self.device)
        distributed.all_reduce(votes, distributed.ReduceOp.MIN)
        return bool(votes)

    def wait(self) -> None:
        """Wait until every process is here."""
        self.all_agree(True)

    def gathered(self, states: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors of all processes by `<name>/<rank>`; a name has the same shape everywhere. Waits for all."""
        if self.size == 1:
            return {f"{name}/0": value for name, value in states.items()}
        found: dict[str, Tensor] = {}
        for name, value in states.items():
            mine = value.to(self.device)
            everyone = [torch.empty_like(mine) for _ in range(self.size)]
            distributed.all_gather(everyone, mine)
            found |= {f"{name}/{rank}": theirs.cpu() for rank, theirs in enumerate(everyone)}
        return found


@contextmanager
def joined(device: str = "cpu") -> Iterator[World]:
    """The world that torchrun put this process in, or a world of its own.

    Args:
        device: "cpu", "cuda" (each process its own, by its local rank) or one device such as "cuda:1".

    Raises:
        OptionError: torch knows no such device, or this machine has none.
    """
    size, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    if device == "cuda" and size > 1:
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    check_device(device)
    if size == 1 or distributed.is_initialized():
        # Who joined before, leaves.
        yield World(rank, size, device)
        return
    distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo", rank=rank, world_size=size)
    try:
        yield World(rank, size, device)
    finally:
        distributed.destroy_process_group()


def check_device(device: str) -> None:
    """Refuse a device that is not there.

    Raises:
        OptionError: torch knows no such device, or this machine has none.
    """
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise OptionError(f"device must be one that this machine has, such as cpu, not {device!r}: {reason}") from error
