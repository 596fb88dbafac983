"""A Visdom replay log: what would have been sent to a server, in a file that `Visdom().replay_log(file)` sends."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from memviz.dashboards.source import Source
from memviz.dashboards.visdom.panes import Pane
from memviz.dashboards.visdom.sink import Frontier, Sink
from memviz.errors import MemvizError
from memviz.trace.reader import Trace

MAX_RECORDS = 200
"""Records of one finished run that a log holds, evenly spaced and with the last one."""

MAX_BYTES = 2 * 2**30


class LogError(MemvizError, OSError):
    """A replay log cannot be written, or has reached MAX_BYTES."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a replay log holds: records written, records left out to keep to MAX_RECORDS per run, and its file."""

    path: Path
    written: int
    left_out: int

    @property
    def sentence(self) -> str:
        """What to tell the user."""
        left = f" ({self.left_out} left out, evenly)" if self.left_out else ""
        return f"wrote {self.written} records{left} to {self.path}; send them with visdom.Visdom().replay_log(...)"


class ReplayLog:
    """A file that takes panes as a server would; also a context manager that closes it.

    Each line is a JSON list of a route and its message, as the `visdom` package writes and reads them.

    Args:
        path: of the file; what is there is replaced.
        limit: bytes after which nothing more is taken.

    Raises:
        LogError: the file cannot be written.
    """

    def __init__(self, path: Path, limit: int = MAX_BYTES) -> None:
        self.path = path
        self.size = 0
        self._limit = limit
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("wb")
        except OSError as error:
            raise LogError(f"the replay log {path} cannot be written: {error}") from error

    def __enter__(self) -> ReplayLog:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._file.close()

    def draw(self, env: str, pane: Pane) -> None:
        """Write down that a pane is shown.

        Raises:
            LogError: the log has reached its limit.
        """
        self._write(b'["events", ' + pane.body(env) + b"]\n")

    def close(self, env: str, win: str) -> None:
        """Write down that a pane is taken away."""
        self._write(json.dumps(["close", {"eid": env, "win": win}]).encode() + b"\n")

    def flush(self) -> None:
        """Hand what was written to the operating system."""
        self._file.flush()

    def _write(self, line: bytes) -> None:
        if self.size + len(line) > self._limit:
            raise LogError(f"{self.path} has reached {self._limit / 2**30:.1f} GiB; nothing more is written to it")
        self._file.write(line)
        self.size += len(line)


def write_log(paths: Sequence[str | Path], log: Path) -> Written:
    """Write the runs under `paths` into one replay log, each record in turn.

    Args:
        paths: traces or directories of traces.
        log: the file.

    Raises:
        LogError: the file cannot be written, or has reached MAX_BYTES; it holds what fits.
    """
    source = Source(paths)
    written = left_out = 0
    with ReplayLog(log) as board:
        for run in source.runs():
            count = len(source.trace(run.id))
            chosen = chosen_records(count)
            frontier = _Cursor()
            sink = Sink(run.id, source, board, frontier=frontier)
            for frontier.newest in chosen:
                sink.draw(now=True)
            written += len(chosen)
            left_out += count - len(chosen)
    return Written(log, written, left_out)


def chosen_records(count: int) -> list[int]:
    """Positions of at most MAX_RECORDS of `count` records, evenly spaced, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, MAX_RECORDS)).round().astype(int)).tolist() if count else []


class LiveLog:
    """Keeps a replay log of live runs in a thread, record by record.

    Args:
        paths: traces or directories of traces.
        log: the file.
        say: told in one sentence when it has to end.
        interval: seconds between two looks.

    Raises:
        LogError: the file cannot be written.
    """

    def __init__(
        self, paths: Sequence[str | Path], log: Path, *, say: Callable[[str], None], interval: float = 1.0
    ) -> None:
        self._source = Source(paths)
        self._board = ReplayLog(log)
        self._say = say
        self._interval = interval
        self._sinks: dict[str, Sink] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memviz-visdom-log", daemon=True)

    def start(self) -> LiveLog:
        """Begin."""
        self._thread.start()
        return self

    def stop(self, timeout: float = 10.0) -> None:
        """Write what is newest and end."""
        self._stop.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        with self._board:
            try:
                while not self._stop.wait(self._interval):
                    self._turn()
                self._turn()
            except OSError as error:
                self._say(str(error))

    def _turn(self) -> None:
        for run in self._source.runs():
            if run.id not in self._sinks:
                self._sinks[run.id] = Sink(run.id, self._source, self._board)
            self._sinks[run.id].draw(now=True)
        self._board.flush()


class _Cursor:
    """A frontier that is put where it should be."""

    newest = 0

    def __call__(self, trace: Trace) -> Frontier:
        return Frontier(self.newest)
