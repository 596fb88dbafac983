"""How much a memory matters, against loops over planted runs and on a DNC whose answer is made to ignore its reads."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
import torch

import memviz
from memviz.analysis.diagnostics import MemoryView, get
from memviz.demos.gallery import write_run


def view_of(fault, folder):
    return MemoryView(memviz.open(write_run(fault, folder / fault).path)[-1], "memory")


def test_the_share_of_the_controller_is_that_at_a_typical_time_asked(tmp_path):
    view = view_of("bypassed_memory", tmp_path)
    (measure,) = get("bypassed_memory").measure(view)
    share = view["memory_influence"]
    for item in range(view.items):
        asked = [1 - float(share[t, item]) for t in range(view.times) if view.asked[t, item]]
        assert measure.values[item] == pytest.approx(statistics.median(asked))
        assert asked
        assert len(asked) < view.times


def test_reach_is_the_share_of_the_gradient_before_the_first_answer(tmp_path):
    view = view_of("short_reach", tmp_path)
    (measure,) = get("short_reach").measure(view)
    gradient = view["grad/write_vectors"]
    for item in range(view.items):
        norms = [math.sqrt(sum(float(x) ** 2 for x in gradient[t, item].ravel())) for t in range(view.times)]
        first = next(t for t in range(view.times) if view.asked[t, item])
        assert measure.places[item].time == first > 0
        assert measure.values[item] == pytest.approx(1 - sum(norms[:first]) / sum(norms))


def test_reach_says_nothing_without_a_target_or_where_all_is_asked(tmp_path):
    view = view_of("short_reach", tmp_path)
    view.__dict__["asked"] = np.ones((view.times, view.items), dtype=bool)
    (measure,) = get("short_reach").measure(view)
    assert np.isnan(measure.values).all()
    view.__dict__["knows_asked"] = False
    assert list(get("short_reach").measure(view)) == []


@pytest.mark.parametrize("ignores", [True, False])
def test_a_dnc_that_ignores_its_reads_is_found_out(ignores, tmp_path):
    from memviz.demos.models import DNC

    torch.manual_seed(0)
    model = DNC(4, 8, nr_cells=6, cell_size=5, read_heads=2)
    with torch.no_grad():
        reads = 2 * 5
        if ignores:
            model.output.weight[:, -reads:] *= 1e-3
        else:
            model.output.weight[:, :-reads] *= 1e-3
            model.output.weight[:, -reads:] *= 1e3
    path = tmp_path / "run"
    options = {"fields": ["default", "memory_influence"], "batch": "all", "policy": "block"}
    with memviz.attach(model, path, every=1, **options) as rec:
        output = model(torch.randn(2, 7, 4))[0]
        rec.label(target=torch.ones_like(output))
    found = [finding.diagnostic for finding in memviz.diagnose(memviz.open(path)[-1])]
    assert ("bypassed_memory" in found) == ignores
