"""The Runs page: every trace under the served paths in one table, filtered and kept current by assets/runs.js."""

from __future__ import annotations

from typing import Any

import dash_ag_grid as dag
from dash import html

from memviz.dashboards.page import Page
from memviz.dashboards.source import Source

ATTACH = (
    'rec = memviz.attach(model, "{path}", every=100)',
    "rec.log(loss=loss)    # in the training loop",
    "rec.close()",
)
"""The three lines that an empty page shows."""


def layout(source: Source) -> list[Any]:
    """Filter and counts, the table, and what stands in its place while there is nothing to show."""
    return [_bar(), *_states(source), html.Div(_grid(), id="runs-table", className="card runs-table", hidden=True)]


def columns() -> list[dict[str, Any]]:
    """Columns of the table; their renderers are the Memviz... components of assets/runs.js."""
    return [
        _column("State", "state", "MemvizState", width=124),
        _column("Run", "name", "MemvizRun", flex=5, minWidth=130, sortable=True),
        _column("Model and memories", "model", "MemvizModel", flex=4, minWidth=150),
        _number("Step", "step", "MemvizCount", 78),
        _number("Records", "records", "MemvizRecords", 86),
        _column(
            "Training loss",
            "spark",
            "MemvizSpark",
            flex=3,
            minWidth=100,
            maxWidth=224,
            headerComponent="MemvizSparkHeader",
        ),
        _number("Last loss", "last_loss", "MemvizLoss", 98),
        _column("Findings", "findings", "MemvizFindings", flex=4, minWidth=136),
        _number("Size", "size", "MemvizSize", 84),
        _number("Age", "age", "MemvizAge", 78),
    ]


def _column(title: str, field: str, renderer: str, **more: Any) -> dict[str, Any]:
    return {"headerName": title, "field": field, "cellRenderer": renderer, **more}


def _number(title: str, field: str, renderer: str, width: int) -> dict[str, Any]:
    compare = {"function": "memvizCompare"}
    return _column(title, field, renderer, width=width, type="rightAligned", sortable=True, comparator=compare)


def _bar() -> html.Div:
    return html.Div(
        [
            # A plain input: dcc.Input would send every key to the server.
            html.Div(id="runs-filter", className="runs-filter"),
            html.Button(["All ", html.B(id="count-all")], id="chip-all", className="btn", **_pressed(True)),
            html.Button(["Live ", html.B(id="count-live")], id="chip-live", className="btn", **_pressed(False)),
            html.Button(
                ["With findings ", html.B(id="count-findings")],
                id="chip-findings",
                className="btn",
                title="errors and warnings",
                **_pressed(False),
            ),
            html.Span(className="spring"),
            html.Span(id="runs-total", className="note"),
        ],
        className="bar",
    )


def _states(source: Source) -> list[html.Div]:
    lines = "\n".join(ATTACH).replace("{path}", _example_path(source))
    bars = [html.Div(className="skeleton", style={"width": width}) for width in ("70%", "90%", "50%")]
    return [
        html.Div(id="runs-notice", className="notice", hidden=True, role="status"),
        html.Div([html.Span("Looking for runs", className="ttl"), *bars], id="runs-loading", className="card state"),
        html.Div(
            [
                html.Span(f"No trace in {source.root} yet", className="ttl"),
                html.P("Record one in three lines, and it appears here by itself:", className="note"),
                html.Pre(html.Code(lines)),
                html.P(["Or watch one learn now: ", html.Code("memviz demo copy")], className="note"),
            ],
            id="runs-empty",
            className="card state",
            hidden=True,
        ),
        html.Div(
            [
                html.Span("No run matches", className="ttl"),
                html.P(id="runs-nomatch-text", className="note"),
                html.Button("Show all runs", id="runs-clear", className="btn"),
            ],
            id="runs-nomatch",
            className="card state",
            hidden=True,
        ),
    ]


def _grid() -> dag.AgGrid:
    return dag.AgGrid(
        id="runs-grid",
        columnDefs=columns(),
        defaultColDef={
            "sortable": False,
            # The renderers take whole rows, so ag-grid has no types to guess.
            "cellDataType": False,
            "resizable": False,
            "suppressMovable": True,
            "suppressHeaderMenuButton": True,
            "suppressHeaderFilterButton": True,
        },
        rowData=[],
        getRowId="params.data.id",
        rowClassRules={"selected": "params.data.selected"},
        dashGridOptions={
            "domLayout": "autoHeight",
            "rowHeight": 56,
            "headerHeight": 34,
            "suppressCellFocus": True,
            "suppressNoRowsOverlay": True,
            "suppressRowHoverHighlight": False,
            "enableCellTextSelection": True,
            "animateRows": False,
            "isFullWidthRow": {"function": "memvizIsError(params)"},
            "fullWidthCellRenderer": "MemvizErrorRow",
        },
        style={"width": "100%", "height": None},
    )


def _example_path(source: Source) -> str:
    """Where a new run would be found by this server."""
    first = source.paths[0].as_posix() if source.paths else "runs"
    return f"{first.rstrip('/')}/copy"


def _pressed(pressed: bool) -> dict[str, str]:
    return {"aria-pressed": "true" if pressed else "false"}


PAGE = Page("runs", "Runs", layout)
