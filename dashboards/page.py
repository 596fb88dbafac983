"""What a page of the dashboard is; those of other packages come in through the entry point group `memviz.pages`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dash import Dash

from memviz.dashboards.source import Source


@dataclass(frozen=True, slots=True)
class Page:
    """A page, shown while the location hash is `#/<name>` (for pages about a run, at `#/run/<id>`).

    Attributes:
        name: its name in the hash; also the id of its container, `<name>-page`.
        title: what the navigation calls it.
        layout: makes its Dash components, once per page load.
        register: adds its callbacks and routes to the app, once; None when it has none.
        of_run: about one run: it is shown at `#/run/<id>?view=<name>`, keeps the selection of the others like it, and
            is drawn by scripts that register with `memviz.base.session` (docs/architecture.md, "The browser side").
    """

    name: str
    title: str
    layout: Callable[[Source], Any]
    register: Callable[[Dash, Source], None] | None = None
    of_run: bool = False
