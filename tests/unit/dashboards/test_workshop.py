"""Work that takes longer than a request: done while somebody waits, put down when nobody does, taken up again."""

from __future__ import annotations

import threading
import time

from memviz.dashboards.desk import PATIENCE
from memviz.dashboards.workshop import Workshop


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_what_is_quick_is_there_at_once():
    ticket = Workshop("x", 4).ask("a", 1, lambda ticket: setattr(ticket, "result", 42), wait=30)
    assert (ticket.state, ticket.result) == ("done", 42)


def test_progress_is_seen_and_a_new_goal_goes_on_from_the_result():
    shop, gate, begun = Workshop("x", 4), threading.Event(), []

    def work(ticket):
        ticket.step("counting", 1, 2)
        begun.append(ticket.result)
        gate.wait(60)
        ticket.result = ticket.goal

    ticket = shop.ask("a", 5, work)
    until(lambda: begun)
    assert (ticket.state, ticket.doing, ticket.done, ticket.total) == ("working", "counting", 1, 2)
    gate.set()
    until(lambda: ticket.state == "done")
    assert shop.ask("a", 6, work, wait=30).result == 6
    assert begun == [None, 5]


def test_a_failure_is_said_and_not_tried_again_for_the_same_goal():
    shop, tried = Workshop("x", 4), []

    def broken(ticket):
        tried.append(ticket.goal)
        raise OSError("the disk is gone")

    assert shop.ask("a", 1, broken, wait=30).state == "failed"
    again = shop.ask("a", 1, broken, wait=0.01)
    assert (again.state, again.problem, tried) == ("failed", "the disk is gone", [1])
    assert shop.ask("a", 2, lambda ticket: None, wait=30).state == "done"


def test_work_is_put_down_when_nobody_asks_or_somebody_calls_it_off():
    now = [0.0]
    shop, gate = Workshop("x", 4, clock=lambda: now[0]), threading.Event()
    seen = []

    def work(ticket):
        seen.append("began")
        gate.wait(60)
        ticket.step("next")
        seen.append("went on")

    ticket = shop.ask("a", 1, work)
    until(lambda: seen)
    now[0] = PATIENCE + 1  # the page was closed
    gate.set()
    until(lambda: shop._worker is None)
    assert (seen, ticket.state) == (["began"], "working")
    gate.clear()
    shop.ask("a", 1, work)
    until(lambda: len(seen) == 2)
    assert shop.stop("a").state == "stopped"
    gate.set()
    until(lambda: shop._worker is None)
    assert seen == ["began", "began"]
    assert shop.ask("a", 1, work, wait=30).state == "done"
    assert shop.stop("unknown") is None


def test_whoever_asked_last_comes_first_and_few_are_kept():
    shop, gate, order = Workshop("x", 2), threading.Event(), []

    def work(name):
        def doing(ticket):
            if name == "first":
                gate.wait(60)
            order.append(name)

        return doing

    shop.ask("first", 1, work("first"))
    until(lambda: shop._worker is not None)
    shop.ask("second", 1, work("second"))
    last = shop.ask("third", 1, work("third"))
    gate.set()
    until(lambda: last.state == "done" and shop._worker is None)
    assert order.index("third") < order.index("second")
    assert shop.stop("first") is None
