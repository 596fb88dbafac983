"""What is in a trace, in one table: memories, fields, shapes, ranges, records, gaps. `memviz inspect` prints it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from memviz.fields import lookup

if TYPE_CHECKING:
    from rich.table import Table

    from memviz.trace.reader import Record, Trace
    from memviz.trace.schema import Event


@dataclass(slots=True)
class FieldSummary:
    """One field over the records looked at.

    `shapes` are the distinct shapes. `low` and `high` are the range of the finite values (None when there are none);
    `nan` and `inf` count the others.
    """

    memory: str
    name: str
    axes: tuple[str, ...]
    dtype: str
    derived: bool
    records: int = 0
    shapes: list[tuple[int, ...]] = field(default_factory=list)
    low: float | None = None
    high: float | None = None
    nan: int = 0
    inf: int = 0

    def add(self, values: np.ndarray) -> None:
        """Take one record's values in."""
        self.records += 1
        if values.shape not in self.shapes:
            self.shapes.append(values.shape)
        if values.size == 0 or values.dtype.kind not in "fiubV":
            return
        numbers = values.astype(np.float64)
        finite = numbers[np.isfinite(numbers)]
        self.nan += int(np.isnan(numbers).sum())
        self.inf += int(np.isinf(numbers).sum())
        if finite.size:
            self.low = float(finite.min()) if self.low is None else min(self.low, float(finite.min()))
            self.high = float(finite.max()) if self.high is None else max(self.high, float(finite.max()))

    @property
    def within(self) -> bool:
        """Whether every finite value lies in the range of the catalogue, give or take 1e-4."""
        spec = lookup(self.name)
        if spec is None or self.low is None or self.high is None:
            return True
        return (spec.low is None or self.low >= spec.low - 1e-4) and (
            spec.high is None or self.high <= spec.high + 1e-4
        )


@dataclass(slots=True)
class Summary:
    """Everything that `memviz inspect` shows."""

    path: str
    run: str
    state: str
    records: int
    looked_at: int
    first_step: int | None
    last_step: int | None
    bytes: int
    dropped: int
    model: dict[str, Any]
    scalars: dict[str, float | None]
    notes: list[str]
    fields: list[FieldSummary]

    def to_json(self) -> dict[str, Any]:
        """A JSON object; a scalar that is not finite becomes null."""
        data = asdict(self)
        data["fields"] = [{**asdict(entry), "within_range": entry.within} for entry in self.fields]
        return data


def summarize(trace: Trace, *, sample: int | None = 64) -> Summary:
    """Summarize a trace from at most `sample` evenly spaced records (None: all of them).

    Only stored values are read; derived fields are listed without a range.
    """
    count = len(trace)
    chosen = np.arange(count) if sample is None or count <= sample else np.linspace(0, count - 1, sample).round()
    found: dict[str, FieldSummary] = {}
    for index in chosen.astype(int).tolist():
        record = trace[index]
        for name in record.fields:
            entry = found.get(name)
            if entry is None:
                entry = found[name] = _describe(record, name)
            if not entry.derived:
                entry.add(record.read(name))
    scalars = {name: _finite(float(series.values[-1])) for name, series in trace.scalars.items() if len(series.values)}
    # Only after everything was read is it known what had to be left out.
    notes = [_note(event) for event in trace.events if event.kind not in {"opened", "closed"}] + trace.notes
    return Summary(
        path=str(trace.path),
        run=trace.name,
        state=trace.state,
        records=count,
        looked_at=len(chosen),
        first_step=int(trace.steps[0]) if count else None,
        last_step=int(trace.steps[-1]) if count else None,
        bytes=trace.nbytes,
        dropped=trace.dropped,
        model=dict(trace.header.model),
        scalars=scalars,
        notes=notes,
        fields=sorted(found.values(), key=lambda entry: (entry.memory, entry.derived)),
    )


def tables(summary: Summary) -> list[Table]:
    """The summary as rich tables for a terminal: the run, then one row per field."""
    from rich.table import Table
    from rich.text import Text

    run = Table(title=f"{summary.run}  ({summary.state})", title_justify="left", show_header=False, box=None)
    steps = "none yet" if summary.first_step is None else f"{summary.first_step} to {summary.last_step}"
    model = ", ".join(f"{key} {value}" for key, value in summary.model.items())
    for key, value in (
        ("path", summary.path),
        ("model", model or "unknown"),
        ("records", f"{summary.records}, steps {steps}"),
        ("lost in gaps", str(summary.dropped)),
        ("size", f"{summary.bytes / 1e6:.1f} MB"),
        (
            "last scalars",
            ", ".join(f"{k} {'not finite' if v is None else f'{v:.4g}'}" for k, v in summary.scalars.items()),
        ),
        ("notes", "\n".join(summary.notes) or "none"),
    ):
        run.add_row(Text(key, style="bold"), Text(value))

    spoiled = any(entry.nan or entry.inf for entry in summary.fields)
    fields = Table(title=f"Fields, ranges over {summary.looked_at} of {summary.records} records", title_justify="left")
    fields.add_column("field", no_wrap=True)
    fields.add_column("shape")
    fields.add_column("range", justify="right")
    if spoiled:
        fields.add_column("not finite", justify="right")
    for entry in (entry for entry in summary.fields if not entry.derived):
        bounds = "no finite value" if entry.low is None else f"{entry.low:.3g} to {entry.high:.3g}"
        row = [
            Text(f"{entry.memory}/{entry.name}"),
            Text(_shape(entry)),
            Text(bounds if entry.within else f"{bounds}, outside", style="" if entry.within else "bold magenta"),
        ]
        if spoiled:
            row.append(
                Text(f"{entry.nan} NaN, {entry.inf} Inf" if entry.nan or entry.inf else "", style="bold magenta")
            )
        fields.add_row(*row)
    derived = [f"{entry.memory}/{entry.name}" for entry in summary.fields if entry.derived]
    if derived:
        fields.caption = f"derived exactly when asked for: {', '.join(derived)}"
        fields.caption_justify = "left"
    return [run, fields]


def _shape(entry: FieldSummary) -> str:
    """`21 time, 2 read_head, 16 slot`, without axes of length 1; a length that varies is given as a range."""
    if not entry.shapes:
        return "no record"
    sizes = np.array([shape for shape in entry.shapes if len(shape) == len(entry.axes)])
    parts = []
    for axis, low, high in zip(entry.axes, sizes.min(axis=0), sizes.max(axis=0), strict=True):
        if high != 1 or axis == "time":
            parts.append(f"{low} {axis}" if low == high else f"{low} to {high} {axis}")
    return ", ".join(parts) or "one number"


def _describe(record: Record, name: str) -> FieldSummary:
    schema = record.schema(name)
    memory = name.removesuffix(f"/{schema.name}")
    return FieldSummary(memory, schema.name, schema.axes, schema.dtype, record.is_derived(name))


def _note(event: Event) -> str:
    where = "" if event.step is None else f" at step {event.step}"
    return f"{event.kind}{where}: {event.message}"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
