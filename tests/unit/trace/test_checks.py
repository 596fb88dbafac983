from __future__ import annotations

import numpy as np
import pytest

from memviz.errors import SchemaError
from memviz.trace.checks import check_fields, check_numbers, merge_memory
from memviz.trace.schema import FieldSchema, MemorySchema, RecordData


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


@pytest.fixture
def memories(make):
    memory = make.memory(
        "memory",
        make.field("read_weights", "time batch slot"),
        make.field("usage", "time batch slot"),
        make.field("write_gate", "time batch"),
        make.field("initial/memory", "batch slot word"),
        make.field("final/memory", "batch slot word"),
    )
    return {"memory": memory}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"usage": zeros(2, 3)}, r"usage: expected 3 axes \[time, batch, slot\], got shape \(2, 3\)"),
        ({"usage": zeros(2, 1, 3, dtype=np.float64)}, "declared as float32, got float64"),
        ({"usage": zeros(2, 1, 3, dtype=np.complex64)}, "cannot hold values of type 'complex64'"),
        ({"usage": [[[0.0]]]}, "expected a numpy array, got list"),
        (
            {"usage": zeros(2, 1, 3), "write_gate": zeros(3, 1)},
            "axis 'time' has length 3 in memory/write_gate and 2 in",
        ),
        ({"usage": zeros(2, 1, 3), "write_gate": zeros(2, 4)}, "axis 'batch' has length 4"),
        ({"usage": zeros(2, 1, 3), "read_weights": zeros(2, 1, 4)}, "axis 'slot' has length 4"),
        ({"usage": zeros(2, 1, 3), "initial/memory": zeros(1, 4, 5)}, "axis 'slot' has length 4 in memory/initial"),
        ({"initial/memory": zeros(1, 4, 5), "final/memory": zeros(1, 4, 6)}, "axis 'word' has length 6"),
        ({"usag": zeros(2, 1, 3)}, "declares no field 'usag'. Did you mean 'usage'"),
        ({"other/usage": zeros(2, 1, 3)}, "'memory/other/usage' belongs to no declared memory"),
        ({"usage": np.broadcast_to(np.float32(0), (2**20, 1, 2**12))}, "exceed the 4294967296 bytes"),
        ({"usage": np.broadcast_to(np.float32(0), (2**40, 0, 2**20))}, "exceed the 4294967296 bytes"),
    ],
)
def test_what_does_not_fit_is_refused_saying_what_was_expected(memories, fields, message):
    data = RecordData(0, {f"memory/{name}": array for name, array in fields.items()}, 0.0)
    with pytest.raises(SchemaError, match=message):
        check_fields(data, memories)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"usage": zeros(2, 1, 3), "initial/memory": zeros(1, 1, 1), "final/memory": zeros(1, 3, 5)},
        {"initial/memory": zeros(1, 1, 5), "final/memory": zeros(1, 3, 5)},
        {"usage": zeros(0, 1, 3), "write_gate": zeros(0, 1)},
    ],
)
def test_what_fits_passes(memories, fields):
    check_fields(RecordData(0, {f"memory/{name}": array for name, array in fields.items()}, 0.0), memories)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"step": 1.5}, "step is a whole number"),
        ({"step": True}, "step is a whole number"),
        ({"step": 2**63}, "step is a whole number of 64 bits"),
        ({"forward": -(2**63) - 1}, "forward is a whole number"),
        ({"batch": ("first",)}, "batch lists the positions"),
    ],
)
def test_numbers_are_checked(changes, message):
    with pytest.raises(SchemaError, match=message):
        check_numbers(RecordData(**{"step": 0, "fields": {}, "wall": 0.0, **changes}))


def test_numpy_numbers_are_numbers():
    check_numbers(RecordData(np.int32(4), {}, np.float32(1), np.uint8(2), np.arange(3)))


@pytest.mark.parametrize(
    ("memory", "field", "axes", "message"),
    [
        ("", "usage", ("time",), "cannot be a name"),
        ("..", "usage", ("time",), "cannot be a name"),
        ("a/../b", "usage", ("time",), "cannot be a name"),
        ("/etc", "usage", ("time",), "cannot be a name"),
        ("a\\b", "usage", ("time",), "may not start with '__' or hold any of"),
        ("__root", "usage", ("time",), "may not start with"),
        ("a\0b", "usage", ("time",), "cannot be a name"),
        ("x" * 300, "usage", ("time",), "1 to 240 characters"),
        ("layer/grad", "usage", ("time",), "may not contain the part 'grad'"),
        ("_index", "usage", ("time",), "may not contain the part '_index'"),
        ("memory", "step", ("time",), "taken by the format"),
        ("memory", "initial", ("slot",), "taken by the format"),
        ("memory", "a/b", ("time",), "only one of initial/, final/, grad/ may stand before"),
        ("memory", "grad/../../x", ("time",), "only one of initial/, final/, grad/ may stand before"),
        ("memory", "grad/initial/usage", ("time",), "only one of initial/, final/, grad/ may stand before"),
        ("memory", "grad/..", ("time",), "cannot be a name"),
        ("memory", "zarr.json", ("time",), "cannot be a name"),
        ("memory", "usage", ("slot", "slot"), "repeat a name"),
        ("memory", "usage", ("slot", "time"), "must start with 'time'"),
        ("memory", "usage", ("record",), "may not be named 'record'"),
        ("memory", "usage", ("usage",), "both an axis and a field named 'usage'"),
    ],
)
def test_names_that_cannot_be_stored_are_refused(memory, field, axes, message):
    with pytest.raises(SchemaError, match=message):
        merge_memory(None, MemorySchema(memory, fields={field: FieldSchema(field, axes)}), {})


def test_bounds_and_dtypes_are_checked():
    for field, message in (
        (FieldSchema("usage", ("time",), low=float("-inf")), "no bound"),
        (FieldSchema("usage", ("time",), high="1"), "no bound"),
        (FieldSchema("usage", ("time",), "float128"), "cannot hold values of type 'float128'"),
    ):
        with pytest.raises(SchemaError, match=message):
            merge_memory(None, MemorySchema("memory", fields={"usage": field}), {})


def test_a_memory_may_not_lie_inside_a_field_of_another(make):
    outer = make.memory("outer", make.field("usage", "time"))
    merge_memory(None, make.memory("outer/inner", make.field("usage", "time")), {"outer": outer})
    with pytest.raises(SchemaError, match="lies inside the field 'usage' of memory 'outer'"):
        merge_memory(None, make.memory("outer/usage"), {"outer": outer})


@pytest.mark.parametrize("name", ["memory", "encoder.layers.0.memory", "a/b/c", "Größe 1", "0"])
def test_names_that_can_be_stored_pass(name):
    fields = {n: FieldSchema(n, ("time",)) for n in ("usage", "grad/usage", "final/usage", "c", "weird name")}
    assert merge_memory(None, MemorySchema(name, fields=fields), {}).name == name
