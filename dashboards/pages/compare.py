"""The Compare page: two records side by side, slots aligned, drawn by assets/compare/ from the data routes."""

from __future__ import annotations

from dash import html

from memviz.dashboards.page import Page
from memviz.dashboards.source import Source


def layout(_: Source) -> html.Div:
    """The empty element that assets/compare/ fills; Dash never touches what is in it."""
    return html.Div(id="compare-root")


PAGE = Page("compare", "Compare", layout, of_run=True)
