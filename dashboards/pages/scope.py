"""The Scope page: one run, drawn on canvases by assets/scope/ from the data routes. Dash only provides the place."""

from __future__ import annotations

from dash import html

from memviz.dashboards.page import Page
from memviz.dashboards.source import Source


def layout(_: Source) -> html.Div:
    """The empty element that assets/scope/ fills; Dash never touches what is in it."""
    return html.Div(id="scope-root")


PAGE = Page("scope", "Scope", layout, of_run=True)
