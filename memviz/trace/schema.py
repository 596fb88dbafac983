"""What flows between the rooms: the description of a trace, and one record on its way to disk.

Plain frozen data with no behaviour beyond conversion to and from JSON. The on-disk layout is in layout.py, the
format itself in docs/trace-format.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

FORMAT_VERSION = 1

Json = Any
"""A value that `json.dumps` accepts."""

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class FieldSchema:
    """How one field of one memory is stored.

    `dtype` is a numpy name or "bfloat16". `kind`, `low`, `high` and `simplex` are those of memviz.fields.Field; a
    field outside the catalogue carries its own.
    """

    name: str
    axes: tuple[str, ...]
    dtype: str = "float32"
    kind: str = "signed"
    low: float | None = None
    high: float | None = None
    simplex: str | None = None

    def to_json(self) -> dict[str, Json]:
        """A JSON object with one member per attribute."""
        return {
            "name": self.name,
            "axes": list(self.axes),
            "dtype": self.dtype,
            "kind": self.kind,
            "low": self.low,
            "high": self.high,
            "simplex": self.simplex,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> FieldSchema:
        """Inverse of to_json; unknown members are ignored so that a later minor addition still opens."""
        return cls(
            name=str(data["name"]),
            axes=tuple(str(axis) for axis in data["axes"]),
            dtype=str(data.get("dtype", "float32")),
            kind=str(data.get("kind", "signed")),
            low=data.get("low"),
            high=data.get("high"),
            simplex=data.get("simplex"),
        )


@dataclass(frozen=True, slots=True)
class MemorySchema:
    """One memory module of the model: its name (module path), its update law, and its fields by bare name.

    `law` names the update law that its state follows ("dnc", "ntm", "" when unknown); derivation and lineage need it.
    `attributes` are facts the adapter knows, such as {"class": "dnc.memory.Memory", "layer": 0,
    "allocation_delta": 1e-6}.
    """

    name: str
    law: str = ""
    fields: Mapping[str, FieldSchema] = field(default_factory=lambda: _NOTHING)
    attributes: Mapping[str, Json] = field(default_factory=lambda: _NOTHING)

    def to_json(self) -> dict[str, Json]:
        """A JSON object with one member per attribute."""
        return {
            "name": self.name,
            "law": self.law,
            "fields": {name: spec.to_json() for name, spec in self.fields.items()},
            "attributes": dict(self.attributes),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> MemorySchema:
        """Inverse of to_json."""
        return cls(
            name=str(data["name"]),
            law=str(data.get("law", "")),
            fields={str(k): FieldSchema.from_json(v) for k, v in data.get("fields", {}).items()},
            attributes=dict(data.get("attributes", {})),
        )


@dataclass(frozen=True, slots=True)
class TraceHeader:
    """The content of trace.json.

    `created` is in seconds since the epoch. `model` summarizes the attached model ({"class": ..., "parameters": ...}).
    `attributes` are the run's own facts, such as {"task": "copy", "seed": 0}.
    """

    memviz_version: str
    created: float
    run: str
    model: Mapping[str, Json] = field(default_factory=lambda: _NOTHING)
    attributes: Mapping[str, Json] = field(default_factory=lambda: _NOTHING)
    rank: int = 0
    world_size: int = 1
    memories: Mapping[str, MemorySchema] = field(default_factory=lambda: _NOTHING)
    format_version: int = FORMAT_VERSION

    def to_json(self) -> dict[str, Json]:
        """A JSON object with one member per attribute."""
        return {
            "format_version": self.format_version,
            "memviz_version": self.memviz_version,
            "created": self.created,
            "run": self.run,
            "model": dict(self.model),
            "attributes": dict(self.attributes),
            "rank": self.rank,
            "world_size": self.world_size,
            "memories": {name: memory.to_json() for name, memory in self.memories.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> TraceHeader:
        """Inverse of to_json."""
        return cls(
            format_version=int(data["format_version"]),
            memviz_version=str(data["memviz_version"]),
            created=float(data["created"]),
            run=str(data["run"]),
            model=dict(data.get("model", {})),
            attributes=dict(data.get("attributes", {})),
            rank=int(data.get("rank", 0)),
            world_size=int(data.get("world_size", 1)),
            memories={str(k): MemorySchema.from_json(v) for k, v in data.get("memories", {}).items()},
        )


@dataclass(frozen=True, slots=True)
class RecordData:
    """One record on its way to the writer.

    `fields` maps full names ("memory/read_weights") to arrays whose axes are those of the field; bfloat16 arrays use
    the ml_dtypes dtype. `batch` lists the batch items recorded. `labels` hold what the user or a demo says about this
    record, e.g. {"phases": [["input", 0, 10], ["recall", 11, 21]], "tokens": [...]}. `wall` is in seconds since the
    epoch.
    """

    step: int
    fields: Mapping[str, np.ndarray]
    wall: float
    forward: int = 0
    batch: Sequence[int] = (0,)
    labels: Mapping[str, Json] = field(default_factory=lambda: _NOTHING)


@dataclass(frozen=True, slots=True)
class Event:
    """One line of events.jsonl: what happened beside the records.

    Kinds written by memviz itself: "opened", "closed", "gap" (data: {"dropped": n, "reason": ...}), "thinned",
    "stopped" (recording gave up: disk full, size limit), "error" (a recorder error), "note", "trigger".
    """

    kind: str
    message: str
    wall: float
    step: int | None = None
    data: Mapping[str, Json] = field(default_factory=lambda: _NOTHING)

    def to_json(self) -> dict[str, Json]:
        """A JSON object; `step` and `data` are left out when empty."""
        line: dict[str, Json] = {"kind": self.kind, "message": self.message, "wall": self.wall}
        if self.step is not None:
            line["step"] = self.step
        if self.data:
            line["data"] = dict(self.data)
        return line

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> Event:
        """Inverse of to_json."""
        step = data.get("step")
        return cls(
            kind=str(data["kind"]),
            message=str(data.get("message", "")),
            wall=float(data.get("wall", 0.0)),
            step=None if step is None else int(step),
            data=dict(data.get("data", {})),
        )
