"""The optimizers of the field, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from memviz.demos.plan import Plan


class GravesRMSprop(Optimizer):
    """RMSProp as Graves 2013, "Generating sequences with recurrent neural networks", eq. 38 to 45.

    The gradient is divided by an estimate of its standard deviation, not of its mean square as in torch's RMSprop
    without `centered`, and the momentum runs over the steps: with g the gradient, n and m running means of g² and g,
    Δ ← momentum Δ - lr g / sqrt(n - m² + eps); w ← w + Δ.

    Args:
        params: to be optimized.
        lr: learning rate; 1e-4 in the paper.
        alpha: decay of the running means; 0.95 in the paper.
        momentum: 0.9 in the paper.
        eps: added below the root; 1e-4 in the paper.
    """

    def __init__(
        self,
        params: Iterable[Parameter],
        lr: float = 1e-4,
        alpha: float = 0.95,
        momentum: float = 0.9,
        eps: float = 1e-4,
    ) -> None:
        super().__init__(params, {"lr": lr, "alpha": alpha, "momentum": momentum, "eps": eps})

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One update."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    _update(parameter, parameter.grad, self.state[parameter], group)
        return loss


def _update(parameter: Tensor, grad: Tensor, state: dict[str, Tensor], group: dict[str, Any]) -> None:
    if not state:
        for name in ("mean_square", "mean", "change"):
            state[name] = torch.zeros_like(parameter)
    rate = 1 - group["alpha"]
    square, mean, change = state["mean_square"], state["mean"], state["change"]
    square.lerp_(grad.square(), rate)
    mean.lerp_(grad, rate)
    # The difference is a variance, which rounding can leave a little below zero.
    deviation = torch.addcmul(square, mean, mean, value=-1).clamp_min_(0).add_(group["eps"]).sqrt_()
    change.mul_(group["momentum"]).addcdiv_(grad, deviation, value=-group["lr"])
    parameter.add_(change)


def make_optimizer(plan: Plan, parameters: Iterable[Parameter]) -> Optimizer:
    """The optimizer of a plan."""
    if plan.optimizer == "adam":
        return torch.optim.Adam(parameters, lr=plan.learning_rate)
    if plan.optimizer == "rmsprop":
        # The values of the NTM and DNC code that is out there.
        return torch.optim.RMSprop(parameters, lr=plan.learning_rate, alpha=0.95, momentum=0.9)
    return GravesRMSprop(parameters, lr=plan.learning_rate)
