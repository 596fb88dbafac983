"""The process of the networks: started when asked, again when it ends, stopped when it hangs, gone with the server."""

from __future__ import annotations

import os
import sys
import textwrap
import threading

import pytest

from memviz.demos.playground.process import Worker, WorkerError


@pytest.fixture
def make():
    """Make workers that run a few lines of Python; they end with the test."""
    workers = []

    def worker(lines, **options):
        script = "import sys, json, os, time\n" + textwrap.dedent(lines)
        workers.append(Worker([sys.executable, "-S", "-c", script], **options))
        return workers[-1]

    yield worker
    for one in workers:
        one.close()


ECHO = """
    for line in sys.stdin:
        print(json.dumps({"answer": json.loads(line), "pid": os.getpid()}), flush=True)
"""


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_it_starts_with_the_first_question_and_stays(make):
    worker = make(ECHO)
    assert worker.pid is None
    first = worker.ask({"text": "\ud800\0\n"})
    assert first["answer"] == {"text": "\ud800\0\n"}
    assert worker.ask({})["pid"] == first["pid"] == worker.pid


def test_many_threads_get_their_own_answers(make):
    worker = make(ECHO)
    got = {}

    def ask(n):
        got[n] = worker.ask({"n": n})["answer"]["n"]

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == {n: n for n in range(16)}


def test_one_that_ends_is_said_and_started_again(make):
    worker = make("""
        for line in sys.stdin:
            if "die" in line:
                os._exit(3)
            print(json.dumps({"pid": os.getpid()}), flush=True)
    """)
    first = worker.ask({})["pid"]
    with pytest.raises(WorkerError, match="exit"):
        worker.ask({"die": 1})
    assert worker.ask({})["pid"] != first


def test_one_that_hangs_is_stopped(make):
    worker = make("print(sys.stdin.readline(), end='', flush=True); time.sleep(3600)", patience=0.2)
    assert worker.ask({}) == {}
    with pytest.raises(WorkerError, match="no answer within"):
        worker.ask({})
    assert worker.pid is None


def test_the_first_answer_may_take_longer(make):
    worker = make("sys.stdin.readline(); time.sleep(3600)", start=0.2)
    with pytest.raises(WorkerError, match="no answer within"):
        worker.ask({})
    assert worker.pid is None


def test_one_that_says_something_else_is_stopped(make):
    worker = make("sys.stdin.readline(); print('Hello', flush=True); time.sleep(3600)")
    with pytest.raises(WorkerError, match="no answer but 'Hello"):
        worker.ask({})
    assert worker.pid is None


def test_one_that_cannot_be_started_is_said():
    with pytest.raises(WorkerError, match="no process"):
        Worker(["/no/such/program"]).ask({})


def test_closing_ends_it_whatever_it_does(make):
    worker = make("sys.stdin.readline(); time.sleep(3600)")
    failed = []

    def ask():
        try:
            worker.ask({})
        except WorkerError as error:
            failed.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    while worker.pid is None:
        thread.join(0.01)
    pid = worker.pid
    worker.close()
    thread.join()
    assert failed
    assert not alive(pid)
    with pytest.raises(WorkerError, match="ending"):
        worker.ask({})
    worker.close()


def test_it_ends_when_nobody_asks(make):
    worker = make(ECHO, idle=0.05)
    pid = worker.ask({})["pid"]
    while alive(pid):
        threading.Event().wait(0.01)
    assert worker.ask({})["pid"] != pid


def test_the_real_one_answers(networks):
    """One question to the real process, whatever it prints on the way."""
    worker = Worker()
    try:
        message = {"path": str(networks / "plus-1.safetensors"), "stamp": "1"}
        asked = {"story": "Mary moved to the garden.", "question": "Where is Mary?"}
        found = worker.ask({**message, "do": "predict", **asked})["answer"]
        assert found["facts"] == ["Mary moved to the garden."]
        refused = worker.ask({**message, "do": "predict", "story": "", "question": ""})
        assert refused["status"] == 422
        # A message that it cannot read is an answer too, and not its end.
        assert worker.ask({"do": "nothing"})["status"] == 500
        assert worker.ask({**message, "do": "describe"})["answer"]["parameters"] > 0
    finally:
        worker.close()
