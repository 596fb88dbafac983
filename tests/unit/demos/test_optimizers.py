"""Graves's RMSProp against the recurrences of the paper, written out for one number."""

from __future__ import annotations

import numpy as np
import torch

from memviz.demos.optimizers import GravesRMSprop, make_optimizer
from memviz.demos.plan import Plan


def test_graves_rmsprop_follows_the_paper():
    weight = torch.nn.Parameter(torch.tensor([0.7, -0.2], dtype=torch.float64))
    optimizer = GravesRMSprop([weight], lr=0.01, alpha=0.95, momentum=0.9, eps=1e-4)
    expected, n, g, delta = weight.detach().numpy().copy(), np.zeros(2), np.zeros(2), np.zeros(2)
    for step in range(20):
        optimizer.zero_grad()
        (weight**3 * (step % 3 - 1.2)).sum().backward()
        gradient = 3 * expected**2 * (step % 3 - 1.2)
        optimizer.step()
        n = 0.95 * n + 0.05 * gradient**2
        g = 0.95 * g + 0.05 * gradient
        delta = 0.9 * delta - 0.01 * gradient / np.sqrt(n - g**2 + 1e-4)
        expected += delta
        np.testing.assert_allclose(weight.detach().numpy(), expected, rtol=1e-12)


def test_a_closure_is_evaluated_and_parameters_without_gradient_stay():
    weight, other = torch.nn.Parameter(torch.ones(1)), torch.nn.Parameter(torch.ones(1))
    optimizer = GravesRMSprop([weight, other], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = weight.square().sum()
        loss.backward()
        return loss.item()

    assert optimizer.step(closure) == 1
    assert weight.item() < 1
    assert other.item() == 1


def test_every_name_makes_its_optimizer():
    made = {
        name: type(make_optimizer(Plan("copy", optimizer=name, learning_rate=0.5), [torch.nn.Parameter(torch.ones(1))]))
        for name in ("adam", "rmsprop", "graves")
    }
    assert made == {"adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop, "graves": GravesRMSprop}
