"""A sheet as a Plotly figure: for pages, notebooks, and an HTML file that can be zoomed and hovered.

Cells that are no number are a second trace in a colour of its own, since Plotly leaves them blank otherwise. Texts of a
trace are escaped, because Plotly reads a little HTML in texts.
"""

from __future__ import annotations

import html
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from memviz.dashboards.figures.sheet import Panel, Sheet, ticks

WIDTH = 900
"""Pixels of a figure with one or more columns."""

FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"


def plotly_figure(sheet: Sheet) -> go.Figure:
    """Draw a sheet; light, for paper, with one colour bar per panel on its stated scale."""
    rows = list(sheet.grid)
    heights = [max(_height(panel) for panel in row if panel is not None) for row in rows]
    specs = [
        [
            ({"colspan": sheet.columns} if len(row) == 1 else {}) if at < len(row) and row[at] is not None else None
            for at in range(sheet.columns)
        ]
        for row in rows
    ]
    total = sum(heights) + 64 * len(rows)
    table = sheet.name == "dmn"
    figure = make_subplots(
        rows=len(rows),
        cols=sheet.columns,
        specs=specs,
        row_heights=heights,
        vertical_spacing=64 / total if len(rows) > 1 else 0.0,
        horizontal_spacing=0.06 if table else 0.13,
        subplot_titles=[text_of(_title(panel)) for row in rows for panel in row if panel is not None],
        column_widths=[3, 3, 1][: sheet.columns] if table else None,
    )
    for number, row in enumerate(rows, 1):
        for column, panel in enumerate(row, 1):
            if panel is not None:
                _draw(figure, panel, number, column, sheet)
    notes = [text_of(note) for note in sheet.notes()]
    figure.update_annotations(font_size=12)
    named = max((len(name) for panel in sheet.panels for name in panel.row_names), default=0)
    left = max(60, min(380, 7 * named))
    figure.update_layout(
        template="plotly_white",
        width=WIDTH,
        height=total + 120 + 16 * len(notes),
        margin={"l": left, "r": 70, "t": 84, "b": 50 + 16 * len(notes)},
        title={"text": f"{text_of(sheet.title)}<br><sup>{text_of(sheet.subtitle)}</sup>", "x": 0.02},
        font={"family": FONT, "size": 11, "color": "#16191d"},
        plot_bgcolor="#ffffff",
        meta={"figure": sheet.name, "subtitle": sheet.subtitle},
    )
    if notes:
        figure.add_annotation(
            text="<br>".join(notes),
            xref="paper",
            yref="paper",
            x=0,
            y=0,
            yshift=-44,
            xshift=24 - left,
            yanchor="top",
            xanchor="left",
            align="left",
            showarrow=False,
            font={"size": 10, "color": "#47505b"},
        )
    return figure


def text_of(words: str) -> str:
    """Words as a text of Plotly that shows them as they are: no markup, no formula."""
    return html.escape(words).replace("$", "&#36;")


def _draw(figure: go.Figure, panel: Panel, row: int, column: int, sheet: Sheet) -> None:
    x, y = list(range(panel.values.shape[1])), list(range(panel.values.shape[0]))
    finite = np.where(np.isfinite(panel.values), panel.values, np.nan)
    across = panel.column_names or [str(start) for start in panel.column_starts]
    down = panel.row_names or [str(start) for start in panel.row_starts]
    axis = figure.get_subplot(row, column)
    bar = _bar(panel, axis.xaxis.domain, axis.yaxis.domain)
    where = np.array([[f"{panel.column_axis} {_plain(c)}, {panel.row_axis} {_plain(r)}" for c in across] for r in down])
    low, high = panel.scale
    colours = [(i / (len(panel.colours) - 1), f"#{stop}") for i, stop in enumerate(panel.colours)]
    figure.add_trace(
        go.Heatmap(
            z=finite,
            x=x,
            y=y,
            zmin=low,
            zmax=high,
            colorscale=colours,
            colorbar=bar,
            showscale=bar is not None,
            name=text_of(panel.title),
            customdata=where,
            hovertemplate="%{customdata}: %{z}<extra>%{fullData.name}</extra>",
            text=[[panel.says(v) for v in line] for line in panel.values.tolist()] if panel.printed else None,
            texttemplate="%{text}" if panel.printed else None,
        ),
        row=row,
        col=column,
    )
    for cells, colour, word in panel.marks:
        figure.add_trace(
            go.Heatmap(
                z=np.where(cells, 1.0, np.nan),
                x=x,
                y=y,
                zmin=0,
                zmax=1,
                colorscale=[(0, f"#{colour}"), (1, f"#{colour}")],
                showscale=False,
                name=f"{text_of(panel.title)}: {word}",
                customdata=where,
                hovertemplate="%{customdata}: " + word + "<extra>%{fullData.name}</extra>",
            ),
            row=row,
            col=column,
        )
    _axes(figure, panel, row, column, sheet)


def _axes(figure: go.Figure, panel: Panel, row: int, column: int, sheet: Sheet) -> None:
    """Numbers and names along the axes; row 0 at the top."""
    across = [(at, name) for at, name in enumerate(panel.column_names)] or ticks(panel.column_starts, 12)
    down = [(at, name) for at, name in enumerate(panel.row_names)] or ticks(panel.row_starts, 5)
    common: dict[str, Any] = {"showgrid": False, "zeroline": False, "showline": True, "linecolor": "#87909c"}
    figure.update_xaxes(
        tickvals=[at for at, _ in across],
        ticktext=[text_of(str(name)) for _, name in across],
        title={"text": text_of(panel.column_axis), "standoff": 4},
        ticks="outside",
        **common,
        row=row,
        col=column,
    )
    figure.update_yaxes(
        tickvals=[at for at, _ in down],
        ticktext=[text_of(str(name)) for _, name in down],
        title={"text": text_of("" if panel.row_names else panel.row_axis), "standoff": 4},
        autorange="reversed",
        ticks="outside",
        **common,
        row=row,
        col=column,
    )
    if sheet.time is not None and panel.column_axis == "time":
        at = max((i for i, start in enumerate(panel.column_starts) if start <= sheet.time), default=0)
        shape = {"x0": at - 0.5, "x1": at + 0.5, "line": {"color": "#3b5bdb", "width": 1.5}}
        figure.add_vrect(**shape, row=row, col=column)


def _bar(panel: Panel, x: Any, y: Any) -> dict[str, Any] | None:
    if not panel.bar:
        return None
    low, high = panel.scale
    middle = [0.0] if low < 0 < high else []
    tick = [low, *middle, high]
    return {
        "x": x[1] + 0.008,
        "xanchor": "left",
        "y": (y[0] + y[1]) / 2,
        "len": max(y[1] - y[0], 0.02),
        "thickness": 8,
        "tickvals": tick,
        "ticktext": [f"{value:.3g}" for value in tick],
        "title": {"text": panel.unit, "side": "right", "font": {"size": 9}},
        "tickfont": {"size": 9},
        "outlinewidth": 0,
    }


def _title(panel: Panel) -> str:
    return f"{panel.title} ({panel.note})" if panel.note else panel.title


def _plain(name: object) -> str:
    return text_of(str(name))


def _height(panel: Panel) -> int:
    """Pixels of the cells of a panel."""
    rows = int(panel.values.shape[0])
    if panel.printed:
        return max(60, 24 * rows)
    if panel.column_axis not in ("time", "hop"):
        return 300
    return 26 * rows if rows <= 5 else min(180, max(80, 8 * rows))
