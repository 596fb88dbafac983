"""Triggers on what they are shown."""

from __future__ import annotations

import math

import pytest

from memviz.errors import RecorderError
from memviz.recorders.origin import Origin
from memviz.recorders.triggers import GradientSpike, LossSpike, Observation, OnNaN, needs_of, parse_triggers


def fired(trigger, observations):
    return [seen.step for seen in observations if trigger.check(seen)]


def losses(values):
    return [Observation(step, {"loss": value}) for step, value in enumerate(values)]


def test_a_loss_spike_is_a_multiple_of_the_median():
    assert fired(LossSpike(3, 10), losses([1.0] * 10 + [2.9, 1.0, 3.1, 1.0])) == [12]


def test_nothing_fires_before_half_of_the_window():
    assert fired(LossSpike(3, 10), losses([1, 1, 1, 1, 9])) == []
    assert fired(LossSpike(3, 10), losses([1, 1, 1, 1, 1, 9])) == [5]


def test_a_spike_that_lasts_fires_once_in_a_pause():
    assert fired(LossSpike(3, 20, pause=4), losses([1.0] * 20 + [9.0] * 6)) == [20, 24]


@pytest.mark.parametrize("values", [[0.0] * 10 + [5.0], [-1.0] * 10 + [5.0], [1.0] * 10 + [math.nan], [1.0] * 10])
def test_no_factor_of_nothing(values):
    assert fired(LossSpike(3, 10), losses(values)) == []


def test_another_scalar_may_be_watched():
    seen = [Observation(step, {"perplexity": 1.0 if step < 9 else 50.0}) for step in range(10)]
    assert fired(LossSpike(scalar="perplexity", window=4), seen) == [9]
    assert fired(LossSpike(window=4), seen) == []


def test_a_gradient_spike_reads_the_norm():
    seen = [Observation(step, gradient_norm=norm) for step, norm in enumerate([1, 1, None, 1, 1, 1, 11])]
    assert fired(GradientSpike(10, 6), seen) == [6]


ORIGIN = Origin(3, 2, "m", "usage", {"slot": 1}, "nan", "forward")


def test_nan_fires_once_until_all_is_finite_again():
    seen = [Observation(step, {"loss": math.nan if step in (2, 3, 6) else 1.0}) for step in range(8)]
    assert fired(OnNaN(), seen) == [2, 6]
    assert fired(OnNaN(scalars=["accuracy"]), seen) == []


def test_nan_names_the_origin_first():
    assert OnNaN().check(Observation(3, {"loss": math.nan}, ORIGIN)) == str(ORIGIN)


def test_a_gradient_that_no_update_used_is_no_alarm():
    assert OnNaN().check(Observation(1, gradient_norm=math.inf, updated=False)) is None
    assert "grads=True" in OnNaN().check(Observation(1, gradient_norm=math.inf))


class Mine:
    def check(self, step):
        return None


def test_triggers_are_taken_one_or_many_made_or_not():
    mine = Mine()
    assert list(parse_triggers(mine)) == [mine]
    assert [type(trigger) for trigger in parse_triggers((OnNaN, LossSpike()))] == [OnNaN, LossSpike]
    assert [type(trigger) for trigger in parse_triggers(OnNaN)] == [OnNaN]
    assert needs_of(parse_triggers([OnNaN(), mine])) == {"finite"}


@pytest.mark.parametrize("on", ["OnNaN", 3, [object()]])
def test_what_is_no_trigger_is_refused(on):
    with pytest.raises(RecorderError, match="expected triggers"):
        parse_triggers(on)


def test_unknown_needs_are_refused():
    mine = Mine()
    mine.needs = {"loss"}
    with pytest.raises(RecorderError, match="known are finite, gradient_norm"):
        parse_triggers([mine])


@pytest.mark.parametrize("make", [lambda: LossSpike(1.0), lambda: LossSpike(2, 1), lambda: GradientSpike("10")])
def test_impossible_spikes_are_refused(make):
    with pytest.raises(RecorderError, match="expected a number"):
        make()
