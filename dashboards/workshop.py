"""The workshop: answers that take longer than a request may, worked out by one thread while somebody waits for them.

Whoever wants an answer asks again and again, as with the desk of findings; each time the ticket says how far the work
is. Work that nobody has asked about for a while is put down, and so is work that is called off.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

from memviz.dashboards.desk import PATIENCE, GivenUp

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Ticket:
    """One answer that is wanted.

    Attributes:
        work: brings `result` to the goal that is set when it is called; may set `done`, `total` and `doing` as it goes.
        goal: what is wanted; another goal is worked towards from the result that there is.
        asked: when somebody asked last.
        clock: seconds that only grow.
        reached: the goal that the result has reached, None before the first.
        failed: the goal at which the work failed, None where it did not.
        doing: what is being done, in a few words.
        done, total: how much of it is done, and how much there is to do.
        problem: why it failed.
        result: whatever the work makes of it; None before.
    """

    work: Callable[[Ticket], None]
    goal: Hashable
    asked: float
    clock: Callable[[], float]
    reached: Hashable = None
    failed: Hashable = None
    doing: str = ""
    done: int = 0
    total: int = 0
    problem: str = ""
    result: Any = None
    stopped: bool = False
    finished: threading.Event = field(default_factory=threading.Event)

    @property
    def state(self) -> str:
        """`working`, `done`, `failed`, or `stopped`, where it was called off."""
        if self.failed is not None and self.failed == self.goal:
            return "failed"
        if self.reached is not None and self.reached == self.goal:
            return "done"
        return "stopped" if self.stopped else "working"

    @property
    def wanted(self) -> bool:
        """Whether somebody still waits."""
        return not self.stopped and self.clock() - self.asked < PATIENCE

    def step(self, doing: str, done: int = 0, total: int = 0) -> None:
        """Say what comes next.

        Raises:
            GivenUp: nobody waits any more.
        """
        if not self.wanted:
            raise GivenUp
        self.doing, self.done, self.total = doing, done, total


class Workshop:
    """Tickets by what they are about. Threads may share it; one worker thread of its own does the work.

    Args:
        name: of the thread.
        kept: results that are kept; the least recently asked for goes first.
        clock: seconds that only grow; tests pass their own.
    """

    def __init__(self, name: str, kept: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._kept = kept
        self._clock = clock
        self._tickets: OrderedDict[Hashable, Ticket] = OrderedDict()
        self._lock = threading.Lock()
        self._worker: threading.Thread | None = None

    def ask(self, key: Hashable, goal: Hashable, work: Callable[[Ticket], None], wait: float = 0.0) -> Ticket:
        """The ticket of `key`; starts the work where there is some.

        Args:
            key: what the answer is about.
            goal: how far it should get, not None; a changed goal asks for more of it.
            work: does it.
            wait: seconds to wait for it to be ready, so that what is quick is answered at once.
        """
        with self._lock:
            ticket = self._tickets.get(key)
            if ticket is None:
                ticket = self._tickets[key] = Ticket(work, goal, self._clock(), self._clock)
            ticket.goal, ticket.work, ticket.asked, ticket.stopped = goal, work, self._clock(), False
            self._tickets.move_to_end(key)
            while len(self._tickets) > self._kept:
                self._tickets.popitem(last=False)[1].stopped = True
            if ticket.state == "working":
                ticket.finished.clear()
                if self._worker is None:
                    self._worker = threading.Thread(target=self._run, name=self._name, daemon=True)
                    self._worker.start()
        if wait and ticket.state == "working":
            ticket.finished.wait(wait)
        return ticket

    def stop(self, key: Hashable) -> Ticket | None:
        """Call the work on `key` off; what it has found so far stays. The ticket, None where nobody asked for it."""
        with self._lock:
            ticket = self._tickets.get(key)
            if ticket is not None and ticket.state == "working":
                ticket.stopped, ticket.asked = True, -math.inf
        return ticket

    def _run(self) -> None:
        """Work until there is nothing to do; the next question starts another thread."""
        while True:
            with self._lock:
                due = [ticket for ticket in self._tickets.values() if ticket.state == "working" and ticket.wanted]
                if not due:
                    self._worker = None
                    return
                ticket = due[-1]  # whoever asked last looks at the page now
                goal = ticket.goal
            try:
                ticket.work(ticket)
            except GivenUp:
                continue
            except Exception as error:  # a trace may vanish or break in any way; the server goes on
                log.info("%s failed: %r", self._name, error)
                ticket.problem, ticket.failed = str(error) or type(error).__name__, goal
            else:
                ticket.reached = goal
            ticket.finished.set()
