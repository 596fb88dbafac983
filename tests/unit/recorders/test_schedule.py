from __future__ import annotations

from memviz.recorders.schedule import Schedule


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
