"""Two records, steps or runs side by side, slots aligned: what differs, by field, and in words."""

from __future__ import annotations

from memviz.analysis.compare.comparison import Comparison, MemoryComparison, compare

__all__ = ["Comparison", "MemoryComparison", "compare"]
