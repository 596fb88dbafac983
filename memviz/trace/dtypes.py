"""The types of values a trace can hold, and their names in numpy, safetensors and zarr."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import ml_dtypes
import numpy as np

from memviz.errors import SchemaError

BFLOAT16 = "bfloat16"

SAFETENSORS: Mapping[str, str] = MappingProxyType(
    {
        "bool": "BOOL",
        "int8": "I8",
        "int16": "I16",
        "int32": "I32",
        "int64": "I64",
        "uint8": "U8",
        "uint16": "U16",
        "uint32": "U32",
        "uint64": "U64",
        "float16": "F16",
        BFLOAT16: "BF16",
        "float32": "F32",
        "float64": "F64",
    }
)
"""The dtype code of safetensors by our name, which is numpy's own or "bfloat16"."""

FROM_SAFETENSORS: Mapping[str, str] = MappingProxyType({code: name for name, code in SAFETENSORS.items()})

_NUMPY: Mapping[str, np.dtype] = MappingProxyType(
    {name: np.dtype(ml_dtypes.bfloat16 if name == BFLOAT16 else name) for name in SAFETENSORS}
)


def numpy_dtype(name: str) -> np.dtype:
    """The numpy dtype (native byte order) of one of our names.

    Raises:
        SchemaError: the name is not one a trace can hold.
    """
    try:
        return _NUMPY[name]
    except KeyError:
        raise SchemaError(f"a trace cannot hold values of type {name!r}; it holds {', '.join(_NUMPY)}") from None


def dtype_name(array: np.ndarray) -> str:
    """Our name for the dtype of an array, whatever its byte order.

    Raises:
        SchemaError: a trace cannot hold such values (complex, object, text, time, float128 ...).
    """
    name = array.dtype.name
    if name not in _NUMPY:
        raise SchemaError(f"a trace cannot hold values of type {name!r}; it holds {', '.join(_NUMPY)}")
    return name


def widen(array: np.ndarray) -> np.ndarray:
    """A bfloat16 array as float32, exactly and bit by bit: a bfloat16 is the upper half of a float32."""
    bits = array.view(np.uint16).astype(np.uint32) << np.uint32(16)
    return bits.view(np.float32)


def narrow(array: np.ndarray) -> np.ndarray:
    """Inverse of widen: the upper halves of a float32 array as bfloat16, NaN payloads included."""
    bits = (np.ascontiguousarray(array).reshape(array.shape).view(np.uint32) >> np.uint32(16)).astype(np.uint16)
    return bits.view(_NUMPY[BFLOAT16])


def as_bytes(array: np.ndarray) -> memoryview:
    """The values of an array as little-endian bytes in C order, without a copy where that is possible."""
    little = array.dtype.newbyteorder("<")
    if array.dtype.byteorder == ">" or (array.dtype.byteorder == "=" and little != array.dtype):
        array = array.astype(little)
    flat = np.ascontiguousarray(array).reshape(-1)
    return flat.view(np.uint8).data if flat.size else memoryview(b"")
