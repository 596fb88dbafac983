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


@dataclass(slots=True)
class FieldSummary:
    """One field over the records looked at.

    `shapes` are the distinct shapes, each as text with `T` for a time axis whose length varies. `low` and `high` are
    the range of the finite values (None when there are none); `nan` and `inf` count the others.
    """

    memory: str
    name: str
    axes: tuple[str, ...]
    dtype: str
    derived: bool
    records: int = 0
    shapes: list[str] = field(default_factory=list)
    low: float | None = None
    high: float | None = None
    nan: int = 0
    inf: int = 0

    def add(self, values: np.ndarray) -> None:
        """Take one record's values in."""
        self.records += 1
        shape = " × ".join(str(n) for n in values.shape)
        if shape not in self.shapes:
            self.shapes.append(shape)
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
    notes = [f"{event.kind} at step {event.step}: {event.message}" for event in trace.events if event.kind != "opened"]
    for index in chosen.astype(int).tolist():
        record = trace[index]
        for name in record.fields:
            entry = found.get(name)
            if entry is None:
                entry = found[name] = _describe(record, name)
            if not entry.derived:
                entry.add(record.read(name))
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
        scalars={
            name: _finite(float(series.values[-1])) for name, series in trace.scalars.items() if len(series.values)
        },
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

    fields = Table(title=f"Fields, ranges over {summary.looked_at} of {summary.records} records", title_justify="left")
    for column in ("memory", "field", "axes", "shape", "dtype", "range", "not finite"):
        fields.add_column(column)
    for entry in summary.fields:
        if entry.derived:
            shape, bounds = "derived on demand", ""
        else:
            shape = entry.shapes[0] if len(entry.shapes) == 1 else f"{len(entry.shapes)} shapes, e.g. {entry.shapes[0]}"
            bounds = "no finite value" if entry.low is None else f"{entry.low:.4g} to {entry.high:.4g}"
        fields.add_row(
            entry.memory,
            entry.name,
            " ".join(entry.axes),
            shape,
            entry.dtype,
            Text(
                bounds if entry.within else f"{bounds}, outside its range", style="" if entry.within else "bold magenta"
            ),
            Text(f"{entry.nan} NaN, {entry.inf} Inf", style="bold magenta") if entry.nan or entry.inf else Text("none"),
        )
    return [run, fields]


def _describe(record: Record, name: str) -> FieldSummary:
    schema = record.schema(name)
    memory = name.removesuffix(f"/{schema.name}")
    return FieldSummary(memory, schema.name, schema.axes, schema.dtype, record.is_derived(name))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
