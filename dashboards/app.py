"""The Dash app: the frame around the pages, a container for each, and the guarded Flask server beneath.

Which page shows is decided in the browser from the location hash (assets/shell.js), so going from one place to another,
and scrubbing within a place, needs no round trip to the server.
"""

from __future__ import annotations

import contextlib
import warnings
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import dash_mantine_components as dmc
from dash import Dash, html

from memviz import plugins
from memviz.dashboards import bundles
from memviz.dashboards.api import blueprint
from memviz.dashboards.guard import Guard, install
from memviz.dashboards.page import Page
from memviz.dashboards.pages import compare, film, lineage, runs, scope, story
from memviz.dashboards.source import Source

EARLY_THEME = (
    "(function(){var t=null;try{t=localStorage.getItem('memviz-theme')}catch(e){}"
    "if(t!=='light'&&t!=='dark')t=matchMedia('(prefers-color-scheme: dark)').matches?'dark':'light';"
    "var r=document.documentElement;r.dataset.theme=t;r.dataset.mantineColorScheme=t})()"
)
"""Runs before the first paint, so that a dark page does not flash white."""

INDEX = f"""<!DOCTYPE html>
<html lang="en">
  <head>
    {{%metas%}}
    <title>{{%title%}}</title>
    <link rel="icon" type="image/svg+xml" href="{{%assets%}}logo.svg">
    <script>{EARLY_THEME}</script>
    {{%css%}}
    {{%page_styles%}}
  </head>
  <body>
    {{%app_entry%}}
    <footer>{{%config%}}{{%scripts%}}{{%page_scripts%}}{{%renderer%}}</footer>
  </body>
</html>"""


_ENDINGS = "memviz-endings"


def pages() -> list[Page]:
    """The built-in pages and those of other packages; a page whose name is taken is left out with a warning."""
    known = [runs.PAGE, scope.PAGE, lineage.PAGE, story.PAGE, compare.PAGE, film.PAGE]
    for name, page in plugins.load("memviz.pages"):
        if not isinstance(page, Page):
            warnings.warn(f"page {name!r} is no memviz.dashboards.page.Page but {page!r:.80}", stacklevel=2)
        elif any(page.name == other.name for other in known):
            warnings.warn(
                f"there are two pages named {page.name!r}; that of entry point {name!r} is left out", stacklevel=2
            )
        else:
            known.append(page)
    return known


def create_app(source: Source, guard: Guard, settings: Mapping[str, Any] | None = None) -> Dash:
    """The app that serves `source` to whom `guard` lets in; `app.server` is the WSGI application.

    Args:
        source: the traces.
        guard: the rules, to which the posts of pages are added.
        settings: for pages, by name in upper case; they find them in `app.server.config`.
    """
    known = pages()
    brought = bundles.tags(known)
    index = INDEX.replace("{%assets%}", "/assets/")
    app = Dash(
        "memviz.dashboards",
        title="memviz",
        update_title=None,
        serve_locally=True,
        compress=False,
        add_log_handler=False,
        enable_mcp=False,
        assets_folder=str(Path(__file__).parent / "assets"),
        index_string=index.replace("{%page_styles%}", brought.styles).replace("{%page_scripts%}", brought.scripts),
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
    )
    app.layout = lambda: shell(source, known)
    app.server.config.update(settings or {})
    bundles.serve(app.server, known)
    for page in known:
        ending = page.register(app, source) if page.register is not None else None
        if callable(ending):
            app.server.extensions.setdefault(_ENDINGS, []).append(ending)
    app.server.register_blueprint(blueprint(source))
    guard = replace(guard, posts=guard.posts.union(*(page.posts for page in known)))
    install(app.server, guard, scripts=[_hash(EARLY_THEME), *app.csp_hashes()])
    return app


def close_app(app: Dash) -> None:
    """Let go of what the pages hold, such as processes of their own; safe to call twice."""
    for ending in app.server.extensions.pop(_ENDINGS, []):
        with contextlib.suppress(Exception):  # a page may fail in any way; the others are still to be closed
            ending()


def shell(source: Source, known: list[Page]) -> Any:
    """Header, one container per page of which shell.js shows one, and the live region for screen readers."""
    links = [
        html.A(
            page.title,
            href=f"#/{page.name}",
            className="nav-link",
            **{"data-page": page.name, **({"data-run": "1"} if page.of_run else {})},
        )
        for page in known
    ]
    header = html.Header(
        [
            html.A(
                [html.Img(src="/assets/logo.svg", alt="", width=20, height=20), "memviz"],
                href="#/runs",
                className="logo",
            ),
            html.Nav(links, className="nav", **{"aria-label": "Pages"}),
            html.Span(className="rule"),
            html.Nav(id="crumbs", className="crumbs", **{"aria-label": "Selection"}),
            html.Button(
                ["Command", html.Kbd("Ctrl K")],
                id="command-button",
                className="btn command",
                title="Every action, run, finding and field",
            ),
            html.Button(
                html.Span(className="icon-theme"),
                id="theme-toggle",
                className="btn ic",
                title="Switch between light and dark",
                **{"aria-label": "Switch between light and dark"},
            ),
            html.Button("?", id="help-button", className="btn ic", title="Keys", **{"aria-label": "Keys"}),
        ],
        className="hdr",
    )
    mains = [
        html.Main(
            page.layout(source), id=f"{page.name}-page", className="page", hidden=True, **{"data-title": page.title}
        )
        for page in known
    ]
    live = html.Div(id="announcer", className="sr-only", **{"aria-live": "polite"})
    return dmc.MantineProvider(
        html.Div([header, *mains, live], id="memviz-shell", **{"data-root": source.root}),
        id="mantine",
        theme={"fontFamily": "inherit", "primaryColor": "indigo", "defaultRadius": "sm"},
    )


def _hash(script: str) -> str:
    return f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'"
