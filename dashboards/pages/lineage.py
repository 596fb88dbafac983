"""The Lineage page: where a read came from and where a write went, drawn by assets/lineage/ from the data routes."""

from __future__ import annotations

from dash import html

from memviz.dashboards.page import Page
from memviz.dashboards.source import Source


def layout(_: Source) -> html.Div:
    """The empty element that assets/lineage/ fills; Dash never touches what is in it."""
    return html.Div(id="lineage-root")


PAGE = Page("lineage", "Lineage", layout, of_run=True)
