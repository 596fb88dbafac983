"""Models with memory, small and plain enough to read, with their internals open to memviz."""

from __future__ import annotations

from memviz.demos.models.dnc import DNC as DNC

__all__ = ["DNC"]
