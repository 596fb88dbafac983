"""The run in words: what it is, how much of it Visdom got to see, what is wrong in the record shown, what happened."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from memviz.dashboards.summaries import loss_of, sizes, summary_of
from memviz.dashboards.visdom.place import Offer
from memviz.dashboards.visdom.plots import FAINT, NOT_NUMBERS, html_text, number_text
from memviz.fields import MODEL
from memviz.trace.reader import Record, Trace
from memviz.trace.schema import Event

MAX_FINDINGS = 12
MAX_EVENTS = 8

SOUND = "No diagnostic finds a fault in this record."

SILENT_EVENTS = ("opened", "closed")
"""Kinds of events that the state of the run says already."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How many records were drawn in Visdom, and how many were passed over because newer ones were there already."""

    drawn: int = 0
    skipped: int = 0
    away: float = 0.0
    """Seconds for which the server did not answer, all together."""


def run_text(trace: Trace, record: Record, choice: Offer, tally: Tally, playing: str = "") -> str:
    """What the run is, as a small table.

    Args:
        trace: the run.
        record: the record shown.
        choice: what is shown of it.
        tally: what Visdom got to see.
        playing: in words, what a replay is doing.
    """
    model = trace.header.model.get("class", "")
    rows = [
        ("state", playing or trace.state),
        ("model", model),
        ("record", f"{_position(trace, record)} of {len(trace)}, step {record.step}"),
        ("memory", f"{choice.memory}: {_shapes(trace, record, choice.memory)}"),
        ("drawn here", _number(tally.drawn, "record")),
        ("passed over", f"{_number(tally.skipped, 'record')} (in the trace, not drawn here)" if tally.skipped else ""),
        ("server away", f"{tally.away:.0f} s" if tally.away >= 1 else ""),
        ("not recorded", f"{_number(trace.dropped, 'record')} dropped by the recorder" if trace.dropped else ""),
    ]
    body = "".join(
        f"<tr><td style='color:{FAINT};padding-right:12px;white-space:nowrap'>{name}</td>"
        f"<td>{html_text(text)}</td></tr>"
        for name, text in rows
        if text
    )
    return f"<div style='padding:0 10px'>{_heading(trace.name)}<table style='line-height:1.5'>{body}</table></div>"


def findings_text(found: Sequence[str], missing: Sequence[str], events: Iterable[Event], notes: Sequence[str]) -> str:
    """What is wrong in the record shown, what could not be drawn, and what happened during the run, newest first."""
    parts = [_heading("Findings in this record")]
    parts.append(_list(found, MAX_FINDINGS, NOT_NUMBERS[0][1]) if found else _quiet(SOUND))
    told = [event for event in events if event.kind not in SILENT_EVENTS]
    if told or notes:
        newest = [_event(event) for event in reversed(told)]
        parts += [_heading("What happened"), _list([*notes, *newest], MAX_EVENTS)]
    if missing:
        parts += [_heading("Not drawn"), _list(missing, MAX_EVENTS)]
    return f"<div style='padding:0 10px'>{''.join(parts)}</div>"


def loss_at(trace: Trace, step: int) -> str:
    """`loss 0.0123` at the last logged step at or before `step`; nothing when none was logged."""
    name = loss_of(trace)
    if name is None:
        return ""
    series = trace.scalars[name]
    before = int((series.steps <= step).sum())
    return f"{html_text(name)} {number_text(series.values[before - 1])}" if before else ""


def _position(trace: Trace, record: Record) -> int:
    return int((trace.ids <= record.id).sum())


def _shapes(trace: Trace, record: Record, memory: str) -> str:
    shape = summary_of(sizes(trace, memory)) if memory != MODEL else ""
    times = _number(record.lengths.get(memory, 0), "time")
    return f"{shape}, {times}" if shape else times


def _number(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def _event(event: Event) -> str:
    step = f"step {event.step}: " if event.step is not None else ""
    return f"{step}{event.kind}: {event.message}"


def _heading(text: str) -> str:
    return f"<h5 style='margin:8px 0 4px;font-weight:600'>{html_text(text)}</h5>"


def _quiet(text: str) -> str:
    return f"<p style='color:{FAINT}'>{html_text(text)}</p>"


def _list(items: Sequence[str], most: int, colour: str = "") -> str:
    shown = [f"<li style='color:{colour or 'inherit'}'>{html_text(item)}</li>" for item in items[:most]]
    if len(items) > most:
        shown.append(f"<li style='color:{FAINT}'>and {len(items) - most} more</li>")
    return f"<ul style='padding-left:18px'>{''.join(shown)}</ul>"
