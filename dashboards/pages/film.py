"""The Film page: a whole training in a few numbers and one weighting, drawn by assets/film/ from the data routes."""

from __future__ import annotations

from dash import html

from memviz.dashboards.page import Page
from memviz.dashboards.source import Source


def layout(_: Source) -> html.Div:
    """The empty element that assets/film/ fills; Dash never touches what is in it."""
    return html.Div(id="film-root")


PAGE = Page("film", "Film", layout, of_run=True)
