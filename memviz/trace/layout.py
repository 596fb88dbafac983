"""Where the parts of a trace lie in its directory, and which names are allowed there.

trace.json   scalars.jsonl   events.jsonl   writer.lock
live/r00000256.safetensors          sealed/r00000000-r00000255/          quarantine/
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

from memviz.errors import SchemaError
from memviz.fields import FINAL_PREFIX, GRADIENT_PREFIX, INITIAL_PREFIX, bare_name, memory_of
from memviz.trace.caps import MAX_NAME, MAX_NAMES
from memviz.trace.schema import FieldSchema, MemorySchema

TRACE_JSON = "trace.json"
SCALARS = "scalars.jsonl"
EVENTS = "events.jsonl"
LOCK = "writer.lock"
LIVE = "live"
SEALED = "sealed"
QUARANTINE = "quarantine"
PARTIAL = ".partial"
INDEX = "_index"
"""Child group of a segment whose attributes list its records."""

COORDINATES = ("record", "step", "forward", "wall", "length")
"""Arrays that stand beside the fields in every memory group of a segment."""

_PREFIXES = (INITIAL_PREFIX, FINAL_PREFIX, GRADIENT_PREFIX)
_LIVE_NAME = re.compile(r"r(\d{8,15})\.safetensors")
_SEGMENT_NAME = re.compile(r"r(\d{8,15})-r(\d{8,15})")
_RANK_NAME = re.compile(r"rank-(\d{5,9})")
_FORBIDDEN = re.compile(r'[/\\:*?"<>|]')


def live_name(record: int) -> str:
    """File name of a live record: 123 gives `r00000123.safetensors`."""
    return f"r{record:08d}.safetensors"


def parse_live_name(name: str) -> int | None:
    """The record id in the name of a live file, None for any other name."""
    match = _LIVE_NAME.fullmatch(name)
    return int(match[1]) if match else None


def segment_name(first: int, last: int) -> str:
    """Folder name of the segment whose first and last record have these ids."""
    return f"r{first:08d}-r{last:08d}"


def parse_segment_name(name: str) -> tuple[int, int] | None:
    """First and last record id in the name of a segment, None for any other name."""
    match = _SEGMENT_NAME.fullmatch(name)
    return (int(match[1]), int(match[2])) if match else None


def rank_name(rank: int) -> str:
    """Folder of one process of a distributed run, inside the folder of the run."""
    return f"rank-{rank:05d}"


def rank_folders(run: Path) -> dict[int, Path]:
    """The traces of the processes of a distributed run by rank, in order; empty when `run` is not such a run."""
    if not run.is_dir():
        return {}
    found = {}
    for child in run.iterdir():
        match = _RANK_NAME.fullmatch(child.name)
        if match and (child / TRACE_JSON).is_file():
            found[int(match[1])] = child
    return dict(sorted(found.items()))


def holds_trace(path: Path) -> bool:
    """Whether something was ever recorded in this directory, even if trace.json is missing now."""
    if (path / TRACE_JSON).exists():
        return True
    # By the names inside, or a run called "live" would turn the folder of all runs into a trace.
    return any(
        (path / part).is_dir() and any(parse(child.name) is not None for child in (path / part).iterdir())
        for part, parse in ((LIVE, parse_live_name), (SEALED, parse_segment_name))
    )


def check_memory(memory: MemorySchema) -> None:
    """Check that the names and axes of a memory can be stored, and read by xarray.

    Raises:
        SchemaError: saying which name cannot be used and why.
    """
    check_memory_name(memory.name)
    if len(memory.fields) > MAX_NAMES:
        raise SchemaError(f"memory {memory.name!r} declares {len(memory.fields)} fields; at most {MAX_NAMES} fit")
    for key, field in memory.fields.items():
        if key != field.name:
            raise SchemaError(f"memory {memory.name!r} lists field {field.name!r} under the name {key!r}")
        _check_field(memory.name, field)
    axes = {axis for field in memory.fields.values() for axis in field.axes}
    for name in sorted(axes & set(memory.fields)):
        raise SchemaError(
            f"memory {memory.name!r} has both an axis and a field named {name!r}, which xarray cannot tell apart; "
            "rename one of them"
        )


def check_memory_name(name: str) -> None:
    """Check that a memory name can be a path inside a segment.

    Raises:
        SchemaError: it cannot.
    """
    parts = name.split("/")
    for part in parts:
        _check_part(part, f"memory {name!r}")
    reserved = {"grad", "initial", "final", *COORDINATES} & set(parts) or {INDEX} & {parts[0]}
    if reserved:
        raise SchemaError(f"memory {name!r} may not contain the part {min(reserved)!r}, which means something else")


def check_nesting(memories: Mapping[str, MemorySchema]) -> None:
    """Check that no memory lies where another memory has a field.

    Raises:
        SchemaError: naming both.
    """
    if len(memories) > MAX_NAMES:
        raise SchemaError(f"{len(memories)} memories are declared; at most {MAX_NAMES} fit in a trace")
    for name in memories:
        parts = name.split("/")
        for end in range(1, len(parts)):
            parent = memories.get("/".join(parts[:end]))
            if parent is not None and parts[end] in parent.fields:
                raise SchemaError(f"memory {name!r} lies inside the field {parts[end]!r} of memory {parent.name!r}")


def _check_field(memory: str, field: FieldSchema) -> None:
    who = f"field {memory}/{field.name}"
    prefix = next((prefix for prefix in _PREFIXES if field.name.startswith(prefix)), "")
    base = field.name.removeprefix(prefix)
    if "/" in base:
        raise SchemaError(f"{who}: only one of {', '.join(_PREFIXES)} may stand before a field name")
    _check_part(base, who)
    if base in ("grad", "initial", "final", *COORDINATES):
        raise SchemaError(f"{who}: the name {base!r} is taken by the format; choose another")
    if memory_of(f"{memory}/{field.name}") != memory or bare_name(f"{memory}/{field.name}") != field.name:
        raise SchemaError(f"{who}: the full name would be read as another memory or field")
    if len(set(field.axes)) != len(field.axes):
        raise SchemaError(f"{who}: axes {field.axes} repeat a name; each axis needs its own")
    for axis in field.axes:
        _check_part(axis, f"axis of {who}")
        if axis in COORDINATES:
            raise SchemaError(f"{who}: an axis may not be named {axis!r}, the format uses it")
    bounds: tuple[object, ...] = (field.low, field.high)  # a file may claim anything
    for bound in bounds:
        if bound is not None and not (isinstance(bound, int | float) and math.isfinite(bound)):
            raise SchemaError(f"{who}: {bound!r:.40} is no bound; give a finite number, or None for unbounded")
    if "time" in field.axes and field.axes[0] != "time":
        raise SchemaError(f"{who}: axes {field.axes} must start with 'time'")


def _check_part(part: str, who: str) -> None:
    if not part or not part.strip(".") or part != part.strip() or len(part) > MAX_NAME:
        raise SchemaError(f"{who}: {part!r} cannot be a name; expected 1 to {MAX_NAME} characters, not only dots")
    if part.startswith("__") or part == "zarr.json" or not part.isprintable() or _FORBIDDEN.search(part):
        raise SchemaError(f"{who}: {part!r} cannot be a name; it may not start with '__' or hold any of / \\ : * ? < >")
