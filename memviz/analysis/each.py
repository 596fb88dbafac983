"""A function of one record, applied to many: in turn here, or by many processes (memviz.analysis.cluster).

What takes an `Each` works the same either way: the results come in the order of the records, and whoever stops asking
for more ends the work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from memviz.trace.reader import Record, Trace

Result = TypeVar("Result")


class Each(Protocol):
    """Applies a function to records of a trace."""

    def __call__(
        self, trace: Trace, positions: Sequence[int], function: Callable[[Record], Result]
    ) -> Iterator[Result]:
        """What the function returns for the record at each position, in the order of the positions.

        Args:
            trace: where the records are.
            positions: which ones, ascending.
            function: must depend on nothing but its record, and can be pickled.
        """
        ...


def in_turn(trace: Trace, positions: Sequence[int], function: Callable[[Record], Result]) -> Iterator[Result]:
    """One record after the other, in this process, when its result is asked for."""
    return (function(trace[position]) for position in positions)
