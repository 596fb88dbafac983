"""What can be asked about one record, one file per idea. A route is `/records/{i}/<name>`, documented in docs/api.md.

An answer is a function of the record's values, its query and its index in the trace. It reads every parameter that it
knows, calls `params.done()`, and gives JSON as a dict or an envelope as bytes. What it says of a record never changes,
so that browsers may keep it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from memviz.dashboards.answers import exact, life, links, origin, pictures, state
from memviz.dashboards.answers.choice import Answer

ANSWERS: Mapping[str, Answer] = MappingProxyType(
    {
        "": exact.describe,
        "frame": pictures.frame,
        "matrices": pictures.matrices,
        "cell": exact.cell,
        "slot": exact.slot,
        "values": exact.values,
        "walk": links.walk,
        "arcs": links.arcs,
        "events": life.events,
        "destroyed": life.destroyed,
        "lineage": origin.lineage,
        "readers": origin.readers,
        "state": state.state,
    }
)
"""By the last part of the address; "" is the record itself."""

__all__ = ["ANSWERS", "Answer"]
