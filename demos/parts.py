"""Models and tasks by name. A class is imported when it is asked for, so that listing them needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType
from typing import Any

from memviz.errors import UnknownNameError


@dataclass(frozen=True, slots=True)
class Part:
    """A class that can be had by name.

    Attributes:
        where: `module:Class`.
        summary: one line for people.
        defaults: options where a plan has none, of a size that trains while one watches.
    """

    where: str
    summary: str
    defaults: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def load(self) -> Any:
        """Import the module and give the class."""
        module, _, name = self.where.partition(":")
        return getattr(import_module(module), name)


_SMALL = MappingProxyType({"hidden_size": 64, "nr_cells": 16, "cell_size": 16})
_SPARSE = MappingProxyType({"hidden_size": 64, "nr_cells": 64, "cell_size": 16})

MODELS: Mapping[str, Part] = MappingProxyType(
    {
        "ntm": Part("memviz.demos.models.ntm:NTM", "Neural Turing Machine (Graves et al. 2014)", _SMALL),
        "dnc": Part("memviz.demos.models.dnc:DNC", "differentiable neural computer (Graves et al. 2016)", _SMALL),
        "sam": Part("memviz.demos.models.sam:SAM", "sparse access memory (Rae et al. 2016)", _SPARSE),
        "sdnc": Part(
            "memviz.demos.models.sdnc:SDNC", "sparse differentiable neural computer (Rae et al. 2016)", _SPARSE
        ),
        "dmn": Part("memviz.demos.models.dmn:DMN", "dynamic memory network (Kumar et al. 2016) and its variants"),
        "dmn-choice": Part("memviz.demos.models.dmn_choice:DMNChoice", "dynamic memory network for multiple choice"),
        "lstm": Part("memviz.demos.models.lstm:LSTM", "an LSTM without a memory, to compare with"),
    }
)
"""Called as `Model(input_size, output_size=..., **options)`, or however its task calls it (`Task.build`)."""

TASKS: Mapping[str, Part] = MappingProxyType(
    {
        "copy": Part("memviz.demos.tasks.copy_task:CopyTask", "say random items again in order"),
        "reverse": Part("memviz.demos.tasks.reverse:ReverseTask", "say random items again from the last to the first"),
        "repeat": Part("memviz.demos.tasks.repeat_copy:RepeatCopyTask", "say random items several times over"),
        "recall": Part("memviz.demos.tasks.associative_recall:AssociativeRecallTask", "say what came after an item"),
        "ngrams": Part("memviz.demos.tasks.ngrams:NGramTask", "predict bits whose chances are new in every sequence"),
        "sort": Part("memviz.demos.tasks.priority_sort:PrioritySortTask", "say items in the order of their priority"),
        "adding": Part("memviz.demos.tasks.adding:AddingTask", "add the two numbers that are marked"),
        "argmax": Part("memviz.demos.tasks.argmax:ArgmaxTask", "say the item with the largest value"),
        "babi": Part("memviz.demos.tasks.babi.task:BabiTask", "answer questions about stories (Weston et al. 2015)"),
        "choices": Part("memviz.demos.tasks.babi.choices:ChoiceTask", "answer questions about stories by one of four"),
    }
)
"""Called with options by name; see memviz.demos.tasks.task."""


def part(kind: str, name: str, known: Mapping[str, Part]) -> Any:
    """The class of a name.

    Args:
        kind: "model" or "task", for the message.
        name: which one.
        known: MODELS or TASKS.

    Raises:
        UnknownNameError: there is none; the message offers the nearest name.
    """
    if name not in known:
        raise UnknownNameError(kind, name, known)
    return known[name].load()
