"""torch -> trace: attach to a model, capture its memory on sampled forwards, hand it to the writer thread.

Data flows one way: model -> probes -> staging -> queue -> writer thread -> memviz.trace.

The names below are for the arguments of `memviz.attach`; they load on first use, and with them torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memviz.recorders.faults import RecorderWarning as RecorderWarning
    from memviz.recorders.origin import Origin as Origin
    from memviz.recorders.origin import record_origin as record_origin
    from memviz.recorders.schedule import Cycle as Cycle
    from memviz.recorders.schedule import LogSpaced as LogSpaced
    from memviz.recorders.static import StaticTap as StaticTap
    from memviz.recorders.triggers import GradientSpike as GradientSpike
    from memviz.recorders.triggers import LossSpike as LossSpike
    from memviz.recorders.triggers import Observation as Observation
    from memviz.recorders.triggers import OnNaN as OnNaN
    from memviz.recorders.triggers import Trigger as Trigger

_HOMES = {
    "Cycle": "schedule",
    "LogSpaced": "schedule",
    "StaticTap": "static",
    "GradientSpike": "triggers",
    "LossSpike": "triggers",
    "Observation": "triggers",
    "OnNaN": "triggers",
    "Trigger": "triggers",
    "Origin": "origin",
    "record_origin": "origin",
    "RecorderWarning": "faults",
}

__all__ = [
    "Cycle",
    "LogSpaced",
    "StaticTap",
    "GradientSpike",
    "LossSpike",
    "Observation",
    "OnNaN",
    "Trigger",
    "Origin",
    "record_origin",
    "RecorderWarning",
]


def __getattr__(name: str) -> Any:
    """Load a public name from the module where it lives (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'memviz.recorders' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(importlib.import_module(f"memviz.recorders.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
