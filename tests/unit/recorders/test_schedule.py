from __future__ import annotations

import itertools

import pytest
import torch

from memviz.errors import RecorderError
from memviz.recorders.schedule import Cycle, LogSpaced, Schedule


def recorded(schedule, steps):
    found = []
    for step in steps:
        if schedule.due(step):
            schedule.done(step)
            found.append(step)
    return found


def test_every_nth_step_from_the_first():
    assert recorded(Schedule(3), range(8)) == [0, 3, 6]


def test_only_the_first_forward_of_a_step():
    assert recorded(Schedule(1), [0, 0, 0, 1, 1, 2]) == [0, 1, 2]


def test_a_multiple_that_was_jumped_over_is_made_up_for():
    assert recorded(Schedule(10), [0, 7, 14, 21, 28, 35]) == [0, 14, 21, 35]


def test_a_start_in_the_middle_records_at_once_and_then_at_multiples():
    assert recorded(Schedule(100), range(950, 1250)) == [950, 1000, 1100, 1200]


def test_a_step_that_goes_back_is_recorded():
    assert recorded(Schedule(100), [0, 100, 0]) == [0, 100, 0]


def test_a_rule_replaces_every():
    assert recorded(Schedule(1, lambda step: step in (2, 5)), range(8)) == [2, 5]


def test_thinning_doubles():
    schedule = Schedule(2)
    assert recorded(schedule, range(4)) == [0, 2]
    assert schedule.thin() == "every 4 steps"
    assert recorded(schedule, range(4, 13)) == [4, 8, 12]


def test_what_came_to_nothing_is_due_again():
    schedule = Schedule(5)
    schedule.done(0)
    assert not schedule.due(0)
    schedule.undo()
    assert schedule.due(0)


def test_it_reads_as_words():
    assert str(Schedule(1)) == "every step"
    assert str(Schedule(20)) == "every 20 steps"
    assert "test_it_reads_as_words" in str(Schedule(1, lambda step: True))


def test_log_spaced_steps_grow_by_the_base():
    assert recorded(Schedule(1, LogSpaced(2)), range(40)) == [0, 1, 2, 4, 8, 16, 32]
    steps = recorded(Schedule(1, LogSpaced(1.2)), range(10_001))
    assert all(later / earlier < 1.25 for earlier, later in itertools.pairwise(steps) if earlier > 50)
    assert len([step for step in steps if 1000 <= step < 10_000]) == 13, "log(10) / log(1.2) is 12.6"


def test_a_log_spaced_step_that_was_jumped_over_is_made_up_for():
    assert recorded(Schedule(1, LogSpaced(10)), [0, 3, 12, 50, 130, 900]) == [0, 3, 12, 130]


@pytest.mark.parametrize("power", range(1, 16))
def test_powers_of_the_base_begin_an_interval(power):
    rule = LogSpaced(10)
    assert rule.interval(10**power) == power
    assert rule.interval(10**power - 1) == power - 1


def test_a_cycle_waits_and_records():
    assert recorded(Schedule(1, Cycle(wait=2, warmup=1, active=2)), range(11)) == [3, 4, 8, 9]
    assert recorded(Schedule(1, Cycle(wait=1, active=1, repeat=2, skip_first=5)), range(20)) == [6, 8]


def test_a_schedule_of_the_profiler_serves():
    given = torch.profiler.schedule(wait=2, warmup=1, active=2, repeat=1, skip_first=1)
    ours = Cycle(wait=2, warmup=1, active=2, repeat=1, skip_first=1)
    assert recorded(Schedule(1, given), range(12)) == recorded(Schedule(1, ours), range(12)) == [4, 5]


def test_thinning_a_rule_records_half_of_what_it_asks_for():
    schedule = Schedule(1, Cycle(active=1))
    assert recorded(schedule, range(2)) == [0, 1]
    assert schedule.thin() == "1 of every 1 steps, one in 2 of them"
    assert recorded(schedule, [2, 2, 3, 3, 4, 5]) == [2, 4]


@pytest.mark.parametrize(
    "make",
    [lambda: LogSpaced(1), lambda: LogSpaced("2"), lambda: Cycle(active=0), lambda: Cycle(wait=-1, active=1)],
)
def test_impossible_rules_are_refused(make):
    with pytest.raises(RecorderError, match="expected a number"):
        make()
