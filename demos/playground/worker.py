"""The process that holds the networks: `python -m memviz.demos.playground.worker`.

Reads one message of JSON per line from standard input and writes one answer per line, `{"answer": ...}` or
`{"status": ..., "error": {...}}`, in the same order. It ends when its standard input does, so it never outlives the
server, and steps back behind it where both want the processor.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import IO, Any

import torch

from memviz.demos.playground.answering import Refusal, Shelf


def main() -> int:
    """Answer until standard input ends."""
    # Whatever a library prints must not get among the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="ascii")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with contextlib.suppress(AttributeError, OSError):
        os.nice(10)
    # At these sizes more threads only wait for each other.
    torch.set_num_threads(1)
    with answers, contextlib.suppress(BrokenPipeError):
        run(sys.stdin.buffer, answers)
    return 0


def run(messages: IO[bytes], answers: IO[str]) -> None:
    """Answer every line; whatever goes wrong with one is its answer."""
    shelf = Shelf()
    for line in messages:
        answer: dict[str, Any]
        try:
            answer = {"answer": shelf.answer(json.loads(line))}
        except Refusal as refusal:
            answer = {"status": refusal.status, "error": refusal.error}
        except Exception as error:  # a network may fail in any way, and the next question is for another
            what = f"the network failed: {type(error).__name__}: {error}"
            answer = {"status": 500, "error": {"what": what[:500], "expected": "an answer", "remedy": "choose another"}}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    raise SystemExit(main())
