"""The options and initial parameters of three public Neural Turing Machines, with what is unusual in each.

| preset | implementation |
|---|---|
| `diffmem` | DoctorTeeth/diffmem with several heads and sharpening, before its commit 12f21b0 (2016-02) |
| `pytorch-ntm` | loudinthecloud/pytorch-ntm |
| `ntm-pytorch` | vlgiitr/ntm-pytorch, the code base of the reverse-task repository |

diffmem: a feed-forward controller of two layers; all heads look at the memory before the write, and reads come from it
too; of several write heads only the last one's write stays; the output does not see what was read at this time; γ is at
most 2; keys and written vectors are bounded by tanh. Its README calls the initial state learnable; the code reads it
past the argument that is differentiated, so it stays as drawn, and so it does here.

pytorch-ntm: heads act in turn, read head i before write head i; memory and first reads are drawn once and kept; heads
start with no weight anywhere; 1e-16 is added when a weighting is normalized, so that a weighting that is spread over
many slots and strongly sharpened loses its mass.

ntm-pytorch: as pytorch-ntm, but the heads are computed from the LSTM's cell, a write replaces what was there (the erase
vector is 1), the memory starts as the sigmoid of a learned value, and the first reads are drawn anew for each sequence.
The original runs with batches of one sequence only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import sqrt
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from memviz.demos.models.ntm_options import TANH_FIELDS, Dialect, Start

if TYPE_CHECKING:
    from memviz.demos.models.ntm import NTM


@dataclass(frozen=True)
class Preset:
    """How one implementation sets the options of `NTM`.

    Attributes:
        options: arguments of NTM.
        draw: gives the parameters and buffers of a model their initial values, from torch's generator.
    """

    options: Mapping[str, Any]
    draw: Callable[[NTM], None]

    def arguments(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The options with those given over them; as many write heads as read heads unless said otherwise."""
        chosen = {**self.options, **given}
        chosen.setdefault("write_heads", chosen.get("read_heads", 1))
        return chosen


def _interface(model: NTM) -> dict[str, list[tuple[Tensor, Tensor]]]:
    """Weight and bias of the heads' linear layers, by field and head."""
    memory, found, row = model.memory, {}, 0
    for name, (heads, rows) in memory.layout.items():
        parts = [slice(row + head * rows, row + (head + 1) * rows) for head in range(heads)] if rows else []
        found[name] = [(memory.interface.weight.data[part], memory.interface.bias.data[part]) for part in parts]
        row += heads * rows
    return found


def _uniform_by_fan(weight: Tensor) -> None:
    bound = sqrt(6 / sum(weight.shape))
    weight.uniform_(-bound, bound)


def _draw_diffmem(model: NTM) -> None:
    linears = [pair for pairs in _interface(model).values() for pair in pairs]
    parameters = [p.data for layer in (*model.controller.layers, model.output) for p in layer.parameters()]
    matrices, vectors = ([p for p in parameters if p.ndim == axes] for axes in (2, 1))
    # The input and each head's read have a matrix of their own there.
    reads = [model.memory.cell_size] * model.memory.read_heads
    matrices[:1] = torch.split(matrices[0], [model.input_size, *reads], dim=1)
    for matrix in (*matrices, *(weight for weight, _ in linears)):
        _uniform_by_fan(matrix)
    for vector in (*vectors, *(bias for _, bias in linears)):
        _uniform_by_fan(vector.unsqueeze(1))
    start = model.initial
    for held, spread in ((start.memory, 0.01), (start.read_weights, 0.01), (start.write_weights, 0.01)):
        if held is not None:
            nn.init.normal_(held, std=spread)
    if start.read_vectors is not None:
        nn.init.uniform_(start.read_vectors, -1, 1)


def _draw_pytorch_ntm(model: NTM) -> None:
    parts = _interface(model)
    heads = model.memory.read_heads
    for head in range(heads + model.memory.write_heads):
        # One linear layer per head there, so that the fan counts all that the head emits.
        kind, one = ("read", head) if head < heads else ("write", head - heads)
        names = [f"{kind}_keys", f"{kind}_strengths", *(("write_vectors", "erase_vectors") if kind == "write" else ())]
        pairs = [parts[name][one] for name in names if parts[name]]
        pairs += [parts[name][head] for name in ("interpolation_gate", "sharpening", "shift_weights")]
        rows, width = sum(len(bias) for _, bias in pairs), model.memory.interface.in_features
        bound = 1.4 * sqrt(6 / (rows + width))
        for weight, bias in pairs:
            weight.uniform_(-bound, bound)
            bias.normal_(std=0.01)
    bound = 5 / sqrt(next(model.controller.layers.parameters()).shape[1] + model.controller.hidden_size)
    for name, value in model.controller.layers.named_parameters():
        nn.init.zeros_(value) if "bias" in name else nn.init.uniform_(value, -bound, bound)
    nn.init.xavier_uniform_(model.output.weight)
    nn.init.normal_(model.output.bias, std=0.01)
    if model.initial.memory is not None:
        bound = 1 / sqrt(sum(model.initial.memory.shape))
        nn.init.uniform_(model.initial.memory, -bound, bound)
    if model.initial.read_vectors is not None:
        nn.init.normal_(model.initial.read_vectors, std=0.01)


def _draw_ntm_pytorch(model: NTM) -> None:
    for name, pairs in _interface(model).items():
        for weight, bias in pairs:
            # Its key layers keep the weights that torch gives them.
            if not name.endswith("_keys"):
                nn.init.xavier_uniform_(weight, gain=1.4)
            bias.normal_(std=0.01)
    nn.init.kaiming_uniform_(model.output.weight)
    # Learned values come from a linear layer of one input, which is always 0: they are its bias, drawn from U(-1, 1).
    for held in (model.initial.memory, *(p for n, p in model.controller.named_parameters() if n.startswith("initial"))):
        if held is not None:
            nn.init.uniform_(held, -1, 1)


_IN_TURN = MappingProxyType(
    {
        "clip": 0,
        "shifts": (1, 0, -1),
        "write_order": "series",
        "read_order": "in_turn",
        "output_activation": "sigmoid",
    }
)

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "diffmem": Preset(
            MappingProxyType(
                {
                    "rnn_type": "feedforward",
                    "num_layers": 2,
                    "shifts": (0, 1, -1),
                    "write_order": "last",
                    "read_order": "before_write",
                    "initial_state": Start("random", "random", "random"),
                    "output_sees": "controller",
                    "output_activation": "sigmoid",
                    "dialect": Dialect(sharpening="sigmoid", bounded_by_tanh=TANH_FIELDS, cosine_delta=1e-5),
                }
            ),
            _draw_diffmem,
        ),
        "pytorch-ntm": Preset(
            MappingProxyType(
                {
                    **_IN_TURN,
                    "initial_state": Start("random", "random", "zero", "learned"),
                    "dialect": Dialect(cosine_delta=1e-16, normalizing_delta=1e-16),
                }
            ),
            _draw_pytorch_ntm,
        ),
        "ntm-pytorch": Preset(
            MappingProxyType(
                {
                    **_IN_TURN,
                    "initial_state": Start("sigmoid", "redrawn", "zero", "learned"),
                    "heads_see": "cell",
                    "dialect": Dialect(erase="ones", cosine_delta=1e-16, normalizing_delta=1e-16),
                }
            ),
            _draw_ntm_pytorch,
        ),
    }
)
