"""Ask a run where something holds: `memviz.query(trace, "read_weights.effective_slots > 8 and correct == False")`.

The answer is a list of places (record, time, item, head) to jump to. The language is in `language`, what its names mean
in `terms`; records are asked one after the other, each a few times at once, so that memory does not grow with the run.
"""

from __future__ import annotations

from memviz.analysis.query.asking import Hit, Result, query
from memviz.analysis.query.terms import PLACES, STATISTICS, Plan, understand
from memviz.errors import QueryError

__all__ = ["Hit", "PLACES", "Plan", "QueryError", "Result", "STATISTICS", "query", "understand"]
