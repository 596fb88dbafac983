"""Memory or controller: how much of the output comes through what was read, and how much past the memory.

Where the output is a linear layer over [controller; reads], its two parts are known exactly: y = W_c c + W_r r + b, so
without the memory the output changes by ‖W_r r‖, and without the controller by ‖W_c c‖. The share of the memory is
‖W_r r‖ / (‖W_r r‖ + ‖W_c c‖), as in the analysis of ADNC (Franke et al. 2018), which measures softmax(y).
What the controller owes to earlier reads counts as the controller's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from memviz.recorders.calls import Call
from memviz.recorders.probes import Place, Probe

FIELD = "memory_influence"


def linear_share(weight: Tensor, seen: Tensor, reads: int) -> Tensor:
    """The share of the memory in a linear output, without the last axis of `seen`, in [0, 1].

    0 where neither part contributes anything. The bias belongs to neither.

    Args:
        weight: of the output layer, [output_channel, controller + reads].
        seen: its input, [..., controller + reads]: the controller's output, then all read vectors.
        reads: how many of the last channels are read vectors.
    """
    number = torch.promote_types(seen.dtype, torch.float32)
    seen, weight = seen.detach().to(number), weight.detach().to(number)
    rest = seen.shape[-1] - reads
    memory = functional.linear(seen[..., rest:], weight[:, rest:]).norm(dim=-1)
    both = memory + functional.linear(seen[..., :rest], weight[:, :rest]).norm(dim=-1)
    return torch.where(both > 0, memory / both, torch.zeros_like(both))


@dataclass(frozen=True, kw_only=True)
class InfluenceProbe(Probe):
    """Computes `memory_influence` from calls of an output layer.

    Attributes:
        layer: the linear layer over [controller; reads].
        reads: how many of its last inputs are read vectors.
    """

    layer: nn.Linear
    reads: int
    optional: bool = True

    def place(self, module: nn.Module) -> Place:
        """See Probe.place."""
        return Place(self.layer, "", False, _share(self.reads), whole=True)


def influence_probes(layer: object, reads: int) -> list[Probe]:
    """The probe of an output layer that is called once per time; none where the layer is no such layer."""
    if not isinstance(layer, nn.Linear) or not 0 < reads < layer.in_features:
        return []
    return [InfluenceProbe(field=FIELD, layer=layer, reads=reads)]


def _share(reads: int) -> Callable[[Call], Tensor]:
    def compute(call: Call) -> Tensor:
        return linear_share(call.module.weight, call.select(call.args[0]), reads)

    return compute
