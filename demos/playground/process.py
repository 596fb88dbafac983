"""The server's side of the process that holds the networks: torch is never imported beside the dashboards.

The process starts with the first question and ends after some minutes without one, with the server, or when a question
takes too long; the next question starts it again.
"""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

COMMAND = (sys.executable, "-P", "-m", "memviz.demos.playground.worker")

PATIENCE = 60.0
"""Seconds for one answer, the loading of its network among them."""

START = 180.0
"""Seconds for the first answer of a process, which imports torch; on a busy machine that takes long."""

IDLE = 600.0
"""Seconds without a question after which the process ends, and its memory is free again."""


class Answerer(Protocol):
    """Whoever answers messages; see `Worker.ask`."""

    def ask(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a message."""
        ...


class WorkerError(Exception):
    """The process gave no answer; the message says why."""


class Worker:
    """A process that answers one message at a time; safe to share between threads.

    Args:
        command: what to run.
        patience: seconds after which a question is given up, and the process with it.
        start: the same for the first question to a process.
        idle: seconds without a question after which the process ends.
    """

    def __init__(
        self,
        command: Sequence[str] = COMMAND,
        *,
        patience: float = PATIENCE,
        start: float = START,
        idle: float = IDLE,
    ) -> None:
        self._command, self._patience, self._start, self._idle = tuple(command), patience, start, idle
        self._started = False
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._timer: threading.Timer | None = None
        self._asked = 0.0
        self._closed = False

    @property
    def pid(self) -> int | None:
        """Id of the process; None while there is none."""
        process = self._process
        return process.pid if process is not None else None

    def ask(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a message, as memviz.demos.playground.worker gives it; waits for its turn.

        Raises:
            WorkerError: it took too long, the process ended, or none can be started.
        """
        with self._turn:
            process = self._running()
            line = json.dumps(message).encode() + b"\n"
            patience = self._patience if self._started else self._start
            try:
                assert process.stdin is not None
                process.stdin.write(line)
                process.stdin.flush()
                answer = self._lines.get(timeout=patience)
            except queue.Empty:
                self._end(kill=True)
                raise WorkerError(f"no answer within {patience:g} seconds; the network was stopped") from None
            except OSError:
                answer = None
            if answer is None:
                code = self._end(kill=True)
                raise WorkerError(f"the process of the networks ended (exit {code}); asking again starts another")
            try:
                found: dict[str, Any] = json.loads(answer)
            except ValueError:
                self._end(kill=True)
                said = answer[:40].decode(errors="replace")
                raise WorkerError(f"the process of the networks gave no answer but {said!r}") from None
            self._asked, self._started = time.monotonic(), True
            self._rest_later()
            return found

    def close(self) -> None:
        """End the process, whatever it is doing; later questions are refused. Safe to call twice."""
        self._closed = True
        process = self._process
        if process is not None:
            process.kill()  # whoever waits for its answer gets the turn back
        with self._turn:
            self._end(kill=True)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._closed:
            raise WorkerError("the server is ending")
        if self._process is not None and self._process.poll() is not None:
            self._end(kill=True)
        if self._process is None:
            try:
                # In a session of its own, Ctrl-C reaches the server alone, which then ends it.
                self._process = subprocess.Popen(
                    self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
                )
            except OSError as error:
                raise WorkerError(f"no process can be started for the networks: {error}") from error
            self._lines, self._started = queue.SimpleQueue(), False
            threading.Thread(
                target=_read, args=(self._process, self._lines.put), name="memviz-playground", daemon=True
            ).start()
        return self._process

    def _rest_later(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = threading.Timer(self._idle, self._rest)
        self._timer.daemon = True
        self._timer.start()

    def _rest(self) -> None:
        with self._turn:
            if time.monotonic() - self._asked >= self._idle:
                self._end(kill=False)

    def _end(self, *, kill: bool) -> int | None:
        """End the process, with the turn taken; its exit status."""
        process, self._process = self._process, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if process is None:
            return None
        assert process.stdin is not None
        if kill:
            process.kill()
        with contextlib.suppress(OSError):  # it had ended, with something left to read
            process.stdin.close()
        try:
            return process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


def _read(process: subprocess.Popen[bytes], put: Callable[[bytes | None], None]) -> None:
    """Pass on the lines of a process, and None when there will be no more."""
    assert process.stdout is not None
    with process.stdout as lines:
        for line in lines:
            put(line)
    put(None)
