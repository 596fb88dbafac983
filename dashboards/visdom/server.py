"""A Visdom server of one's own on this machine, for tests, benchmarks and pictures: start, stop, freeze, thaw.

It listens on the loopback address only and keeps its environments in a folder of its own. It needs the `visdom` package
with its web assets in place (scripts/fetch_visdom_assets.py), or the internet to fetch them.
"""

from __future__ import annotations

import importlib.util
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from memviz.dashboards.visdom.client import INSTALL_HINT, Address, Client, VisdomUnavailable
from memviz.errors import ServerError

START_SECONDS = 30.0


class LocalServer:
    """A server process; as a context manager it starts on entering and stops on leaving.

    Attributes:
        address: where it listens.
        client: a connection to it, for looking at what it holds.

    Args:
        folder: where it keeps its environments and its log.
        port: to listen on; 0 takes a free one, and the same one after a restart.

    Raises:
        ServerError: the visdom package is not installed.
    """

    def __init__(self, folder: Path, port: int = 0) -> None:
        if importlib.util.find_spec("visdom") is None:
            raise ServerError(f"the visdom package is missing: {INSTALL_HINT}")
        self.folder = folder
        self.address = Address("http", "127.0.0.1", port or _free_port())
        self.client = Client(self.address)
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> LocalServer:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """To open in a browser."""
        return self.address.url

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            ServerError: it ends, or does not answer within START_SECONDS.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / "server.log"
        options = [
            "-port",
            str(self.address.port),
            "-bind_local",
            "-env_path",
            str(self.folder),
            "-logging_level",
            "ERROR",
        ]
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "visdom.server", *options], stdout=output, stderr=output, cwd=self.folder
            )
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            try:
                self.client.exists("main", "")
                return
            except VisdomUnavailable:
                if self.process.poll() is not None:
                    break
                time.sleep(0.1)
        self.stop()
        tail = log.read_text(errors="replace")[-600:]
        raise ServerError(
            f"Visdom's server did not start. Offline it needs its web assets: python scripts/fetch_visdom_assets.py. "
            f"It said: {tail}"
        )

    def stop(self) -> None:
        """Kill it, frozen or not; what it had not saved is gone."""
        self.client.disconnect()
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        """Let it hang: it still accepts connections and answers none."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
