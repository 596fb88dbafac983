"""What a read is made of: the contribution of every write before it, exact, with the addressing frozen.

`reading` is one read, `table` all reads of a record, `split` the parts of a write and the modes of a read, `links` the
pairs of writes behind a step along the links, `history` the life of one slot, `scan` the numerics they share.
"""

from __future__ import annotations

from memviz.analysis.lineage.reading import FROZEN, Lineage, explain_slot, lineage

__all__ = ["FROZEN", "Lineage", "explain_slot", "lineage"]
