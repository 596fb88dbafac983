"""Arrays that are changed in place and yet keep every earlier version: the undo log of a sparse memory.

A memory of a million slots cannot be copied at every time, nor for every caller who keeps a state. So there is one
array, in the newest version, and each older version knows which rows differ and what they held. Going to another
version swaps these rows, forward as well as backward, which restores every bit (Baker 1978, "Shallow binding";
the rollback of Rae et al. 2016, section 3.4).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

Change = tuple[Tensor, Tensor, Tensor]
"""An array [row, ...], rows of it [n], and what they hold in the version that owns the change."""


@dataclass(slots=True, eq=False)
class Version:
    """One state of the arrays. The current one has no `toward`; any other is one list of changes away from a neighbour.

    Attributes:
        reached: rows from this one on were never written.
        toward: the neighbour in the direction of the current version.
        changes: what differs from it, in the order in which it is to be put back.
    """

    reached: int = 0
    toward: Version | None = None
    changes: list[Change] = field(default_factory=list)


class Versions:
    """The current version of some arrays and the way to the others.

    Args:
        on_change: called with an array and the rows that were changed in it, by whatever way.
    """

    def __init__(self, on_change: Callable[[Tensor, Tensor], None] = lambda array, rows: None) -> None:
        self.current = Version()
        self._pending: list[Change] = []
        self._on_change = on_change

    def put(self, array: Tensor, rows: Tensor, values: Tensor) -> None:
        """Change rows, as a part of what the next commit makes.

        Args:
            array: [row, ...].
            rows: [n], each row once, but for rows that keep what they hold.
            values: [n, ...].
        """
        self._pending.append((array, rows, array[rows]))
        array[rows] = values
        self._on_change(array, rows)

    def commit(self, reached: int = 0) -> Version:
        """Make what was put since the last commit a version of its own, and return it."""
        version = Version(max(reached, self.current.reached))
        self.current.toward, self.current.changes = version, self._pending[::-1]
        self.current, self._pending = version, []
        return version

    def checkout(self, version: Version) -> None:
        """Bring the arrays to a version, by swapping the rows in which it differs from the current one."""
        for change in self._pending[::-1]:
            self._swap(change)
        self._pending = []
        path = [version]
        while path[-1].toward is not None:
            path.append(path[-1].toward)
        assert path[-1] is self.current
        for here, there in zip(path[-2::-1], path[::-1], strict=False):
            there.changes = [self._swap(change) for change in here.changes][::-1]
            there.toward, here.toward, here.changes = here, None, []
            self.current = here

    def _swap(self, change: Change) -> Change:
        """Put old values back; the change that would undo this."""
        array, rows, values = change
        now = array[rows]
        array[rows] = values
        self._on_change(array, rows)
        return array, rows, now
