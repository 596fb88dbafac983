"""The one place where what is recorded is held against what was declared: the boundary of the writer."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence

import numpy as np

from memviz.errors import SchemaError
from memviz.fields import FINAL_PREFIX, INITIAL_PREFIX, bare_name, memory_of
from memviz.trace import caps, dtypes
from memviz.trace.layout import check_memory, check_nesting
from memviz.trace.schema import FieldSchema, MemorySchema, RecordData

_INT64 = range(-(2**63), 2**63)
_BOUNDARY = (INITIAL_PREFIX, FINAL_PREFIX)


def check_numbers(data: RecordData) -> None:
    """Check step, forward and batch of one record.

    Raises:
        SchemaError: they are no whole numbers, or too large.
    """
    numbers: tuple[tuple[str, object], ...] = (("step", data.step), ("forward", data.forward))
    for name, value in numbers:
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or int(value) not in _INT64:
            raise SchemaError(f"a {name} is a whole number of 64 bits; got {value!r:.80}")
    if not all(isinstance(item, int | np.integer) for item in data.batch):
        raise SchemaError(f"batch lists the positions of the recorded items; got {data.batch!r:.80}")


def check_fields(data: RecordData, memories: Mapping[str, MemorySchema]) -> None:
    """Check the fields of one record against the declared memories.

    Every field must be declared; an array must have one axis per declared axis and the declared dtype; all fields of a
    memory must agree on the length of every axis. Only an initial or final state may have length 1 where the others
    are longer: it broadcasts.

    Raises:
        SchemaError: what was expected, what came, and what to do.
    """
    lengths: dict[tuple[str, str], tuple[int, str]] = {}
    for name, array in data.fields.items():
        field = declared(name, memories)
        check_array(name, array, field)
        if not bare_name(name).startswith(_BOUNDARY):
            _check_axes(memory_of(name), name, field.axes, array.shape, lengths)
    for name, array in data.fields.items():
        if bare_name(name).startswith(_BOUNDARY):
            axes = declared(name, memories).axes
            longer = [(axis, length) for axis, length in zip(axes, array.shape, strict=True) if length != 1]
            _check_axes(memory_of(name), name, [axis for axis, _ in longer], [length for _, length in longer], lengths)


def declared(name: str, memories: Mapping[str, MemorySchema]) -> FieldSchema:
    """The schema of a field by its full name.

    Raises:
        SchemaError: the memory or the field was never declared.
    """
    memory = memories.get(memory_of(name))
    if memory is None:
        known = ", ".join(memories) or "none"
        raise SchemaError(
            f"{name!r} belongs to no declared memory (declared: {known}). Field names are full, '<memory>/<field>'; "
            "declare the memory with writer.declare(MemorySchema(...)) first"
        )
    field = memory.fields.get(bare_name(name))
    if field is None:
        near = difflib.get_close_matches(bare_name(name), memory.fields, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise SchemaError(
            f"memory {memory.name!r} declares no field {bare_name(name)!r}.{hint} Declare it with "
            "writer.declare(MemorySchema(...)) before appending a record that holds it"
        )
    return field


def check_array(name: str, array: np.ndarray, field: FieldSchema) -> None:
    """Check one array against the schema of its field.

    Raises:
        SchemaError: the axes, the dtype or the size are not as declared.
    """
    if not isinstance(array, np.ndarray):
        raise SchemaError(f"{name}: expected a numpy array, got {type(array).__name__}; convert it first")
    if array.ndim != len(field.axes):
        raise SchemaError(
            f"{name}: expected {len(field.axes)} axes [{', '.join(field.axes)}], got shape {array.shape}; "
            "reshape it or declare other axes"
        )
    dtype = dtypes.dtype_name(array)
    if dtype != field.dtype:
        raise SchemaError(
            f"{name}: declared as {field.dtype}, got {dtype}; convert it, or declare the field again with this dtype"
        )
    largest = math.prod(max(length, 1) for length in array.shape) * array.dtype.itemsize
    if array.nbytes > caps.MAX_FIELD_BYTES or largest > caps.MAX_FIELD_BYTES:
        raise SchemaError(
            f"{name}: {array.nbytes} bytes of shape {array.shape} exceed the {caps.MAX_FIELD_BYTES} bytes a field of "
            "one record may have; record fewer batch items or a smaller dtype"
        )


def merge_memory(known: MemorySchema | None, new: MemorySchema, others: Mapping[str, MemorySchema]) -> MemorySchema:
    """A memory as it is after declaring `new` over what was `known` of it.

    Fields add up; a field declared again may change all but its axes.

    Raises:
        SchemaError: a name cannot be stored, a dtype is unknown, or a field was declared with other axes before.
    """
    merged = new
    if known is not None:
        for name, field in new.fields.items():
            before = known.fields.get(name)
            if before is not None and before.axes != field.axes:
                raise SchemaError(
                    f"{new.name}/{name} was declared with axes [{', '.join(before.axes)}], now with "
                    f"[{', '.join(field.axes)}]; axes cannot change within a trace, use another field name"
                )
        merged = MemorySchema(
            name=new.name,
            law=new.law or known.law,
            fields={**known.fields, **new.fields},
            attributes={**known.attributes, **new.attributes},
        )
    check_memory(merged)
    for field in merged.fields.values():
        dtypes.numpy_dtype(field.dtype)
    check_nesting({**others, merged.name: merged})
    return merged


def _check_axes(
    memory: str, name: str, axes: Sequence[str], shape: Sequence[int], lengths: dict[tuple[str, str], tuple[int, str]]
) -> None:
    for axis, length in zip(axes, shape, strict=True):
        known = lengths.setdefault((memory, axis), (length, name))
        if known[0] != length:
            raise SchemaError(_disagreement(axis, name, length, known[1], known[0]))


def _disagreement(axis: str, name: str, length: int, other: str, other_length: int) -> str:
    return (
        f"axis {axis!r} has length {length} in {name} and {other_length} in {other}; an axis has one length within a "
        "memory. Give axes that differ names that differ"
    )
