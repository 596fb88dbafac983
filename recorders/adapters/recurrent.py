"""torch.nn.RNN, LSTM and GRU, and their cells.

A fused layer is one call for all times and gives out the hidden states of its last layer. What lies inside (cells,
gates, lower layers) is computed a second time beside it, from the same weights and inputs. Equations: Hochreiter and
Schmidhuber 1997 with the forget gate of Gers et al. 2000; Cho et al. 2014, in the form of torch.nn.GRU.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from memviz.recorders.adapters.base import MemoryPlan
from memviz.recorders.calls import Call
from memviz.recorders.probes import CallProbe, Probe

_LSTM = ("hidden_state", "cell_state", "input_gate", "forget_gate", "output_gate")
_GRU = ("hidden_state", "update_gate", "reset_gate")

Parts = Mapping[str, Tensor]


class RecurrentAdapter:
    """Records hidden states, cells and gates; one memory per layer and direction."""

    name = "torch-recurrent"
    generic = True

    def matches(self, module: nn.Module) -> bool:
        """Whether it is one of them."""
        return isinstance(module, nn.RNN | nn.LSTM | nn.GRU | nn.RNNCell | nn.LSTMCell | nn.GRUCell)

    def plan(self, module: nn.Module, path: str) -> Sequence[MemoryPlan]:
        """`path` for a cell or a lone layer, else `path.layer0`, `path.layer0.reverse`, `path.layer1`, ..."""
        kind: Any = module
        attributes = {
            "class": f"{type(module).__module__}.{type(module).__qualname__}",
            "units": int(kind.hidden_size),
        }
        fields: tuple[str, ...] = _LSTM if isinstance(module, nn.LSTM | nn.LSTMCell) else ("hidden_state",)
        fields = _GRU if isinstance(module, nn.GRU | nn.GRUCell) else fields
        if isinstance(module, nn.RNNCellBase):
            probes: list[Probe] = [CallProbe(field=field, compute=_of_cell(field)) for field in fields]
            return [MemoryPlan(path or "cell", module, probes, attributes=attributes)]
        plans = []
        directions = 2 if kind.bidirectional else 1
        for layer in range(kind.num_layers):
            for direction in range(directions):
                name = path if kind.num_layers * directions == 1 else f"{path}.layer{layer}".lstrip(".")
                name = f"{name}.reverse" if direction else name
                facts = {**attributes, "layer": layer}
                facts["how"] = "states and gates are computed beside the fused kernel, which runs unchanged"
                part = layer * directions + direction
                hidden = "with dropout between its layers, what reaches this one is random and not given out"
                lost = layer > 0 and kind.dropout > 0
                inside = [
                    CallProbe(field=f, compute=_of_layer(part, f), axes="time batch unit", optional=lost)
                    for f in fields
                ]
                unreachable = dict.fromkeys(fields, f"{hidden}, in training mode") if lost else {}
                name = name or "layer"
                if kind.proj_size:
                    # The hidden state has fewer units than the cell, so it is a memory of its own.
                    plans.append(MemoryPlan(f"{name}.projected", module, inside[:1], "", facts, unreachable))
                    inside = inside[1:]
                plans.append(MemoryPlan(name, module, inside, "", facts, unreachable))
        return plans


def _of_cell(field: str) -> Callable[[Call], Tensor]:
    def compute(call: Call) -> Tensor:
        cell: Any = call.module
        value = call.argument(0, "input")
        state = call.argument(1, "hx")
        pair = isinstance(cell, nn.LSTMCell)
        if field in ("hidden_state", "cell_state"):
            output = call.output[field == "cell_state"] if pair else call.output
            return call.select(_batched(output))
        before = state[0] if pair and state is not None else state
        value = call.select(_batched(value))
        hidden = value.new_zeros(value.shape[0], cell.hidden_size) if before is None else call.select(_batched(before))
        cells = torch.zeros_like(hidden)  # the gates do not depend on them
        weights = [_like(getattr(cell, name), value) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        return _step(cell, weights, functional.linear(value, weights[0], weights[2]), hidden, cells, "")[field]

    return compute


def _of_layer(index: int, field: str) -> Callable[[Call], Tensor | None]:
    """One field of one layer and direction: [time, batch, unit]."""

    def compute(call: Call) -> Tensor | None:
        parts = call.once(_unrolled)
        return parts[index][field] if index < len(parts) else None

    return compute


def _unrolled(call: Call) -> list[Parts]:
    """All times of all layers and directions of a fused layer, for the recorded items."""
    layer: Any = call.module
    value, state = call.argument(0, "input"), call.argument(1, "hx")
    lengths: Tensor | None = None
    if isinstance(value, PackedSequence):
        value, lengths = pad_packed_sequence(value)
    elif value.ndim == 2:
        value = value.unsqueeze(1)
        state = None if state is None else _map(state, lambda part: part.unsqueeze(1))
    elif layer.batch_first:
        value = value.transpose(0, 1)
    found: list[Parts] = []
    value = call.select(value, 1)
    lengths = None if lengths is None else call.select(lengths.to(value.device, non_blocking=True))
    directions = 2 if layer.bidirectional else 1
    hidden_size = layer.proj_size or layer.hidden_size
    for index in range(layer.num_layers):
        if index and layer.dropout and layer.training:
            break
        outputs = []
        for direction in range(directions):
            place = index * directions + direction
            suffix = f"_l{index}{'_reverse' if direction else ''}"
            hidden, cell = _initial(layer, state, place, value, hidden_size, call)
            parts = _direction(layer, suffix, value, hidden, cell, bool(direction), lengths)
            outputs.append(parts["hidden_state"])
            found.append(parts)
        value = torch.cat(outputs, -1)
    return found


def _initial(layer: Any, state: Any, place: int, value: Tensor, hidden_size: int, call: Call) -> tuple[Tensor, Tensor]:
    batch = value.shape[1]
    if state is None:
        return value.new_zeros(batch, hidden_size), value.new_zeros(batch, layer.hidden_size)
    pair = state if isinstance(state, tuple) else (state, state)
    return call.select(pair[0][place]), call.select(pair[1][place])


def _direction(
    layer: Any, suffix: str, value: Tensor, hidden: Tensor, cell: Tensor, backward: bool, lengths: Tensor | None
) -> Parts:
    """One layer in one direction over all times."""
    names = [f"weight_ih{suffix}", f"weight_hh{suffix}", f"bias_ih{suffix}", f"bias_hh{suffix}"]
    weights = [_like(getattr(layer, name, None), value) for name in names]
    projection = _like(getattr(layer, f"weight_hr{suffix}", None), value)
    inputs = functional.linear(value, weights[0], weights[2])
    found: dict[int, Parts] = {}
    times = range(len(value))
    for time in reversed(times) if backward else times:
        parts = dict(_step(layer, weights, inputs[time], hidden, cell, getattr(layer, "nonlinearity", "")))
        if projection is not None:
            parts["hidden_state"] = functional.linear(parts["hidden_state"], projection)
        if lengths is not None:
            # Behind its end an item stands still, and what is recorded there is zero.
            alive = (lengths > time)[:, None]
            hidden = torch.where(alive, parts["hidden_state"], hidden)
            cell = torch.where(alive, parts.get("cell_state", cell), cell)
            parts = {name: torch.where(alive, part, torch.zeros_like(part)) for name, part in parts.items()}
        else:
            hidden, cell = parts["hidden_state"], parts.get("cell_state", cell)
        found[time] = parts
    return {name: torch.stack([found[time][name] for time in times]) for name in found[0]}


def _step(
    layer: Any, weights: Sequence[Tensor | None], given: Tensor, hidden: Tensor, cell: Tensor, nonlinearity: str
) -> Parts:
    """One time of one layer; `given` is what its input contributes, bias included."""
    _, recurrent_weight, _, recurrent_bias = weights
    recurrent = functional.linear(hidden, recurrent_weight, recurrent_bias)  # type: ignore[arg-type]
    if isinstance(layer, nn.LSTM | nn.LSTMCell):
        into, forget, new, out = (given + recurrent).chunk(4, -1)
        into, forget, out = into.sigmoid(), forget.sigmoid(), out.sigmoid()
        cell = forget * cell + into * new.tanh()
        return {
            "hidden_state": out * cell.tanh(),
            "cell_state": cell,
            "input_gate": into,
            "forget_gate": forget,
            "output_gate": out,
        }
    if isinstance(layer, nn.GRU | nn.GRUCell):
        reset, update, new = given.chunk(3, -1)
        again, keep, past = recurrent.chunk(3, -1)
        reset, update = (reset + again).sigmoid(), (update + keep).sigmoid()
        new = (new + reset * past).tanh()
        return {"hidden_state": (1 - update) * new + update * hidden, "update_gate": update, "reset_gate": reset}
    rectify = (nonlinearity or layer.nonlinearity) == "relu"
    return {"hidden_state": (given + recurrent).relu() if rectify else (given + recurrent).tanh()}


def _batched(value: Tensor) -> Tensor:
    return value.unsqueeze(0) if value.ndim == 1 else value


def _like(weight: Tensor | None, value: Tensor) -> Tensor:
    return weight.to(value.dtype) if weight is not None else None  # type: ignore[return-value]


def _map(state: Any, function: Callable[[Tensor], Tensor]) -> Any:
    return tuple(function(part) for part in state) if isinstance(state, tuple) else function(state)
