"""Hypothesis strategies for everything that goes into a trace. Public: plugin authors test against them too.

Arrays are drawn bit by bit, so that NaN payloads, infinities, negative zeros and subnormal numbers all come up. Needs
hypothesis, which `memviz[test]` brings.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from memviz.fields import FINAL_PREFIX, INITIAL_PREFIX
from memviz.trace.dtypes import SAFETENSORS, numpy_dtype
from memviz.trace.schema import Event, FieldSchema, Json, MemorySchema, RecordData

_INT64 = st.integers(-(2**63), 2**63 - 1)
_AXES = ("slot", "word", "read_head")
_NAMES = ("alpha", "beta", "read_weights", "usage", "weird name-1.x", "grad/usage", "initial/memory", "final/memory")
_MEMORIES = ("memory", "layer0", "encoder.0.memory", "nested/memory", "model")
_BOUNDARY = (INITIAL_PREFIX, FINAL_PREFIX)


def dtype_names() -> st.SearchStrategy[str]:
    """Every dtype a trace can hold."""
    return st.sampled_from(sorted(SAFETENSORS))


@st.composite
def arrays(draw: st.DrawFn, dtype: str, shape: Sequence[int]) -> np.ndarray:
    """An array of any bits, as far as the dtype allows; big ones repeat the drawn bits.

    Args:
        draw: supplied by hypothesis.
        dtype: one of our dtype names.
        shape: lengths of the axes.
    """
    numpy = numpy_dtype(dtype)
    size = math.prod(shape) * numpy.itemsize
    seed = draw(st.binary(min_size=min(size, 8), max_size=min(size, 64)))
    data = (seed * (size // max(1, len(seed)) + 1))[:size] if seed else bytes(size)
    values = np.frombuffer(data, np.uint8)
    if dtype == "bool":
        return (values % 2).astype(bool).reshape(shape)
    return values.copy().view(numpy).reshape(shape)


def labels() -> st.SearchStrategy[dict[str, Json]]:
    """What users put on records: nested JSON without numbers that JSON cannot say."""
    scalars = st.none() | st.booleans() | _INT64 | st.floats(allow_nan=False, allow_infinity=False) | st.text()
    nested = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | _objects(inner), max_leaves=5)
    return _objects(nested)


def _objects(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Json]]:
    return st.dictionaries(st.text(max_size=8), values, max_size=3)


@st.composite
def memory_schemas(draw: st.DrawFn, name: str | None = None) -> MemorySchema:
    """A memory with some fields: with and without time, of zero axes, initial and final states among them."""
    fields = {}
    for field in draw(st.lists(st.sampled_from(_NAMES), unique=True, max_size=4)):
        rest = tuple(draw(st.lists(st.sampled_from(_AXES), unique=True, max_size=3)))
        axes = (*draw(st.sampled_from([(), ("batch",)])), *rest)
        if not field.startswith(_BOUNDARY) and draw(st.booleans()):
            axes = ("time", *axes)
        fields[field] = FieldSchema(field, axes, draw(dtype_names()))
    return MemorySchema(name or draw(st.sampled_from(_MEMORIES)), law=draw(st.sampled_from(["", "dnc"])), fields=fields)


@st.composite
def memory_sets(draw: st.DrawFn) -> dict[str, MemorySchema]:
    """One to three memories by name."""
    names = draw(st.lists(st.sampled_from(_MEMORIES), unique=True, min_size=1, max_size=3))
    return {name: draw(memory_schemas(name)) for name in names}


@st.composite
def records(draw: st.DrawFn, memories: dict[str, MemorySchema]) -> RecordData:
    """A record that fits some declared memories: any subset of their fields, any shape, any bits."""
    fields: dict[str, np.ndarray] = {}
    for memory in memories.values():
        # Few lengths, so that some records share a layout and some do not.
        lengths = {axis: draw(st.sampled_from([2, 2, 2, 1, 0])) for axis in ("batch", *_AXES)}
        lengths["time"] = draw(st.integers(0, 5))
        for field in memory.fields.values():
            if draw(st.integers(0, 9)) == 0:
                continue
            shape = [lengths[axis] for axis in field.axes]
            if field.name.startswith(_BOUNDARY):
                shape = [draw(st.sampled_from([length, 1])) for length in shape]
            fields[f"{memory.name}/{field.name}"] = draw(arrays(field.dtype, shape))
    return RecordData(
        step=draw(_INT64),
        fields=fields,
        wall=draw(st.floats(allow_nan=False)),
        forward=draw(_INT64),
        batch=tuple(draw(st.lists(st.integers(0, 2**40), max_size=3))),
        labels=draw(labels()),
    )


def scalars() -> st.SearchStrategy[dict[str, float]]:
    """Scalars of one step, NaN and infinities included."""
    return st.dictionaries(
        st.text(min_size=1, max_size=8).filter(lambda name: name not in ("step", "wall")), st.floats(), max_size=3
    )


def events() -> st.SearchStrategy[Event]:
    """Events other than those that open and close a trace."""
    return st.builds(
        Event,
        kind=st.sampled_from(["note", "gap", "trigger", "error"]),
        message=st.text(),
        wall=st.floats(allow_nan=False, allow_infinity=False),
        step=st.none() | _INT64,
        data=_objects(st.integers(0, 5) | st.text()),
    )
