"""All that decides a training run, as plain data: it goes into the trace and into checkpoints."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from memviz.errors import OptionError

NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})

OPTIMIZERS = ("adam", "rmsprop", "graves")
"""Adam, torch's RMSprop, and the RMSProp of Graves 2013, eq. 38 to 45, that NTM and DNC were trained with."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A task, a model, and how the one learns the other.

    Attributes:
        task: name of the task, see memviz.demos.parts.
        task_options: its options, by the names of its fields.
        model: name of the model.
        model_options: arguments of the model besides those that follow from the task.
        package: whose class is trained instead of memviz's own; None for memviz's own.
        steps: when to give up.
        every: a record every so many steps.
        batch_size: items per step; per process where there are several.
        optimizer: one of OPTIMIZERS.
        learning_rate: of the optimizer.
        decay: steps over which the learning rate falls along a line to a twentieth; 0 to keep it.
        clip: largest norm of the gradient; 0 for any.
        clip_value: largest absolute value of an entry of the gradient, as Graves clips; 0 for any.
        curriculum: steps over which the lengths grow to their full range; 0 for the full range from the start.
        check_every: steps between two looks at whether the task is solved.
        check_batches: fresh batches that it must be solved on.
        seed: of the model and of the data.
    """

    task: str
    task_options: Mapping[str, Any] = field(default_factory=lambda: NO_OPTIONS)
    model: str = "dnc"
    model_options: Mapping[str, Any] = field(default_factory=lambda: NO_OPTIONS)
    package: str | None = None
    steps: int = 2000
    every: int = 10
    batch_size: int = 32
    optimizer: str = "adam"
    learning_rate: float = 5e-3
    decay: int = 0
    clip: float = 1.0
    clip_value: float = 0.0
    curriculum: int = 0
    check_every: int = 50
    check_batches: int = 50
    seed: int = 0

    def check(self) -> None:
        """Refuse what no training can have.

        Raises:
            OptionError: the first entry that is out of bounds.
        """
        # Here, because the list of demos is made of plans and must not wait for torch.
        from memviz.demos.models.options import at_least_one, not_negative, number, one_of

        at_least_one(
            steps=self.steps,
            every=self.every,
            batch_size=self.batch_size,
            check_every=self.check_every,
            check_batches=self.check_batches,
        )
        not_negative(decay=self.decay, curriculum=self.curriculum, seed=self.seed)
        number(0, learning_rate=self.learning_rate, clip=self.clip, clip_value=self.clip_value)
        one_of("optimizer", self.optimizer, OPTIMIZERS)

    def level(self, step: int) -> float:
        """How much of the range of lengths to draw from at a step, in (0, 1]."""
        return 1.0 if step >= self.curriculum else max(step / self.curriculum, 1e-9)

    def rate(self, step: int) -> float:
        """The learning rate at a step."""
        return self.learning_rate * max(1 - 0.95 * step / self.decay, 0.05) if self.decay else self.learning_rate

    def but(self, **changes: Any) -> Plan:
        """This plan with some of its entries changed; None changes nothing, and options are added to those there."""
        given = {name: value for name, value in changes.items() if value is not None}
        for name in ("task_options", "model_options"):
            if name in given:
                given[name] = {**getattr(self, name), **given[name]}
        return dataclasses.replace(self, **given)

    def to_json(self) -> dict[str, Any]:
        """As an object of JSON."""
        values = {entry.name: getattr(self, entry.name) for entry in dataclasses.fields(self)}
        return values | {"task_options": dict(self.task_options), "model_options": dict(self.model_options)}

    def attributes(self) -> dict[str, Any]:
        """As the attributes of a trace, those that a list of runs shows first."""
        return {"task": self.task, "seed": self.seed, "package": self.package or "memviz", "plan": self.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        """The plan that `to_json` gave.

        Raises:
            OptionError: an entry is missing, unknown or not what it should be.
        """
        try:
            return cls(**data)
        except TypeError as error:
            raise OptionError(f"this is no plan of a training run: {error}") from error
