"""memory_influence against a second forward of the output layer, with the one part or the other taken away."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import memviz
from memviz.demos.models.dnc import DNC
from memviz.demos.models.ntm import NTM
from memviz.demos.models.sam import SAM
from memviz.recorders.influence import influence_probes, linear_share

HIDDEN = 5


def by_removal(layer: nn.Linear, seen: torch.Tensor, reads: int) -> torch.Tensor:
    """How far the output moves without the reads, as a share of that and of how far it moves without the rest."""
    output = layer(seen)
    without_reads, without_controller = seen.clone(), seen.clone()
    without_reads[..., -reads:] = 0
    without_controller[..., :-reads] = 0
    memory = (output - layer(without_reads)).norm(dim=-1)
    return memory / (memory + (output - layer(without_controller)).norm(dim=-1))


def test_the_share_is_how_far_the_output_moves_without_the_memory():
    torch.manual_seed(0)
    layer, seen = nn.Linear(9, 3).double(), torch.randn(4, 7, 9, dtype=torch.float64)
    share = linear_share(layer.weight, seen, 4)
    assert torch.allclose(share, by_removal(layer, seen, 4), atol=1e-14)
    assert not share.requires_grad


def test_where_nothing_is_contributed_the_share_is_zero():
    layer = nn.Linear(4, 2)
    assert linear_share(layer.weight, torch.zeros(3, 4), 2).tolist() == [0, 0, 0]
    only_memory = torch.tensor([[0.0, 0.0, 1.0, 0.0]])
    assert linear_share(layer.weight, only_memory, 2).tolist() == [1]


def test_half_precision_is_measured_in_single():
    layer, seen = nn.Linear(4, 2).bfloat16(), torch.randn(3, 4).bfloat16()
    assert linear_share(layer.weight, seen, 2).dtype == torch.float32


@pytest.mark.parametrize(
    "make",
    [
        lambda: DNC(6, HIDDEN, nr_cells=8, cell_size=4, read_heads=2),
        lambda: DNC(6, HIDDEN, nr_cells=8, cell_size=4, num_layers=2, share_memory=False, batch_first=False),
        lambda: NTM(6, HIDDEN, nr_cells=8, cell_size=4),
        lambda: SAM(6, HIDDEN, nr_cells=32, cell_size=4),
    ],
    ids=["DNC", "layers, time first", "NTM", "SAM"],
)
def test_it_is_recorded_for_those_who_ask(tmp_path, make):
    torch.manual_seed(0)
    model, x = make(), torch.rand(3, 7, 6)
    shown = []
    model.output.register_forward_hook(lambda layer, given, output: shown.append(given[0].detach()))
    with memviz.attach(model, tmp_path / "run", every=1, batch="all", fields=["default", "memory_influence"]) as rec:
        model(x)
    record = memviz.open(rec.path)[0]
    expected = by_removal(model.output, shown[0], shown[0].shape[2] - HIDDEN).detach()
    expected = expected.T if model.batch_first else expected
    assert np.allclose(record["memory_influence"], expected, atol=1e-6)
    assert 0 < record["memory_influence"].min() < record["memory_influence"].max() < 1


def test_by_default_it_is_not_even_computed_after_the_first_forward(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(
        "memviz.demos.models.influence.linear_share", lambda *given: calls.append(given) or torch.ones(3, 7)
    )
    model = DNC(6, HIDDEN, nr_cells=8, cell_size=4)
    with memviz.attach(model, tmp_path / "run", every=1) as recorder:
        for _ in range(3):
            model(torch.rand(3, 7, 6))
    assert len(calls) == 1, "once, when nobody knew what there is"
    assert "memory/memory_influence" not in memviz.open(recorder.path)[0].stored
    assert "skips" in recorder.explain()
    assert "memory_influence" in recorder.explain()


def test_a_layer_that_is_no_such_layer_gives_no_probe():
    assert influence_probes(None, 4) == []
    assert influence_probes(nn.Linear(4, 2), 4) == []
    assert len(influence_probes(nn.Linear(5, 2), 4)) == 1
