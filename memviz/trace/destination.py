"""Where a trace goes: a folder here, a server that listens, or an object store; who writes need not care."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from memviz.errors import RemoteError
from memviz.trace.schema import TraceHeader
from memviz.trace.writer import TraceWriter

Say = Callable[[str], None]


def is_remote(path: str | os.PathLike[str]) -> bool:
    """Whether a path is an address rather than a folder of this machine."""
    return isinstance(path, str) and "://" in path


def run_name(path: str | os.PathLike[str]) -> str:
    """The name of the run at a path or address."""
    return os.fspath(path).rstrip("/").rpartition("/")[2] if is_remote(path) else Path(path).name


def open_writer(
    path: str | os.PathLike[str],
    header: TraceHeader,
    *,
    resume: bool = False,
    limit: int,
    token: str | None = None,
    say: Say | None = None,
) -> TraceWriter:
    """A writer for a folder, for `memviz://host:port/run`, or for any URL that fsspec can write.

    Args:
        path: folder or address.
        header: what trace.json says.
        resume: continue the trace in a folder; a trace elsewhere cannot be continued.
        limit: bytes that the trace may take here; of a remote one, bytes that may wait to be sent.
        token: shown to a server that listens; MEMVIZ_TOKEN of the environment by default.
        say: told in a sentence when the link goes down or comes up; logged by default.

    Raises:
        RemoteError: the address is none, or `resume` was asked for.
        TraceError, OSError: the folder cannot be written.
    """
    if not is_remote(path):
        return TraceWriter.create(path, header, resume=resume, limit=limit)
    url = os.fspath(path)
    if resume:
        raise RemoteError(
            f"resume=True continues a trace in a folder of this machine; {url} begins a new one each time"
        )
    header = replace(header, run=run_name(url))
    if url.startswith(("memviz://", "memvizs://")):
        from memviz.trace.remote.sending import start_sending

        return start_sending(url, header, limit=limit, token=token, say=say)
    from memviz.trace.remote.mirror import start_mirror

    return start_mirror(url, header, limit=limit, say=say)
