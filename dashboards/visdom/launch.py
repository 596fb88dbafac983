"""Streaming in a process of its own, for a program that trains: not even the interpreter lock is shared with it.

    child = launch("runs/copy", "http://localhost:8097")
    ...                                                     # train
    child.finish()                                          # the last record is drawn; a hung server is not waited for

`python -m memviz.dashboards.visdom PATH URL` is what runs. It ends when its standard input does, so it never outlives
the program that began it, however that ends.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from memviz.dashboards.visdom.client import Address, Client
from memviz.dashboards.visdom.sink import environment
from memviz.dashboards.visdom.stream import Stream


class Child:
    """The process that streams; a context manager that finishes it."""

    def __init__(self, process: subprocess.Popen[bytes], address: Address, env: str) -> None:
        self.address = address
        self._env = env
        self._process = process

    def __enter__(self) -> Child:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.finish()

    @property
    def url(self) -> str:
        """The page that shows the run."""
        return f"{self.address.url}/env/{self._env}"

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def finish(self, timeout: float = 10.0) -> None:
        """Let it draw the newest record and end; after `timeout` seconds it is killed."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def launch(path: str | os.PathLike[str], visdom: str) -> Child:
    """Stream the run at `path` to the server at `visdom` from a process of its own; returns at once.

    Args:
        path: a trace, or a directory of traces; it may not exist yet.
        visdom: address of a Visdom server, which may not run yet.

    Raises:
        VisdomAddressError: `visdom` is not an address.
        OSError: no process can be started.
    """
    address = Address.parse(visdom)
    command = [sys.executable, "-m", "memviz.dashboards.visdom", os.fspath(path), address.url]
    # In a session of its own, Ctrl-C reaches the program alone, which then finishes its child.
    process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    return Child(process, address, environment(Path(path).resolve().name))


def main(arguments: Sequence[str]) -> int:
    """Stream until standard input ends."""
    path, visdom = arguments
    stream = Stream([Path(path)], Client(Address.parse(visdom)), say=_say).start()
    ended = threading.Thread(target=sys.stdin.buffer.read, daemon=True)
    ended.start()
    ended.join()
    stream.stop()
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
