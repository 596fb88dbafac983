"""A picture or a curve as the Plotly figure that Visdom's page draws.

Colours are those of the Scope page: cividis from 0 to 1 for weights, gates and modes, whatever the values; diverging
around 0 for signed values; and colours of their own, outside every scale, for NaN and the infinities. No axis carries a
fixed range, because Visdom keeps a viewer's zoom only where it can tell it from a range that was sent.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memviz.dashboards.downsample import curve, edges, pool
from memviz.dashboards.numbers import numbers
from memviz.dashboards.visdom.pictures import Axis, Picture, count_words

Array = NDArray[np.floating]

MAX_ROWS = 128
MAX_COLUMNS = 192
"""More cells than this are pooled: about the pixels that a pane has."""

CURVE_COLUMNS = 400
"""Points of a curve before it is drawn as the minimum, maximum and last value of each column."""

EXACT_DIGITS = 9
"""Significant digits after which a float32 reads back unchanged."""

INK, FAINT, ACCENT, LINE = "#16191d", "#5f6975", "#3b5bdb", "#dfe3e8"
FONT = "system-ui, -apple-system, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif"
DIVERGING = [[0.0, "#1b5e9e"], [0.5, "#f4f5f6"], [1.0, "#b35400"]]
NOT_NUMBERS = (("NaN", "#c2188b"), ("+Inf", "#ff5fc4"), ("-Inf", "#7a1fa2"))
"""What is no number, and its colour; none of the three is on either scale."""

Figure = tuple[list[dict[str, Any]], dict[str, Any]]
"""Plotly traces, and the layout."""


@dataclass(frozen=True, slots=True)
class Caption:
    """What the second line of every title says of the record: its step, and the loss nearest to it."""

    step: int
    loss: str = ""


def heatmap(picture: Picture, caption: Caption, *, time: int | None, phases: Sequence[tuple[str, int, int]]) -> Figure:
    """One picture as a heatmap.

    Args:
        picture: what to draw.
        caption: what to say of the record.
        time: the chosen time, outlined where columns are times.
        phases: name, first time and time after the last of the parts of the sequence.
    """
    values = pool(picture.values, MAX_ROWS, MAX_COLUMNS, signed=picture.kind == "signed")
    height, width = picture.values.shape
    y, x = edges(height, MAX_ROWS), edges(width, MAX_COLUMNS)
    low, high = picture.scale
    unit = "slot" if picture.rows.per > 1 else html_text(picture.rows.name)
    hover = f"{html_text(picture.columns.name)} %{{x}}<br>{unit} %{{y}}<br><b>%{{z:.6g}}</b><extra></extra>"
    rows = (y / picture.rows.per) if picture.rows.per > 1 else y
    traces: list[dict[str, Any]] = [
        {
            "type": "heatmap",
            "z": cells(values),
            "x": x.tolist(),
            "y": numbers(rows),
            "zmin": low,
            "zmax": high,
            "zauto": False,
            "colorscale": DIVERGING if picture.kind == "signed" else "Cividis",
            "colorbar": _colour_bar(low, high),
            "hovertemplate": hover,
            "hoverongaps": False,
        }
    ]
    if picture.bad.any():
        traces.append(_not_numbers(values, traces[0]["x"], traces[0]["y"], hover))
    return traces, _layout(picture, values, caption, time=time, phases=phases)


def cells(values: Array) -> list[list[float | None]]:
    """Values of a matrix as JSON: floats that read back unchanged as float32, null for what is no number."""
    finite = np.isfinite(values)
    listed: list[list[float | None]] = numbers(np.where(finite, values, 0), EXACT_DIGITS)
    for row, column in np.argwhere(~finite).tolist():
        listed[row][column] = None
    return listed


def lines(name: str, steps: NDArray[np.int64], values: Array, step: int | None, caption: str) -> Figure:
    """A logged scalar over training steps, with a mark at the record shown.

    Args:
        name: of the scalar.
        steps: [point], ascending.
        values: [point].
        step: training step to mark.
        caption: second line of the title.
    """
    points = curve(steps, values, CURVE_COLUMNS)
    finite = values[np.isfinite(values)]
    logarithmic = finite.size > 1 and float(finite.min()) > 0 and float(finite.max()) > 30 * float(finite.min())
    x = points.steps.tolist()
    line = {
        "type": "scatter",
        "mode": "lines" if len(x) > 1 else "markers",
        "name": name,
        "x": x,
        "y": _row(points.last),
        "line": {"color": ACCENT, "width": 1.5},
        "hovertemplate": "step %{x}<br><b>%{y:.6g}</b><extra></extra>",
    }
    traces = [line]
    if len(x) < len(values):
        band = {
            "type": "scatter",
            "mode": "lines",
            "name": f"{name}, lowest and highest",
            "x": [*x, *x[::-1]],
            "y": [*_row(points.low), *_row(points.high)[::-1]],
            "fill": "toself",
            "fillcolor": "rgba(59,91,219,0.18)",
            "line": {"width": 0},
            "hoverinfo": "skip",
        }
        traces = [line, band]
    layout = _frame(_title(html_text(name), [caption]), left=58, right=18)
    layout["xaxis"] |= {"title": _axis_title("training step"), "showgrid": False}
    layout["yaxis"] |= {"type": "log" if logarithmic else "linear", "gridcolor": LINE, "exponentformat": "power"}
    layout["yaxis"]["dtick"] = 1 if logarithmic else None
    layout["showlegend"] = False
    if step is not None:
        mark = {"type": "line", "x0": step, "x1": step, "yref": "paper", "y0": 0, "y1": 1}
        layout["shapes"] = [{**mark, "line": {"color": INK, "width": 1, "dash": "dot"}}]
    return traces, layout


def html_text(text: object) -> str:
    """Text from a trace, safe inside Visdom's text panes and Plotly's titles (no markup, no TeX)."""
    return html.escape(str(text)).replace("$", "&#36;")


def number_text(value: float) -> str:
    """A number as people write it: `0.0123`, `NaN`, `+Inf`."""
    return f"{value:.4g}" if np.isfinite(value) else "NaN" if np.isnan(value) else "+Inf" if value > 0 else "-Inf"


def _row(values: Array) -> list[float | None]:
    return cells(np.asarray(values)[None])[0]


def _not_numbers(values: Array, x: list[int], y: list[float], hover: str) -> dict[str, Any]:
    """A second heatmap over the first, of the cells that hold no number and of nothing else."""
    codes = np.full(values.shape, np.nan)
    for code, mask in enumerate((np.isnan(values), np.isposinf(values), np.isneginf(values))):
        codes[mask] = code
    count = len(NOT_NUMBERS)
    steps = [[(code + side) / count, colour] for code, (_, colour) in enumerate(NOT_NUMBERS) for side in (0, 1)]
    words = [[NOT_NUMBERS[int(code)][0] if np.isfinite(code) else "" for code in row] for row in codes]
    return {
        "type": "heatmap",
        "name": "not a number",
        "z": cells(codes),
        "x": x,
        "y": y,
        "zmin": -0.5,
        "zmax": count - 0.5,
        "zauto": False,
        "colorscale": steps,
        "showscale": False,
        "text": words,
        "hovertemplate": hover.replace("%{z:.6g}", "%{text}"),
        "hoverongaps": False,
    }


def _layout(
    picture: Picture,
    values: Array,
    caption: Caption,
    *,
    time: int | None,
    phases: Sequence[tuple[str, int, int]],
) -> dict[str, Any]:
    height, width = picture.values.shape
    second = [f"step {caption.step}", picture.when, caption.loss]
    if values.shape != picture.values.shape:
        second.append(f"{height} × {width} pooled to {values.shape[0]} × {values.shape[1]}")
    if picture.derived:
        second.append("derived")
    # What is no number is said first: a title is cut off on the right.
    trouble = count_words(picture)
    if trouble:
        second.insert(0, f"<span style='color:{NOT_NUMBERS[0][1]}'><b>{trouble}</b></span>")
    layout = _frame(_title(f"<b>{html_text(picture.title)}</b>", second), left=52 if not picture.rows.names else 70)
    layout["xaxis"] |= {"title": _axis_title(html_text(picture.columns.name)), "showgrid": False}
    layout["yaxis"] |= {"title": _axis_title(html_text(picture.rows.name)), "showgrid": False, "autorange": "reversed"}
    layout["xaxis"] |= _ticks(picture.columns, width)
    layout["yaxis"] |= _ticks(picture.rows, height)
    if picture.over_time:
        layout["shapes"] = _time_mark(time, width)
        _mark_phases(layout, phases, width)
    return layout


def _frame(title: str, *, left: int, right: int = 56) -> dict[str, Any]:
    axis = {"ticks": "outside", "ticklen": 3, "tickcolor": FAINT, "tickfont": {"size": 10}, "zeroline": False}
    return {
        "title": {
            "text": title,
            "font": {"size": 13, "color": INK},
            "x": 0,
            "xanchor": "left",
            "y": 1,
            "yanchor": "top",
            "pad": {"l": 10, "t": 20},
        },
        "margin": {"l": left, "r": right, "t": 60, "b": 38},
        "font": {"family": FONT, "size": 11, "color": INK},
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff",
        "xaxis": {**axis, "automargin": False},
        "yaxis": {**axis, "automargin": False},
        "shapes": [],
        "annotations": [],
        "hoverlabel": {"font": {"size": 11}},
    }


def _title(first: str, second: Sequence[str]) -> str:
    small = " · ".join(part for part in second if part)
    return f"{first}<br><span style='font-size:10px;color:{FAINT}'>{small}</span>"


def _axis_title(text: str) -> dict[str, Any]:
    return {"text": text, "font": {"size": 10, "color": FAINT}, "standoff": 4}


def _ticks(axis: Axis, length: int) -> dict[str, Any]:
    if axis.names:
        return {"tickmode": "array", "tickvals": list(range(length)), "ticktext": [html_text(n) for n in axis.names]}
    # Whole numbers only: there is no slot 2.5.
    return {"tickformat": "d", **({"dtick": 1} if length // axis.per <= 8 else {})}


def _colour_bar(low: float, high: float) -> dict[str, Any]:
    middle = (low + high) / 2
    return {
        "thickness": 8,
        "len": 1.0,
        "xpad": 6,
        "ypad": 0,
        "outlinewidth": 0,
        "tickmode": "array",
        "tickvals": [low, middle, high],
        "ticktext": [f"{value:.3g}" for value in (low, middle, high)],
        "tickfont": {"size": 9, "color": FAINT},
    }


def _time_mark(time: int | None, width: int) -> list[dict[str, Any]]:
    """A white and black outline around the chosen column, visible on every colour of the scale."""
    if time is None or width < 2:
        return []
    box = {"type": "rect", "x0": time - 0.5, "x1": time + 0.5, "yref": "paper", "y0": 0, "y1": 1}
    return [{**box, "line": {"color": "#ffffff", "width": 3}}, {**box, "line": {"color": INK, "width": 1}}]


def _mark_phases(layout: dict[str, Any], phases: Sequence[tuple[str, int, int]], width: int) -> None:
    """The parts of a sequence, as names above the plot and lines between them."""
    for name, start, stop in phases:
        if start > 0:
            line = {"color": "rgba(255,255,255,0.75)", "width": 1, "dash": "dot"}
            edge = {"type": "line", "x0": start - 0.5, "x1": start - 0.5, "yref": "paper", "y0": 0, "y1": 1}
            layout["shapes"].append({**edge, "line": line})
        # About six pixels per letter, on a plot of about 260.
        if (stop - start) / max(1, width) * 260 >= 6 * len(name):
            layout["annotations"].append(
                {
                    "text": html_text(name),
                    "x": (start + stop - 1) / 2,
                    "yref": "paper",
                    "y": 1.0,
                    "yanchor": "bottom",
                    "showarrow": False,
                    "font": {"size": 9, "color": FAINT},
                }
            )


def phases_of(labels: Mapping[str, Any]) -> list[tuple[str, int, int]]:
    """The label `phases` of a record, as far as it has the form [[name, start, stop], ...]."""
    listed = labels.get("phases")
    return [
        (str(entry[0]), entry[1], entry[2])
        for entry in (listed if isinstance(listed, list) else [])
        if isinstance(entry, list) and len(entry) == 3 and all(isinstance(edge, int) for edge in entry[1:])
    ]
