"""One writer per trace: an flock on writer.lock, held for the writer's life and dropped by the kernel when it dies.

A trace on a file system without flock is guarded by the process id in the lock file instead, as far as that goes: it
cannot see a writer on another host.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import time
import weakref
from pathlib import Path
from typing import Literal

from memviz.errors import TraceLocked
from memviz.trace.layout import LOCK

try:
    import fcntl
except ImportError:  # no flock on this system; the process id has to do
    fcntl = None  # type: ignore[assignment]

_UNSUPPORTED = {errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOSYS, errno.EINVAL}
_PATIENCE = 0.25
"""Seconds a writer waits for a lock: a reader that asks who writes holds it for microseconds."""

_held: weakref.WeakSet[WriterLock] = weakref.WeakSet()


class WriterLock:
    """The right to write a trace.

    Raises:
        TraceLocked: another process, or another writer in this process, has it.
    """

    def __init__(self, trace: Path) -> None:
        self._path = trace / LOCK
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            self._acquire()
            owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()}
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, json.dumps(owner).encode() + b"\n", 0)
        except BaseException:
            os.close(self._fd)
            self._fd = -1
            raise
        _held.add(self)

    def _acquire(self) -> None:
        deadline = time.monotonic() + _PATIENCE
        taken = _flock(self._fd, exclusive=True)
        while taken is False and time.monotonic() < deadline:
            time.sleep(0.005)
            taken = _flock(self._fd, exclusive=True)
        if taken is False or (taken is None and _owner_alive(self._path)):
            raise TraceLocked(f"{self._path.parent} is being written by {owner_of(self._path)}; stop that first")

    def release(self) -> None:
        """Let others write; safe to call twice."""
        if self._fd >= 0:
            _held.discard(self)
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, 0)  # no owner any more, also where flock does not work
            os.close(self._fd)
            self._fd = -1

    def forget(self) -> None:
        """Close the descriptor a forked child inherited, which would hold its parent's lock beyond its death."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _forget_all() -> None:
    for lock in list(_held):
        lock.forget()
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


def writing(trace: Path) -> Literal["yes", "no", "unknown"]:
    """Whether a living writer holds this trace; "unknown" where neither flock nor the process id can tell."""
    path = trace / LOCK
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return "no"
    except OSError:
        return "unknown"
    try:
        free = _flock(fd, exclusive=False)
    except OSError:
        return "unknown"
    finally:
        os.close(fd)
    if free is not None:
        return "no" if free else "yes"
    owner = _owner(path)
    if owner is None:
        return "no"
    if owner[1] != socket.gethostname():
        return "unknown"
    return "yes" if _alive(owner[0]) else "no"


def owner_of(path: Path) -> str:
    """Who holds a lock file, in words."""
    owner = _owner(path)
    return f"process {owner[0]} on {owner[1]}" if owner else "another process"


def _flock(fd: int, *, exclusive: bool) -> bool | None:
    """Whether the lock was there to take (and is taken now); None where flock does not work."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(fd, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return None
        raise
    return True


def _owner(path: Path) -> tuple[int, str] | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            content = json.loads(os.pread(fd, 4096, 0))
        finally:
            os.close(fd)
        return int(content["pid"]), str(content["host"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _owner_alive(path: Path) -> bool:
    owner = _owner(path)
    return owner is not None and owner[1] == socket.gethostname() and _alive(owner[0])


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
