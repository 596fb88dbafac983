"""What a page of the dashboard is; those of other packages come in through the entry point group `memviz.pages`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
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
        register: adds its callbacks and routes to the app, once; None when it has none. `app.server.config` holds the
            settings that the server was started with. What it returns, if anything, is called when the server ends.
        of_run: about one run: it is shown at `#/run/<id>?view=<name>`, keeps the selection of the others like it, and
            is drawn by scripts that register with `memviz.base.session` (docs/architecture.md, "The browser side").
        assets: folder of scripts and style sheets that it brings, or None; see memviz.dashboards.bundles.
        posts: rules of its routes that may be asked by POST with a body of JSON, as they were given to Flask. The guard
            refuses any other; such a route answers and changes nothing on disk.
    """

    name: str
    title: str
    layout: Callable[[Source], Any]
    register: Callable[[Dash, Source], Callable[[], None] | None] | None = None
    of_run: bool = False
    assets: Path | None = None
    posts: tuple[str, ...] = ()
