"""Every touch of the disk that a trace makes outside tensorstore: atomic writes, confined and capped reads.

Nothing here fsyncs unless asked: what is committed survives the death of the process, and a power cut may cost the
records that the kernel had not written yet.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from memviz.trace.caps import corrupt
from memviz.trace.layout import PARTIAL

_IOV_MAX = 512


def write_all(fd: int, buffers: Sequence[bytes | memoryview]) -> int:
    """Write all buffers to a file descriptor, whatever number of calls that takes; returns the bytes written."""
    waiting = [memoryview(buffer).cast("B") for buffer in buffers if len(buffer)]
    total = sum(len(view) for view in waiting)
    while waiting:
        written = os.writev(fd, waiting[:_IOV_MAX])
        if written == 0:
            raise OSError(errno.EIO, "the file system accepted no bytes")
        while waiting and written >= len(waiting[0]):
            written -= len(waiting.pop(0))
        if written:
            waiting[0] = waiting[0][written:]
    return total


def write_atomic(path: Path | str, buffers: Sequence[bytes | memoryview], *, sync: bool = False) -> int:
    """Make `path` hold these bytes, all of them or, after an error or a crash, none; returns their number.

    The bytes go to `<path>.partial`, which is renamed. An error removes the partial file and is raised.
    """
    partial = f"{path}{PARTIAL}"
    fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        try:
            total = write_all(fd, buffers)
            if sync:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise
    return total


def open_regular(path: Path) -> int:
    """A descriptor for reading a plain file.

    Raises:
        TraceCorrupt: the path is a symbolic link, a pipe or anything else that is not a plain file.
        OSError: it cannot be opened; FileNotFoundError when it is not there.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):
            raise corrupt(str(path), "is a symbolic link; a trace only holds plain files") from None
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise corrupt(str(path), "is not a plain file")
    return fd


def read_exact(fd: int, size: int, offset: int, where: str) -> bytearray:
    """Read exactly `size` bytes from `offset`.

    Raises:
        TraceCorrupt: the file ends before.
    """
    data = bytearray(size)
    view = memoryview(data)
    done = 0
    while done < size:
        count = os.preadv(fd, [view[done : done + 2**30]], offset + done)
        if count == 0:
            raise corrupt(where, f"ends at byte {offset + done}; {size - done} bytes are missing")
        done += count
    return data


def read_capped(path: Path, limit: int) -> bytes:
    """The content of a plain file of at most `limit` bytes.

    Raises:
        TraceCorrupt: it is larger, or not a plain file.
        OSError: it cannot be opened.
    """
    fd = open_regular(path)
    try:
        size = os.fstat(fd).st_size
        if size > limit:
            raise corrupt(str(path), f"holds {size} bytes; at most {limit} are allowed")
        return bytes(read_exact(fd, size, 0, str(path)))
    finally:
        os.close(fd)


def parse_json(data: bytes | bytearray | str, where: str) -> dict[str, Any]:
    """A JSON object.

    Raises:
        TraceCorrupt: the bytes are not JSON, or not an object.
    """
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise corrupt(where, f"is not JSON ({error!s:.120})") from None
    if not isinstance(value, dict):
        raise corrupt(where, f"holds a JSON {type(value).__name__}; expected an object")
    return value


def read_json(path: Path, limit: int) -> dict[str, Any]:
    """The JSON object in a plain file of at most `limit` bytes.

    Raises:
        TraceCorrupt: it is larger, not a plain file, or not a JSON object.
        OSError: it cannot be opened.
    """
    return parse_json(read_capped(path, limit), str(path))


def listing(folder: Path) -> list[str]:
    """The names in a folder of a trace, sorted; none when it is not there.

    Raises:
        TraceCorrupt: the folder is a symbolic link or no folder at all.
    """
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return []
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise corrupt(str(folder), "is not a plain folder") from None
        raise
    try:
        return sorted(os.listdir(fd))
    finally:
        os.close(fd)


def tree_bytes(folder: Path) -> int:
    """Bytes of all plain files below a folder, links not followed; files that vanish meanwhile count nothing."""
    total = 0
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                if entry.is_dir(follow_symlinks=False):
                    total += tree_bytes(Path(entry.path))
                elif entry.is_file(follow_symlinks=False):
                    total += entry.stat(follow_symlinks=False).st_size
    return total
