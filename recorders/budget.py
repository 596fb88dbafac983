"""A bound on the time that recording takes: what a recorder may spend grows with the time that training takes."""

from __future__ import annotations

from memviz.errors import RecorderError
from memviz.recorders.schedule import is_number

BURST_NS = 100_000_000
"""What may be saved up while nothing is recorded: a tenth of a second of recording."""


class Budget:
    """Lets recording use a share of the time since it began, and no more.

    An allowance grows by `share` of the time that passes; a record is taken when it covers what the last records cost.
    So the time spent recording stays below `share` of the time of training plus one record, whatever the sizes.

    Args:
        share: of the time, above 0 and below 1. None: no bound.

    Attributes:
        skipped: records that were not taken because the allowance was used up.

    Raises:
        RecorderError: `share` is no such number.
    """

    def __init__(self, share: float | None) -> None:
        if share is not None and (not is_number(share) or not 0 < share < 1):
            raise RecorderError(
                f"budget={share!r}: expected a share of the time between 0 and 1, such as 0.02 for two percent"
            )
        self.share = share
        self.skipped = 0
        self._saved = 0.0
        self._cost = 0.0
        self._then: int | None = None

    def allows(self, now: int) -> bool:
        """Whether a record may be taken at the time `now`, in nanoseconds; counts it when it may not."""
        if self.share is None:
            return True
        if self._then is not None:
            self._saved = min(self._saved + (now - self._then) * self.share, max(BURST_NS, self._cost))
        self._then = now
        # Nobody knows yet what the first record costs.
        allowed = self._cost <= self._saved or not self._cost
        self.skipped += not allowed
        return allowed

    def spend(self, nanoseconds: int) -> None:
        """Recording has taken so much time."""
        self._saved -= nanoseconds

    def recorded(self, nanoseconds: int) -> None:
        """One record has cost so much in all; the next one is expected to cost about the same."""
        self._cost = nanoseconds if not self._cost else self._cost + 0.25 * (nanoseconds - self._cost)

    def __str__(self) -> str:
        return "" if self.share is None else f"at most {self.share:.3g} of the time"
