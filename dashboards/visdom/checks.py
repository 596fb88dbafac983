"""What is wrong in one record: the sentences of memviz's diagnostics, worst first."""

from __future__ import annotations

from memviz.analysis.diagnostics.engine import Examiner
from memviz.trace.reader import Record


def findings(record: Record, run: str) -> list[str]:
    """`error: ...`, `warning: ...` and `note: ...` about a record on its own.

    A run may be judged otherwise: `memviz doctor` asks whether a finding lasts over several records.
    """
    examiner = Examiner(run)
    examiner.feed(record)
    return [f"{found.severity}: {found.sentence}" for found in examiner.report().findings]
