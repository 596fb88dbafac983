"""What is wrong with a memory, with numbers and evidence.

One file per family of checks; each check is a `Diagnostic` registered under the entry points `memviz.diagnostics`,
through which plugins add theirs. What each measures, from which value on it speaks and how well that separates faults
from health is in docs/diagnostics.md.
"""

from __future__ import annotations

from memviz.analysis.diagnostics.base import Diagnostic, Measure, MemoryView
from memviz.analysis.diagnostics.engine import Examiner, diagnose, examine
from memviz.analysis.diagnostics.finding import SEVERITIES, Finding, Place, Report, Severity, Spread, Unchecked
from memviz.analysis.diagnostics.registry import diagnostics, get

__all__ = [
    "Diagnostic",
    "Examiner",
    "Finding",
    "Measure",
    "MemoryView",
    "Place",
    "Report",
    "SEVERITIES",
    "Severity",
    "Spread",
    "Unchecked",
    "diagnose",
    "diagnostics",
    "examine",
    "get",
]
