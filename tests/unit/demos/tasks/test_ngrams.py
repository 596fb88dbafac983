"""Dynamic n-grams: the floor against an independent computation, and that nobody does better."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.special import beta as beta_function

from memviz.demos.tasks.ngrams import NGramTask
from memviz.errors import OptionError


def predictive(ones, zeros):
    """P(next is one | counts) by Bayes' rule with the prior Beta(1/2, 1/2): a ratio of evidences, no counting rule."""
    return beta_function(ones + 1.5, zeros + 0.5) / beta_function(ones + 0.5, zeros + 0.5)


def floor_by_hand(bits, order):
    """The best predictions of one sequence, with a dictionary of contexts."""
    counts = defaultdict(lambda: [0, 0])
    best = []
    for time in range(order - 1, len(bits)):
        seen = counts[tuple(bits[time - order + 1 : time])]
        best.append(predictive(seen[1], seen[0]))
        seen[bits[time]] += 1
    return best


def whole_sequences(batch):
    """The bits of a batch, [batch, time], which inputs and targets show shifted by one."""
    return torch.cat((batch.input[:, :1, 0], batch.target[:, :, 0]), dim=1)


def test_the_ratio_of_evidences_is_the_integral_of_bayes_rule():
    def evidence(ones, zeros):
        # p = sin² turns the prior's poles at 0 and 1 into a constant.
        return quad(lambda x: math.sin(x) ** (2 * ones) * math.cos(x) ** (2 * zeros), 0, math.pi / 2)[0]

    for ones, zeros in ((0, 0), (3, 1), (0, 5)):
        assert evidence(ones + 1, zeros) / evidence(ones, zeros) == pytest.approx(predictive(ones, zeros), rel=1e-9)


@pytest.mark.parametrize("order", [2, 3, 6])
def test_the_floor_is_that_of_an_independent_computation(order):
    task = NGramTask(order=order, length=80)
    batch = task.draw(3, 80, torch.Generator().manual_seed(order))
    assert batch.asked.tolist() == [False] * (order - 2) + [True] * (81 - order)
    bits = task.draw(3, 80, torch.Generator().manual_seed(order)).input[:, :, 0].long()
    assert torch.equal(bits[:, 1:].float()[:, order - 2 :], batch.target[:, order - 2 : -1, 0])
    for sequence, last, best in zip(bits.tolist(), batch.target[:, -1, 0].long().tolist(), batch.best, strict=True):
        expected = floor_by_hand([*sequence, last], order)
        np.testing.assert_allclose(best[order - 2 :, 0], expected, rtol=1e-6)


def test_the_best_prediction_is_calibrated_and_no_shade_of_it_costs_less():
    task = NGramTask(order=3, length=60)
    batch = task.draw(4000, 60, torch.Generator().manual_seed(0))
    best, came = batch.best[:, batch.asked].flatten(), batch.target[:, batch.asked].flatten()
    for low in np.arange(0, 1, 0.1):
        among = (best >= low) & (best < low + 0.1)
        share = came[among].mean()
        assert abs(share - best[among].mean()) < 6 * (0.25 / among.sum()) ** 0.5

    def cost(said):
        return torch.nn.functional.binary_cross_entropy(said, came)

    for other in (best * 0.9, 0.5 + 0.9 * (best - 0.5), (best * 1.1).clamp_max(0.999)):
        assert cost(best) < cost(other)


def test_bits_above_the_floor_is_the_expected_cost_less_the_floor():
    task = NGramTask(order=2, length=30)
    batch = task.draw(4, 30, torch.Generator().manual_seed(1))
    said = torch.full_like(batch.best, 0.3)
    best = batch.best[:, batch.asked].double().numpy()
    cost = -(best * np.log2(0.3) + (1 - best) * np.log2(0.7)).sum() / 4
    assert task.mistakes(said, batch) == pytest.approx(cost - task.floor(batch), rel=1e-6)
    assert task.mistakes(batch.best, batch) == pytest.approx(0, abs=1e-12)


def test_chances_follow_the_arcsine_law():
    batch = NGramTask(order=2, length=400).draw(400, 400, torch.Generator().manual_seed(0))
    bits = whole_sequences(batch)
    after_one = (bits[:, 1:] * bits[:, :-1]).sum(dim=1) / bits[:, :-1].sum(dim=1)
    seen = bits[:, :-1].sum(dim=1) > 50
    # A third of Beta(1/2, 1/2) lies below 1/4, and a third above 3/4.
    shares = after_one[seen]
    assert ((shares < 0.25) | (shares > 0.75)).double().mean() > 0.55


@pytest.mark.parametrize("options", [{"order": 1}, {"order": 17}, {"length": 6}, {"length": 0}, {"shortest": 300}])
def test_sizes_that_cannot_be_are_refused(options):
    with pytest.raises(OptionError, match=f"{next(iter(options))} must be"):
        NGramTask(**options)
