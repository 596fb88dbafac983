"""The Story page: facts, hops and answer of one story, and the table of all stories, drawn by assets/story/."""

from __future__ import annotations

from typing import Any

import dash_ag_grid as dag
from dash import html

from memviz.dashboards.page import Page
from memviz.dashboards.source import Source

ROW_HEIGHT = 28


def layout(_: Source) -> list[Any]:
    """Elements that assets/story/ fills, and the table of stories, which ag-grid draws from the rows it is given."""
    return [
        html.Div(id="story-root"),
        html.Div(
            [html.Div(id="story-bar"), html.Div(_grid(), id="story-table")],
            id="story-list",
            className="card st-list",
            hidden=True,
        ),
    ]


def columns() -> list[dict[str, Any]]:
    """Columns of the table; their renderers are the Memviz... components of assets/story/."""
    return [
        _column("Result", "rank", "MemvizStoryKind", width=174),
        _column("Question", "question", "MemvizStoryLink", flex=4, minWidth=160),
        _column("Answer", "predicted", "MemvizStoryText", flex=1, minWidth=84),
        _column("Expected", "answer", "MemvizStoryText", flex=1, minWidth=84),
        _number("Confidence", "confidence", "MemvizStoryNumber", 92),
        _number("Found", "share", "MemvizStoryFound", 70, "Supporting facts among those that the hops keep most"),
        _number("Eclipse", "lost", "MemvizStoryNumber", 74, "What the most eclipsed fact lost of its gate"),
        _number("Left", "left", "MemvizStoryNumber", 64, "Largest share of an episode that is its initial state"),
        _column("Task", "task", "MemvizStoryTask", flex=2, minWidth=100),
        _number("Facts", "facts", "MemvizStoryCount", 62, "Facts of the story"),
        _number("Step", "step", "MemvizStoryCount", 62, "Training step of the record"),
        _number("Item", "item", "MemvizStoryCount", 58, "Item of the record"),
    ]


def _column(title: str, field: str, renderer: str, **more: Any) -> dict[str, Any]:
    compare = {"function": "memvizStoryCompare"}
    return {"headerName": title, "field": field, "cellRenderer": renderer, "comparator": compare, **more}


def _number(title: str, field: str, renderer: str, width: int, about: str = "") -> dict[str, Any]:
    return _column(title, field, renderer, width=width, type="rightAligned", headerTooltip=about or title)


def _grid() -> dag.AgGrid:
    return dag.AgGrid(
        id="story-grid",
        columnDefs=columns(),
        defaultColDef={
            "sortable": True,
            # The renderers take whole rows, so ag-grid has no types to guess.
            "cellDataType": False,
            "resizable": False,
            "suppressMovable": True,
            "suppressHeaderMenuButton": True,
            "suppressHeaderFilterButton": True,
        },
        rowData=[],
        getRowId="params.data.key",
        dashGridOptions={
            "rowHeight": ROW_HEIGHT,
            "headerHeight": 32,
            "suppressCellFocus": True,
            "rowSelection": {"mode": "singleRow", "checkboxes": False, "enableClickSelection": False},
            "suppressNoRowsOverlay": True,
            "suppressColumnVirtualisation": True,
            "enableCellTextSelection": True,
            "animateRows": False,
        },
        style={"width": "100%", "height": "100%"},
    )


PAGE = Page("story", "Story", layout, of_run=True)
