"""memviz: a time-travel debugger for neural networks with memory.

Attach a recorder to a training run, serve what it records live, replay the trace later:

    rec = memviz.attach(model, "runs/copy", every=100)
    ...  # train as before; optionally rec.log(loss=loss)
    rec.close()

The names below are the whole public surface. They load on first use, so that `import memviz` needs neither torch
nor dash.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from memviz._version import __version__

if TYPE_CHECKING:
    from memviz.analysis.compare import compare as compare
    from memviz.analysis.diagnostics import diagnose as diagnose
    from memviz.analysis.lineage import lineage as lineage
    from memviz.analysis.query import query as query
    from memviz.dashboards.notebook import show as show
    from memviz.errors import MemvizError as MemvizError
    from memviz.recorders.ablation import ablate as ablate
    from memviz.recorders.adapters.declarative import Adapter as Adapter
    from memviz.recorders.attach import attach as attach
    from memviz.recorders.connectivity import connectivity as connectivity
    from memviz.recorders.recorder import Recorder as Recorder
    from memviz.recorders.tap import tap as tap
    from memviz.trace.reader import Record as Record
    from memviz.trace.reader import Trace as Trace
    from memviz.trace.reader import open_trace as open

_HOMES = {
    "Adapter": ("memviz.recorders.adapters.declarative", "Adapter"),
    "MemvizError": ("memviz.errors", "MemvizError"),
    "Record": ("memviz.trace.reader", "Record"),
    "Recorder": ("memviz.recorders.recorder", "Recorder"),
    "Trace": ("memviz.trace.reader", "Trace"),
    "ablate": ("memviz.recorders.ablation", "ablate"),
    "attach": ("memviz.recorders.attach", "attach"),
    "connectivity": ("memviz.recorders.connectivity", "connectivity"),
    "diagnose": ("memviz.analysis.diagnostics", "diagnose"),
    "compare": ("memviz.analysis.compare", "compare"),
    "lineage": ("memviz.analysis.lineage", "lineage"),
    "open": ("memviz.trace.reader", "open_trace"),
    "query": ("memviz.analysis.query", "query"),
    "show": ("memviz.dashboards.notebook", "show"),
    "tap": ("memviz.recorders.tap", "tap"),
}

__all__ = [
    "Adapter",
    "MemvizError",
    "Record",
    "Recorder",
    "Trace",
    "__version__",
    "ablate",
    "attach",
    "compare",
    "connectivity",
    "diagnose",
    "lineage",
    "open",
    "query",
    "show",
    "tap",
]


def __getattr__(name: str) -> Any:
    """Load a public name from the room where it lives (PEP 562)."""
    try:
        module, attribute = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module 'memviz' has no attribute {name!r}; it has {', '.join(__all__)}") from None
    value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
