"""What analysis keeps beside a trace so that it need not be computed twice; all of it can be deleted at any time.

A trace belongs to the process that writes it, so nothing is ever put inside. `runs/copy` has its results in
`runs/.memviz/copy/`, one JSON file each, which names the trace it is of and the version that computed it.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from memviz._version import __version__
from memviz.trace.files import write_atomic
from memviz.trace.schema import Event, Json

if TYPE_CHECKING:
    from memviz.trace.reader import Trace

FOLDER = ".memviz"
"""A hidden folder beside the traces, so that no search for traces looks into it."""

_CAP = 64 * 2**20
"""Bytes that a result may have to be read back; a larger file is not ours."""


def folder_of(trace: Trace) -> Path:
    """Where the results about a trace lie; the folder need not exist."""
    return trace.path.parent / FOLDER / trace.path.name


def load(trace: Trace, name: str) -> Mapping[str, Json] | None:
    """A result kept earlier; None when there is none, or it is of another trace, another version, or damaged."""
    path = folder_of(trace) / name
    try:
        if path.is_symlink() or path.stat().st_size > _CAP:
            return None
        data = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(data, dict) or data.get("of") != _identity(trace):
        return None
    content = data.get("content")
    return content if isinstance(content, dict) else None


def save(trace: Trace, name: str, content: Mapping[str, Json]) -> bool:
    """Keep a result, replacing an earlier one at once or not at all; False where the folder cannot be written."""
    text = json.dumps({"of": _identity(trace), "content": content}, allow_nan=False, separators=(",", ":"))
    with contextlib.suppress(OSError):
        folder_of(trace).mkdir(parents=True, exist_ok=True)
        write_atomic(folder_of(trace) / name, [text.encode()])
        return True
    return False


def append_event(trace: Trace, name: str, event: Event) -> bool:
    """Add a line to a log of events beside the trace, in the format of events.jsonl; False where it cannot be."""
    with contextlib.suppress(OSError):
        folder_of(trace).mkdir(parents=True, exist_ok=True)
        fd = os.open(
            folder_of(trace) / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666
        )
        try:
            os.write(fd, json.dumps(event.to_json(), allow_nan=False).encode() + b"\n")
        finally:
            os.close(fd)
        return True
    return False


def _identity(trace: Trace) -> list[Json]:
    """What must agree for a result to be of this trace and of this code."""
    return [__version__, trace.header.run, trace.header.created]
