"""Take something along: a panel, a figure or a whole record as a file, or the Python that reads it.

`make` is behind the route `/records/{i}/export` and behind `memviz export`.
"""

from __future__ import annotations

from memviz.dashboards.export.making import figure, make
from memviz.dashboards.export.snippet import snippet
from memviz.dashboards.export.wish import FIGURES, FORMATS, Download, Wish

__all__ = ["FIGURES", "FORMATS", "Download", "Wish", "figure", "make", "snippet"]
