"""Make the model of a demo: memviz's own or a third party's, answering with the probability of each bit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from memviz.demos.models import DNC
from memviz.demos.registry import Demo
from memviz.demos.tasks.task import Task
from memviz.errors import MemvizError, UnknownNameError


def make_model(demo: Demo, task: Task, package: str | None = None) -> nn.Module:
    """The model of a demo.

    Args:
        demo: sizes.
        task: width of input and output.
        package: whose class; memviz's own by default.

    Returns:
        A module from [batch, time, input_channel] to a tuple whose first element is the probability of each bit,
        [batch, time, output_channel].

    Raises:
        UnknownNameError: memviz knows no such package.
        MemvizError: the package is not installed.
    """
    maker = PACKAGES.get(package or "memviz")
    if maker is None:
        raise UnknownNameError("package with a model for this demo", str(package), PACKAGES)
    model = maker(demo, task)
    model.register_forward_hook(_Probabilities(task.output_size))
    return model


class _Probabilities:
    """A forward hook that turns the first output into probabilities of the task's bits.

    A hook and not a wrapper, because the attached model then is the very class that the demo names. Of a model whose
    output is wider than the answer the first channels count.
    """

    def __init__(self, bits: int) -> None:
        self.bits = bits

    def __call__(self, module: nn.Module, args: Any, output: tuple[Tensor, ...]) -> tuple[Any, ...]:
        return torch.sigmoid(output[0][..., : self.bits]), *output[1:]


def _own_dnc(demo: Demo, task: Task) -> nn.Module:
    return DNC(task.input_size, output_size=task.output_size, **demo.model)


def _packaged_dnc(demo: Demo, task: Task) -> nn.Module:
    try:
        import dnc
    except ImportError as error:
        raise MemvizError(
            "--package dnc trains the class of the package dnc, which is not installed here; pip install dnc==1.1.0"
        ) from error
    model: nn.Module = dnc.DNC(task.input_size, num_hidden_layers=1, **demo.model)
    return model


PACKAGES: Mapping[str, Callable[[Demo, Task], nn.Module]] = MappingProxyType({"memviz": _own_dnc, "dnc": _packaged_dnc})
