"""How much may be asked, on a clock that the test sets."""

from __future__ import annotations

import pytest

from memviz.demos.playground.limits import Bounds, TooMany


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_a_burst_is_answered_and_then_so_many_per_second():
    clock = Clock()
    bounds = Bounds(rate=2, burst=3, clock=clock)
    for _ in range(3):
        bounds.count()
    with pytest.raises(TooMany) as refused:
        bounds.count()
    assert refused.value.after == pytest.approx(0.5)
    clock.now = 0.5
    bounds.count()
    with pytest.raises(TooMany):
        bounds.count()
    clock.now = 1000.0
    for _ in range(3):
        bounds.count()
    with pytest.raises(TooMany):
        bounds.count()


def test_only_so_many_wait_and_a_place_is_given_back():
    bounds = Bounds(waiting=2)
    with bounds.place(), bounds.place(), pytest.raises(TooMany, match="busy"), bounds.place():
        pass
    with pytest.raises(ZeroDivisionError), bounds.place():
        1 / 0  # noqa: B018 - what fails gives its place back too
    with bounds.place(), bounds.place():
        pass
