"""A captured forward on its way to the trace: what is kept of it, and what it still waits for."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from memviz.recorders.capture import Capture, MemoryInfo
from memviz.recorders.gradients import GradientTaps
from memviz.recorders.staging import Selection, Snapshot
from memviz.recorders.steps import Moment


class Pending:
    """One forward, copied out of the model.

    Attributes:
        moment: when it was.
        wall: seconds since the epoch.
        size: number of items in its batch.
        items: the items to record; None while the losses of the items are awaited that decide.
        snapshots: its fields.
        labels, memories: what the record says besides.
        gradients: what collects the gradients of its fields, None without.
        due: whether it is written in any case; otherwise it is held for a trigger.
        settled: whether it waits for nothing any more.
    """

    __slots__ = ("due", "gradients", "items", "labels", "memories", "moment", "settled", "size", "snapshots", "wall")

    def __init__(self, capture: Capture, snapshots: Sequence[Snapshot], items: Sequence[int] | None, size: int) -> None:
        self.moment: Moment = capture.moment
        self.wall = time.time()
        self.size = size
        self.items = items
        self.snapshots = list(snapshots)
        self.labels: Mapping[str, Any] = capture.labels
        self.memories: Mapping[str, MemoryInfo] = capture.memories
        self.gradients: GradientTaps | None = None
        self.due = True
        self.settled = False

    @property
    def selection(self) -> Selection:
        """The items to record; all of them while nobody knows better."""
        return Selection(range(self.size) if self.items is None else self.items, self.size)

    def choose(self, items: Sequence[int]) -> None:
        """The losses have come: record these items."""
        self.items = tuple(items)
        selection = self.selection
        if not selection.everything:
            self.snapshots = [
                one._replace(selection=selection) if one.channel.layout.batch >= 0 else one for one in self.snapshots
            ]
