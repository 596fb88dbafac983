"""Streaming to a Visdom server: better panes than a script would draw, and training that never waits for them.

    trace -> Sink (panes of one record) -> Client (a server that may be slow, hung or gone) | ReplayLog (a file)

`beside` streams while something else runs, `launch` does it in a process of its own. docs/visdom.md shows how to use
it, and how to run a server.
"""

from __future__ import annotations

from memviz.dashboards.visdom.client import Address, Client, VisdomAddressError, VisdomUnavailable
from memviz.dashboards.visdom.launch import Child, launch
from memviz.dashboards.visdom.offline import write_log
from memviz.dashboards.visdom.session import Session, beside, serve_beside

__all__ = [
    "Address",
    "Child",
    "Client",
    "Session",
    "VisdomAddressError",
    "VisdomUnavailable",
    "beside",
    "launch",
    "serve_beside",
    "write_log",
]
