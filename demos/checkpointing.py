"""Checkpoints: all that a training run goes on from, as one safetensors file and its facts as JSON beside it.

`copy.safetensors` holds the tensors, under `model/`, `optimizer/` and `random/`, and the facts in its metadata, so that
one rename commits both. `copy.json` says the same facts for people and other tools, and is never read. No pickle.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer

from memviz._version import __version__
from memviz.demos.plan import Plan
from memviz.errors import CheckpointError, OptionError

FORMAT = 1
"""Version of the layout; a newer one is refused."""

SUFFIX = ".safetensors"
_FACTS = "memviz"
_PARTS = ("model", "optimizer", "random")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A training run after some step.

    Attributes:
        plan: what the task and the model were made of, and how they were trained.
        step: optimizer updates done.
        model: the state of the model by name.
        optimizer: the state of the optimizer, `<number of the parameter>/<name>`; empty where it cannot go on.
        random: states of the random number generators, `<which>/<rank>`.
        results: what was measured of it, for people.
    """

    plan: Plan
    step: int
    model: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor] = field(default_factory=dict)
    random: Mapping[str, Tensor] = field(default_factory=dict)
    results: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ranks(self) -> int:
        """Processes that trained together."""
        return sum(name.startswith("data/") for name in self.random)

    def facts(self) -> dict[str, Any]:
        """What is no tensor, as an object of JSON."""
        return {
            "format": FORMAT,
            "memviz": __version__,
            "step": self.step,
            "plan": self.plan.to_json(),
            "results": dict(self.results),
        }


def save_checkpoint(checkpoint: Checkpoint, path: str | os.PathLike[str]) -> Path:
    """Write a checkpoint; whatever stops it, an earlier one at `path` stays whole.

    Args:
        checkpoint: what to write.
        path: of the file of tensors, with or without its suffix.

    Returns:
        The path of the file of tensors.
    """
    tensors = {
        f"{part}/{name}": value.detach().cpu().contiguous().clone()
        for part in _PARTS
        for name, value in getattr(checkpoint, part).items()
    }
    facts = checkpoint.facts()
    target = tensor_file(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    _replace(target, save(tensors, {_FACTS: json.dumps(facts)}))
    _replace(target.with_suffix(".json"), (json.dumps(facts, indent=2) + "\n").encode())
    return target


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint.

    Args:
        path: of the file of tensors or of the JSON beside it, or either without its suffix.

    Raises:
        CheckpointError: there is none, it is damaged, or a newer memviz wrote it.
    """
    file = tensor_file(path)
    if not file.is_file():
        raise CheckpointError(
            f"there is no checkpoint at {file}; python -m memviz.demos.train writes one beside its trace"
        )
    parts: dict[str, dict[str, Tensor]] = {part: {} for part in _PARTS}
    try:
        with safe_open(file, framework="pt") as tensors:
            facts = json.loads((tensors.metadata() or {})[_FACTS])
            for name in tensors.keys():  # noqa: SIM118 - no mapping, whatever it looks like
                part, _, rest = name.partition("/")
                parts[part][rest] = tensors.get_tensor(name)
        if facts["format"] > FORMAT:
            raise CheckpointError(
                f"{file} was written by memviz {facts['memviz']}, which is newer than this; update it"
            )
        plan = Plan.from_json(facts["plan"])
        plan.check()
        return Checkpoint(plan, int(facts["step"]), **parts, results=facts["results"])
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        if isinstance(error, CheckpointError):
            raise
        what = str(error) if isinstance(error, OptionError | SafetensorError | OSError) else repr(error)
        raise CheckpointError(f"{file} is no checkpoint of memviz's demos, or damaged: {what}") from error


def load_weights(model: nn.Module, checkpoint: Checkpoint) -> None:
    """Put the weights of a checkpoint into a model.

    Raises:
        CheckpointError: the model has others, or others shapes; the line names the first that differs.
    """
    state, made_of = model.state_dict(), f"the checkpoint, of {described(checkpoint.plan)},"
    for name, value in state.items():
        if name not in checkpoint.model:
            raise CheckpointError(f"{made_of} has no {name}, which the model asked for has")
        found = checkpoint.model[name]
        if found.shape != value.shape:
            raise CheckpointError(
                f"{made_of} does not fit the model asked for: {name} is {list(found.shape)} in the file and "
                f"{list(value.shape)} in the model; leave the options of model and task as they were"
            )
    for name in checkpoint.model:
        if name not in state:
            raise CheckpointError(f"{made_of} has {name}, which the model asked for does not have")
    model.load_state_dict(dict(checkpoint.model))


def described(plan: Plan) -> str:
    """A model and its options in words."""
    options = ", ".join(f"{name}={value}" for name, value in plan.model_options.items())
    return f"{plan.package or plan.model}({options}) on {plan.task}"


def optimizer_state(optimizer: Optimizer) -> dict[str, Tensor]:
    """The state of an optimizer as tensors by name."""
    state = optimizer.state_dict()["state"]
    return {
        f"{index}/{name}": torch.as_tensor(value) for index, entry in state.items() for name, value in entry.items()
    }


def restore_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Bring an optimizer of the same kind to the state that `optimizer_state` gave."""
    state: dict[int, dict[str, Tensor]] = {}
    for path, value in tensors.items():
        index, _, name = path.partition("/")
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict(optimizer.state_dict() | {"state": state})


def tensor_file(path: str | os.PathLike[str]) -> Path:
    """The file of tensors that a path stands for."""
    given = Path(path)
    if given.suffix == SUFFIX:
        return given
    return given.with_suffix(SUFFIX) if given.suffix == ".json" else given.with_name(given.name + SUFFIX)


def _replace(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
