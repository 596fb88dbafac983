"""A sheet as PNG, SVG or PDF, drawn by matplotlib: no browser, no window, no display.

Measured against Plotly's own static export (kaleido), which starts a Chrome for it: half the time for a first picture,
less than half the memory, and nothing to install beside a wheel (docs/architecture.md).
"""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from memviz.dashboards.figures.sheet import Panel, Sheet, ticks
from memviz.errors import ExportError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMATS = ("png", "svg", "pdf")

WIDTH = 7.2
"""Inches, the width of a page of text."""

_ONE_AT_A_TIME = threading.Lock()
"""matplotlib's settings belong to the process, and the server has several threads."""

_SETTINGS = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.0,
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8.0,
    "axes.linewidth": 0.6,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "svg.fonttype": "none",
    "svg.hashsalt": "memviz",
    "pdf.fonttype": 42,
    # A dollar sign in a label is a dollar sign.
    "text.parse_math": False,
}
"""Text stays text in SVG and PDF, so that it can be searched and set in another font."""


def print_sheet(sheet: Sheet, form: str, dpi: int = 200) -> bytes:
    """Draw a sheet.

    Args:
        sheet: the figure.
        form: one of `FORMATS`.
        dpi: dots per inch of a PNG.

    Returns:
        The file. The same sheet gives the same bytes.

    Raises:
        ExportError: matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise ExportError(
            f"a picture as {form.upper()} is drawn by matplotlib, which is not installed: pip install "
            "'memviz[export]', or choose the format html, csv or npz"
        ) from None
    notes = sheet.notes()
    heights = [max(_inches(panel) for panel in row if panel is not None) for row in sheet.grid]
    height = sum(heights) + 0.62 * len(heights) + 0.55 + 0.16 * sum(1 + len(note) // 120 for note in notes)
    with _ONE_AT_A_TIME, matplotlib.rc_context(_SETTINGS):
        figure = Figure((WIDTH, height), layout="constrained", facecolor="white")
        figure.suptitle(f"{sheet.title}\n{sheet.subtitle}", x=0.01, ha="left", fontsize=9.5)
        table = sheet.name == "dmn"
        grid = figure.add_gridspec(
            len(sheet.grid),
            sheet.columns,
            height_ratios=heights,
            width_ratios=[3, 3, 1][: sheet.columns] if table else None,
        )
        for at, row in enumerate(sheet.grid):
            sharing: list[Axes] = []  # panels whose scale is that of the next colour bar
            for column, panel in enumerate(row):
                if panel is not None:
                    axes = figure.add_subplot(grid[at, :] if len(row) == 1 else grid[at, column])
                    sharing.append(axes)
                    _draw(axes, panel, sheet, sharing)
                    if panel.bar:
                        sharing = []
        if notes:
            figure.supxlabel(_wrapped(notes), x=0.01, ha="left", fontsize=7, color="#47505b")
        file = io.BytesIO()
        metadata = {"png": {"Software": "memviz"}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[form]
        figure.savefig(file, format=form, dpi=dpi, metadata=metadata)
    return file.getvalue()


def _draw(axes: Axes, panel: Panel, sheet: Sheet, sharing: list[Axes]) -> None:
    from matplotlib.colors import LinearSegmentedColormap, ListedColormap, Normalize

    colours = LinearSegmentedColormap.from_list("memviz", [f"#{stop}" for stop in panel.colours])
    drawn = np.where(np.isfinite(panel.values), panel.values, np.nan)
    options: dict[str, Any] = {"aspect": "auto", "interpolation": "nearest"}
    image = axes.imshow(drawn, cmap=colours, norm=Normalize(*panel.scale), **options)
    for cells, colour, _ in panel.marks:
        axes.imshow(np.where(cells, 1.0, np.nan), cmap=ListedColormap([f"#{colour}"]), vmin=0, vmax=1, **options)
    axes.set_title(f"{panel.title} ({panel.note})" if panel.note else panel.title)
    across = list(enumerate(panel.column_names)) or ticks(panel.column_starts, 12)
    down = list(enumerate(panel.row_names)) or ticks(panel.row_starts, 5)
    axes.set_xticks([at for at, _ in across], [str(name) for _, name in across])
    axes.set_yticks([at for at, _ in down], [str(name) for _, name in down])
    axes.set_xlabel(panel.column_axis)
    axes.set_ylabel("" if panel.row_names else panel.row_axis)
    if panel.printed:
        _print_values(axes, panel)
    if sheet.time is not None and panel.column_axis == "time":
        at = max((i for i, start in enumerate(panel.column_starts) if start <= sheet.time), default=0)
        axes.axvspan(at - 0.5, at + 0.5, fill=False, edgecolor="#3b5bdb", linewidth=1.0)
    if panel.bar:
        low, high = panel.scale
        bar = axes.figure.colorbar(image, ax=sharing, fraction=0.03, pad=0.01, aspect=12)
        bar.set_ticks([low, *([0.0] if low < 0 < high else []), high])
        bar.ax.set_yticklabels([f"{value:.3g}" for value in bar.get_ticks()])
        bar.ax.tick_params(labelsize=6, length=2)
        bar.set_label(panel.unit, fontsize=6.5)
        bar.outline.set_visible(False)


def _print_values(axes: Axes, panel: Panel) -> None:
    """The numbers in the cells, dark on light cells and light on dark ones; bold where a column has its largest."""
    low, high = panel.scale
    for (row, column), value in np.ndenumerate(panel.values):
        if not np.isfinite(value):
            continue
        light = (value - low) / (high - low) > 0.55
        top = np.isfinite(panel.values[:, column]).any() and value == np.nanmax(panel.values[:, column])
        axes.text(
            column,
            row,
            panel.says(float(value)),
            ha="center",
            va="center",
            fontsize=6.5,
            color="#10202f" if light else "#ffffff",
            weight="bold" if top else "normal",
        )


def _wrapped(notes: list[str]) -> str:
    import textwrap

    return "\n".join(line for note in notes for line in textwrap.wrap(note, 120))


def _inches(panel: Panel) -> float:
    """Height of the cells of a panel."""
    rows = int(panel.values.shape[0])
    if panel.printed:
        return max(0.5, 0.2 * rows)
    if panel.column_axis not in ("time", "hop"):
        return 2.4
    return 0.22 * max(1, rows) if rows <= 5 else min(1.5, max(0.7, 0.07 * rows))
