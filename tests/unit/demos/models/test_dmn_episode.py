"""Gates and episodes: features of each kind, gates of padding, and episodes rebuilt from what the gates keep."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import memviz
from memviz.analysis.episodes import effective_gates, rebuild
from memviz.demos.models.dmn_episode import Episode, FactGates, normalised

F, M, Q = torch.tensor([[[1.0, -2.0]]]), torch.tensor([[0.5, 3.0]]), torch.tensor([[2.0, -1.0]])


@pytest.mark.parametrize(
    ("attention", "expected"),
    [
        ("smooth", [1, -2, 0.5, 3, 2, -1, 2, 2, 0.5, -6, 1, 1, 0.25, 25]),
        ("basic", [1, -2, 0.5, 3, 2, -1, 2, 2, 0.5, -6, 1, 1, 0.5, 5, 2 * (1 - 6), 2 * 3 - 1 * 4 - 5 * 3 + 3 + 1]),
        ("plus", [2, 2, 0.5, -6, 1, 1, 0.5, 5]),
    ],
)
def test_features_by_hand(attention, expected):
    gates = FactGates(2, attention)
    if attention == "basic":
        gates.bilinear = nn.Parameter(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
        w = gates.bilinear
        expected = [*expected[:-2], (F[0, 0] @ w @ Q[0]).item(), (F[0, 0] @ w @ M[0]).item()]
    features = gates.features(F, M, Q)[0, 0]
    assert features.tolist() == pytest.approx(expected)
    assert gates.first.in_features == len(expected)


SCORES = torch.tensor([[2.0, -1.0, 9.0], [0.5, 9.0, 9.0]])
REAL = torch.tensor([[True, True, False], [True, False, False]])


@pytest.mark.parametrize("how", ["none", "gates", "scores"])
def test_padding_gets_a_gate_of_zero_and_takes_nothing_from_the_others(how):
    gates = normalised(SCORES, REAL, how)
    assert (gates[~REAL] == 0).all()
    if how == "none":
        assert gates[REAL].tolist() == pytest.approx(torch.sigmoid(SCORES[REAL]).tolist())
    else:
        assert gates.sum(1).tolist() == pytest.approx([1, 1])
        given = torch.sigmoid(SCORES) if how == "gates" else SCORES
        assert gates[0, :2].tolist() == pytest.approx(torch.softmax(given[0, :2], 0).tolist())


@pytest.mark.parametrize("kind", ["gated", "attention_gru", "soft"])
def test_an_episode_is_what_its_effective_gates_keep_of_its_candidates(kind, tmp_path):
    torch.manual_seed(0)
    episode = Episode(4, kind).double()
    gates = torch.rand(3, 6, dtype=torch.float64)
    facts = torch.randn(3, 6, 4, dtype=torch.float64)
    with memviz.attach(episode, tmp_path / "trace", every=1, batch="all") as recorder:
        found = episode(facts, gates)
    record = memviz.open(recorder.path)[0]
    name = "memory"
    assert record.memories[name].law == "dmn"
    how = record.memories[name].attributes["episode"]
    assert how == ("sum" if kind == "soft" else "gated")
    kept, left = effective_gates(record[f"{name}/episodic_attention"][0], how)
    assert kept.sum(1) + left == pytest.approx(1, abs=1e-12)
    torch.testing.assert_close(
        torch.from_numpy(rebuild(kept, record[f"{name}/episode_candidates"][0])), found.detach(), atol=1e-12, rtol=0
    )


@pytest.mark.parametrize("kind", ["gated", "attention_gru"])
def test_facts_with_closed_gates_change_nothing(kind):
    torch.manual_seed(0)
    episode = Episode(4, kind)
    facts, gates = torch.randn(1, 3, 4), torch.tensor([[0.8, 0.0, 0.0]])
    torch.testing.assert_close(episode(facts, gates), episode(facts[:, :1], gates[:, :1]))
    assert not episode(facts, torch.zeros(1, 3)).any()


def test_a_gated_episode_is_the_cell_with_gates():
    torch.manual_seed(0)
    cell = nn.GRUCell(4, 4)
    episode = Episode(4, "gated", cell)
    facts, gates = torch.randn(2, 5, 4), torch.rand(2, 5)
    state = torch.zeros(2, 4)
    for fact, gate in zip(facts.unbind(1), gates.unbind(1), strict=True):
        state = gate[:, None] * cell(fact, state) + (1 - gate[:, None]) * state
    torch.testing.assert_close(episode(facts, gates), state)
    assert episode.gru is cell
