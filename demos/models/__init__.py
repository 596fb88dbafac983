"""Models with memory, small and plain enough to read, with their internals open to memviz."""

from __future__ import annotations

from memviz.demos.models.dnc import DNC as DNC
from memviz.demos.models.migrate import from_dnc_package as from_dnc_package
from memviz.demos.models.migrate import state_from_dnc_package as state_from_dnc_package
from memviz.demos.models.ntm import NTM as NTM
from memviz.demos.models.sam import SAM as SAM
from memviz.demos.models.sdnc import SDNC as SDNC

__all__ = ["DNC", "NTM", "SAM", "SDNC", "from_dnc_package", "state_from_dnc_package"]
