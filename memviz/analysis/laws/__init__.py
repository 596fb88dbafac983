"""The equations that every record must obey, and how an implementation departs from Graves et al. 2016.

`checking` holds the checks, `conformance` the report, `variants` what implementations are known to do instead.
"""

from __future__ import annotations

from memviz.analysis.laws.checking import Check, check_laws

__all__ = ["Check", "check_laws"]
