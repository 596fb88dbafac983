"""Write what a numpy reference computed as a trace, so that it opens in the dashboard beside the run of a torch model.

Every reference uses this one, whatever its memory is:

    result = dnc.run(x, weights, slots=8, words=4)
    with ReferenceTrace("runs/reference", "dnc") as trace:
        trace.append(0, [dnc.memory_of(result)], input=x_time_first, output=result["output"])

Nothing is left out and nothing is rounded: fields are stored as given, in float64, with the axes of the catalogue.
`memviz.compare` and the page Compare then hold the two runs against each other field by field.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memviz._version import __version__
from memviz.errors import SchemaError
from memviz.fields import MODEL, lookup
from memviz.trace.schema import FieldSchema, MemorySchema, RecordData, TraceHeader
from memviz.trace.writer import TraceWriter

Array = NDArray[Any]


@dataclass(frozen=True)
class ReferenceMemory:
    """What one memory did during one sequence.

    Attributes:
        fields: arrays by bare name, with the axes of the catalogue, time first; `initial/<field>` and `final/<field>`
            without time.
        name: of the memory, as in the run that it is compared with.
        law: its update law, "dnc", "ntm" or "".
        attributes: where it departs from that law, as in `memviz.analysis.rules`.
        axes: axes of fields that the catalogue does not have.
    """

    fields: Mapping[str, Array]
    name: str = "memory"
    law: str = ""
    attributes: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    axes: Mapping[str, Sequence[str]] = field(default_factory=lambda: MappingProxyType({}))


class ReferenceTrace:
    """A trace written by a reference, one record per call of `append`.

    Args:
        path: directory of the run; where a trace is already, the new one starts beside it, and `path` says where.
        model: what the run page calls the model.
        attributes: facts of the run, such as {"task": "copy", "seed": 0}.
    """

    def __init__(self, path: str | os.PathLike[str], model: str, attributes: Mapping[str, Any] | None = None) -> None:
        header = TraceHeader(
            memviz_version=__version__,
            created=time.time(),
            run=Path(path).name,
            model={"class": f"memviz.demos.reference.{model}", "parameters": 0},
            attributes={"reference": True, **(attributes or {})},
        )
        self._writer = TraceWriter.create(Path(path), header)
        self.path = Path(self._writer.path)

    def append(
        self,
        step: int,
        memories: Sequence[ReferenceMemory],
        *,
        input: Array | None = None,
        output: Array | None = None,
        target: Array | None = None,
        labels: Mapping[str, Any] | None = None,
    ) -> None:
        """Commit one record.

        Args:
            step: training step that the parameters belong to.
            memories: one entry per memory.
            input: [time, batch, input_channel].
            output: [time, batch, output_channel].
            target: [time, batch, output_channel].
            labels: what a record's labels would say, such as phases.

        Raises:
            SchemaError: an array does not fit the axes of its field, or a field has no known axes.
            TraceError: the trace cannot be written.
        """
        given = {"input": input, "output": output, "target": target}
        own = {name: np.asarray(values) for name, values in given.items() if values is not None}
        everything = [*memories, ReferenceMemory(own, MODEL)] if own else list(memories)
        fields: dict[str, Array] = {}
        for memory in everything:
            specs = {name: _schema(name, values, memory.axes.get(name)) for name, values in memory.fields.items()}
            self._writer.declare(MemorySchema(memory.name, memory.law, specs, dict(memory.attributes)))
            fields |= {f"{memory.name}/{name}": np.ascontiguousarray(v) for name, v in memory.fields.items()}
        self._writer.append(
            RecordData(step, fields, time.time(), batch=tuple(range(_items(fields))), labels=dict(labels or {}))
        )

    def log(self, step: int, **scalars: float) -> None:
        """Log scalars of a step, such as loss=0.3."""
        self._writer.log(step, scalars)

    def close(self) -> None:
        """Close the trace."""
        self._writer.close()

    def __enter__(self) -> ReferenceTrace:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def _schema(name: str, values: Array, axes: Sequence[str] | None) -> FieldSchema:
    known, values = lookup(name), np.asarray(values)
    if known is None and axes is None:
        raise SchemaError(
            f"{name} is no field of the catalogue; say its axes in ReferenceMemory(axes={{{name!r}: ...}})"
        )
    own = known.axes if known is not None else tuple(axes or ())
    if values.ndim != len(own):
        raise SchemaError(f"{name} must have the axes [{', '.join(own)}], not the shape {list(values.shape)}")
    if known is None:
        return FieldSchema(name, own, str(values.dtype))
    return FieldSchema(name, own, str(values.dtype), known.kind, known.low, known.high, known.simplex)


def _items(fields: Mapping[str, Array]) -> int:
    """Length of the batch axis: that of the first field that has one in second place."""
    sizes = {full: values.shape[1] for full, values in fields.items() if "/initial/" not in full and values.ndim > 1}
    return next(iter(sizes.values()), 1)
