"""The checks of Titans against loops over planted runs, and on a memory of titans-pytorch."""

from __future__ import annotations

import importlib
import math
import statistics
import warnings

import numpy as np
import pytest

import memviz
from memviz.analysis.diagnostics import MemoryView, get
from memviz.demos.gallery import write_run


@pytest.fixture(scope="module")
def view_of(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return lambda fault: MemoryView(memviz.open(write_run(fault, folder / fault).path)[-1], "memory")


def measured(name, view):
    (measure,) = get(name).measure(view)
    return measure


def cases(view, field):
    """Item, head, and the values over time."""
    values = view[field]
    for item in range(values.shape[1]):
        yield item, [[float(values[t, item, head]) for t in range(len(values))] for head in range(values.shape[2])]


def test_a_spike_is_its_ratio_to_the_median(view_of):
    view = view_of("surprise_spike")
    measure = measured("surprise_spike", view)
    for item, heads in cases(view, "surprise_loss"):
        ratios = [max(series) / statistics.median(series) for series in heads]
        assert measure.values[item] == pytest.approx(max(ratios))
        place = measure.places[item]
        assert place.head == ratios.index(max(ratios))
        assert heads[place.head][place.time] == max(heads[place.head])


def test_forgetting_counts_half_lives(view_of):
    view = view_of("fast_forgetting")
    measure = measured("fast_forgetting", view)
    for item, heads in cases(view, "decay_gate"):
        lives = [statistics.median(math.log(2) / -math.log(1 - a) for a in series) for series in heads]
        assert measure.values[item] == pytest.approx(view.times / max(lives), rel=1e-5)


def test_a_gate_that_never_forgets_has_no_half_life(view_of):
    view = view_of("fast_forgetting")
    view["decay_gate"][:] = 0
    assert (measured("fast_forgetting", view).values == 0).all()
    view["decay_gate"][:] = 1
    assert (measured("fast_forgetting", view).values > 32).all()


def test_past_surprise_is_what_the_step_has_beyond_the_momentary(view_of):
    view = view_of("stale_surprise")
    measure = measured("stale_surprise", view)
    given = dict(cases(view, "gradient_norm"))
    for item, heads in cases(view, "momentum_norm"):
        shares = [
            statistics.median(max(0.0, (s - g) / s) for s, g in zip(series, given[item][head], strict=True))
            for head, series in enumerate(heads)
        ]
        assert measure.values[item] == pytest.approx(min(shares), abs=1e-6)


def test_steps_and_growth_are_counted_in_factors_of_ten(view_of):
    view = view_of("growing_fast_weights")
    still, grown = measured("frozen_fast_weights", view), measured("growing_fast_weights", view)
    moved = dict(cases(view, "update_norm"))
    for item, heads in cases(view, "weight_norm"):
        steps = [
            -math.log10(statistics.median(m / w for m, w in zip(moved[item][head], series, strict=True)))
            for head, series in enumerate(heads)
        ]
        assert still.values[item] == pytest.approx(min(steps), abs=1e-6)
        assert grown.values[item] == pytest.approx(max(math.log10(max(s) / s[0]) for s in heads), abs=1e-6)


def test_a_memory_that_does_nothing_has_no_spike_and_no_shares(view_of):
    view = view_of("surprise_spike")
    for name in ("surprise_loss", "gradient_norm", "momentum_norm"):
        view[name][:] = 0
    assert np.isnan(measured("surprise_spike", view).values).all()
    assert np.isnan(measured("stale_surprise", view).values).all()


@pytest.mark.thirdparty
def test_a_broken_token_is_found_in_a_memory_of_titans_pytorch(tmp_path):
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        package = importlib.import_module("titans_pytorch")
    torch.manual_seed(0)
    model = package.NeuralMemory(dim=8, chunk_size=1, heads=1, dim_head=8, pre_rmsnorm=False)
    x = torch.randn(2, 16, 8)
    x[1, 11] *= 100
    with memviz.attach(model, tmp_path / "run", every=1, batch="all", policy="block"):
        model(x)
    record = memviz.open(tmp_path / "run")[-1]
    found = {finding.diagnostic: finding for finding in memviz.diagnose(record)}
    spiked = found["surprise_spike"]
    assert (spiked.item, spiked.place.time) == (1, 11)
    assert not {"frozen_fast_weights", "stale_surprise"} & set(found)
