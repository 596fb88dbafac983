"""What can be asked about one record, one file per idea. A route is `/records/{i}/<name>`, documented in docs/api.md.

An answer is a function of the record's values, its query and its index in the trace. It reads every parameter that it
knows, calls `params.done()`, and gives JSON as a dict or an envelope as bytes. What it says of a record never changes,
so that browsers may keep it. What concerns two records, or a whole run, is asked elsewhere: compare, film and stills.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from memviz.dashboards.answers.choice import Answer
from memviz.dashboards.answers.exact import cell, describe, slot, values
from memviz.dashboards.answers.life import destroyed, events
from memviz.dashboards.answers.links import arcs, walk
from memviz.dashboards.answers.origin import lineage, readers
from memviz.dashboards.answers.pictures import frame, matrices
from memviz.dashboards.answers.state import state
from memviz.dashboards.answers.story import story

ANSWERS: Mapping[str, Answer] = MappingProxyType(
    {
        "": describe,
        "frame": frame,
        "matrices": matrices,
        "cell": cell,
        "slot": slot,
        "values": values,
        "walk": walk,
        "arcs": arcs,
        "events": events,
        "destroyed": destroyed,
        "lineage": lineage,
        "readers": readers,
        "state": state,
        "story": story,
    }
)
"""By the last part of the address; "" is the record itself."""

__all__ = ["ANSWERS", "Answer"]
