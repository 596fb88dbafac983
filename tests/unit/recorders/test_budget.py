"""Recording keeps to its share of the time."""

from __future__ import annotations

import itertools

import pytest

import memviz
from memviz.errors import RecorderError
from memviz.recorders import recorder as recorder_module
from memviz.recorders import sampler, sites, tap
from memviz.recorders.budget import Budget


def train(budget, steps, step_ns, cost_ns):
    """Simulated training: returns the recorded steps and the time spent on them as a share."""
    now, spent, taken = 0, 0, []
    for step in range(steps):
        if budget.allows(now):
            cost = cost_ns(step)
            budget.spend(cost)
            budget.recorded(cost)
            now, spent = now + cost, spent + cost
            taken.append(step)
        now += step_ns
    return taken, spent / now


def test_no_budget_allows_everything():
    taken, _ = train(Budget(None), 10, 1, lambda step: 100)
    assert taken == list(range(10))


@pytest.mark.parametrize("cost", [1_000, 100_000, 1_000_000, 30_000_000])
def test_the_share_is_kept_whatever_a_record_costs(cost):
    taken, share = train(Budget(0.02), 10_000, 10_000_000, lambda step: cost)
    assert share <= 0.02 + cost / (10_000 * 10_000_000)
    assert len(taken) >= min(10_000, 0.9 * 0.02 * 10_000 * 10_000_000 / cost)


def test_records_are_evenly_spaced_and_come_back_when_they_get_cheap():
    taken, _ = train(Budget(0.02), 4000, 10_000_000, lambda step: 1_000_000 if step < 2000 else 100_000)
    early = [step for step in taken if 500 <= step < 2000]
    assert {later - earlier for earlier, later in itertools.pairwise(early)} <= {4, 5}
    assert taken[-1000:] == list(range(3000, 4000))


def test_what_is_saved_up_is_bounded():
    budget = Budget(0.5)
    budget.recorded(1_000_000)
    budget.allows(0)
    budget.allows(10**15)
    budget.spend(100_000_000)
    assert not budget.allows(10**15)
    assert budget.skipped == 2


@pytest.mark.parametrize("share", [0, 1, -0.1, "2 %"])
def test_no_share_is_refused(share):
    with pytest.raises(RecorderError, match="budget="):
        Budget(share)


class Clock:
    """Stands still but for 4 ms at each look, and for what a training step takes."""

    def __init__(self):
        self.now = 0

    def __call__(self):
        self.now += 4_000_000
        return self.now


def test_a_recorder_keeps_to_its_budget_and_says_so(tmp_path, tapping, batch, monkeypatch):
    clock = Clock()
    for module in (sampler, sites, tap, recorder_module):
        monkeypatch.setattr(module, "perf_counter_ns", clock)
    recorder = memviz.attach(tapping, tmp_path / "run", every=1, budget=0.1, policy="block")
    for _ in range(60):
        tapping(batch)
        clock.now += 50_000_000
    stats = recorder.stats()
    assert 0.05 < stats.self_time_share <= 0.12
    assert "at most 0.1 of the time" in recorder.explain()
    recorder.close()
    trace = memviz.open(recorder.path)
    assert len(trace) == 60 - stats.skipped
    assert [event.data["skipped"] for event in trace.events if event.kind == "thinned"][:3] == [1, 2, 4]
