"""trace.json: read with every claim checked, written as readable JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from memviz.errors import SchemaError, TraceCorrupt, TraceNotFound, TraceVersionError
from memviz.trace import caps
from memviz.trace.files import read_json
from memviz.trace.jsonl import plain
from memviz.trace.layout import TRACE_JSON, check_memory, check_nesting
from memviz.trace.schema import FORMAT_VERSION, TraceHeader


def encode_header(header: TraceHeader) -> bytes:
    """The bytes of trace.json.

    Raises:
        SchemaError: an attribute cannot be written as JSON, or the header is too large.
    """
    data = json.dumps(plain(header.to_json()), indent=1, allow_nan=False).encode() + b"\n"
    if len(data) > caps.MAX_TRACE_JSON:
        raise SchemaError(f"trace.json would take {len(data)} bytes; at most {caps.MAX_TRACE_JSON} are allowed")
    return data


def read_header(trace: Path) -> TraceHeader:
    """The header of the trace in this directory.

    Raises:
        TraceNotFound: there is no trace.json.
        TraceVersionError: it was written in a newer format.
        TraceCorrupt: it is damaged, or claims what the format does not allow.
    """
    path = trace / TRACE_JSON
    try:
        data = read_json(path, caps.MAX_TRACE_JSON)
    except (FileNotFoundError, NotADirectoryError):
        raise TraceNotFound(
            f"{trace} holds no trace (no {TRACE_JSON}); expected the folder that a recorder wrote, e.g. runs/copy"
        ) from None
    check_version(data, str(path))
    try:
        header = TraceHeader.from_json(data)
        for name, memory in header.memories.items():
            if name != memory.name:
                raise SchemaError(f"memory {memory.name!r} stands under the name {name!r}")
            check_memory(memory)
        check_nesting(header.memories)
    except (SchemaError, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise TraceCorrupt(f"{path}: is not the header of a trace ({error!s:.300}); restore it from a copy") from None
    return header


def check_version(data: dict[str, Any], where: str) -> None:
    """Check that a format version is one this memviz reads.

    Raises:
        TraceVersionError: it is newer.
        TraceCorrupt: it is no version at all.
    """
    version = data.get("format_version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise TraceCorrupt(f"{where}: states no format version (found {version!r:.40}); it is not a trace of memviz")
    if version > FORMAT_VERSION:
        raise TraceVersionError(
            f"{where}: format version {version}, written by memviz {data.get('memviz_version')!r:.40}; this memviz "
            f"reads up to version {FORMAT_VERSION}. Upgrade memviz to read it"
        )
