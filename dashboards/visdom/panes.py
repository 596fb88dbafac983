"""One record of a run as everything that its Visdom environment shows: fixed windows, in the order of their layout.

The same windows come back for every record, so an environment is updated in place and never grows. A pane's own title
stays the same too, which is what Visdom filters by ("read" leaves the read heads) and compares runs by; step, time and
loss are in the title of the plot.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from memviz.dashboards.fieldview import Values
from memviz.dashboards.summaries import loss_of
from memviz.dashboards.visdom import plots, texts
from memviz.dashboards.visdom.checks import findings
from memviz.dashboards.visdom.pictures import gallery
from memviz.dashboards.visdom.place import SIZES, Offer, Place
from memviz.dashboards.visdom.properties import properties
from memviz.trace.reader import Trace

PREFIX = "memviz:"
"""Begins the id of every window, so that what else a script draws into the same environment is left alone."""

PROPERTIES = f"{PREFIX}properties"
RUN = f"{PREFIX}run"

MAX_SCALARS = 6
MAX_PICTURES = 60
"""Pictures in one environment: a browser redraws each of them for every record."""


@dataclass(frozen=True, slots=True)
class Pane:
    """One window of an environment.

    Attributes:
        win: id of the window.
        title: what its bar says.
        data: Plotly traces, or one text or properties item.
        layout: Plotly layout; empty for other panes.
        width: pixels.
        height: pixels.
    """

    win: str
    title: str
    data: Sequence[Mapping[str, Any]]
    layout: Mapping[str, Any] = field(default_factory=dict)
    width: int = 366
    height: int = 272

    def message(self, env: str) -> dict[str, Any]:
        """What Visdom's route `/events` takes to draw this window, or to replace what it shows."""
        options = {"title": self.title, "width": self.width, "height": self.height}
        return {"data": self.data, "layout": self.layout, "win": self.win, "eid": env, "opts": options}

    def body(self, env: str) -> bytes:
        """The message as strict JSON: a NaN that slipped through would stop every browser that looks on."""
        return json.dumps(self.message(env), allow_nan=False, separators=(",", ":")).encode()


def panes(
    trace: Trace, values: Values, place: Place, choice: Offer, tally: texts.Tally, playing: str = ""
) -> list[Pane]:
    """Every window of an environment for one record.

    Args:
        trace: the run.
        values: the record to show.
        place: what was asked for.
        choice: what is shown (place.offer).
        tally: what Visdom got to see so far.
        playing: in words, what a replay is doing.
    """
    record = values.record
    width, height = SIZES[place.size]
    drawn = gallery(values, place, choice)
    pictures = drawn.pictures[:MAX_PICTURES]
    missing = [
        *drawn.missing,
        *(f"{picture.title}: more than {MAX_PICTURES} panes" for picture in drawn.pictures[MAX_PICTURES:]),
    ]
    found = findings(record, trace.name)
    caption = plots.Caption(record.step, texts.loss_at(trace, record.step))
    phases = plots.phases_of(record.labels)
    run = texts.run_text(trace, record, choice, tally, playing)
    notes = texts.findings_text(found, missing, trace.events, trace.notes)
    scalars = _scalars(trace, record.step, width, height)
    result = [
        Pane(RUN, "run", [{"type": "text", "content": run}], {}, width, height),
        Pane(
            PROPERTIES, "properties", [{"type": "properties", "content": properties(place, choice)}], {}, width, height
        ),
        *scalars[:1],
        Pane(f"{PREFIX}findings", "findings", [{"type": "text", "content": notes}], {}, width, height),
    ]
    for picture in pictures:
        traces, layout = plots.heatmap(picture, caption, time=choice.time, phases=phases)
        result.append(Pane(f"{PREFIX}{picture.key}", picture.label, traces, layout, width, height))
    return [*result, *scalars[1:]]


def _scalars(trace: Trace, step: int, width: int, height: int) -> list[Pane]:
    loss = loss_of(trace)
    names = sorted(trace.scalars, key=lambda name: (name != loss, name))[:MAX_SCALARS]
    result = []
    for name in names:
        series = trace.scalars[name]
        if not len(series.steps):
            continue
        before = int((series.steps <= step).sum())
        caption = (
            f"{plots.number_text(series.values[before - 1])} at step {int(series.steps[before - 1])}" if before else ""
        )
        traces, layout = plots.lines(name, series.steps, series.values, step, caption)
        result.append(Pane(f"{PREFIX}scalar:{name}", name, traces, layout, width, height))
    return result
