"""Episodes of a dynamic memory network: gates on the facts, and what a hop keeps of them.

A hop looks at all facts, gates each by how it matches question and memory, and sums them up in an episode. Whatever the
way, the episode is a weighted sum of what each fact offered (its candidate) and the zero it started from:

    e = Σ_i E_i c_i + (1 - Σ_i E_i) 0

"gated" (Kumar et al. 2016, eq. 8): h_i = g_i GRU(f_i, h) + (1 - g_i) h, so E_i = g_i Π_{j>i} (1 - g_j) and
c_i = GRU(f_i, h). "attention_gru" (Xiong et al. 2016, section 3.3) has the gate in the place of the update gate: the
same E, with c_i the new value of the GRU. "soft" is the plain weighted sum, E_i = g_i and c_i = f_i.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

import memviz

Attention = Literal["basic", "smooth", "plus"]
Normalise = Literal["none", "gates", "scores"]
EpisodeKind = Literal["gated", "attention_gru", "soft"]


class FactGates(nn.Module):
    """How much each fact matters to a question, given what is remembered: g = G(f, m, q).

    Scores are W2 tanh(W1 z + b1) + b2 of features z (f fact, m memory, q question):

    | attention | z | from |
    |---|---|---|
    | "basic" | f, m, q, f∘q, f∘m, abs(f - q), abs(f - m), fᵀW q, fᵀW m | Kumar et al. 2016, eq. 7 |
    | "smooth" | f, m, q, f∘q, f∘m, (f - q)², (f - m)² | YerevaNN dmn_smooth |
    | "plus" | f∘q, f∘m, abs(f - q), abs(f - m) | Xiong et al. 2016, eq. 9 |

    Args:
        dim: width of a fact.
        attention: which features.
        normalise: "none", a sigmoid of each score; "gates", a softmax over facts of these sigmoids (YerevaNN
            normalize_attention); "scores", a softmax over facts of the scores (DMN+).
    """

    def __init__(self, dim: int, attention: Attention = "smooth", normalise: Normalise = "none") -> None:
        super().__init__()
        self.attention = attention
        self.normalise: Normalise = normalise
        width = {"basic": 7 * dim + 2, "smooth": 7 * dim, "plus": 4 * dim}[attention]
        self.bilinear = nn.Parameter(torch.empty(dim, dim)) if attention == "basic" else None
        self.first = nn.Linear(width, dim)
        self.second = nn.Linear(dim, 1)

    def features(self, facts: Tensor, memory: Tensor, question: Tensor) -> Tensor:
        """z, [batch, fact, feature]; facts are [batch, fact, dim], memory and question [batch, dim]."""
        m, q = memory.unsqueeze(1).expand_as(facts), question.unsqueeze(1).expand_as(facts)
        if self.attention == "smooth":
            return torch.cat([facts, m, q, facts * q, facts * m, (facts - q) ** 2, (facts - m) ** 2], dim=2)
        apart = [facts * q, facts * m, (facts - q).abs(), (facts - m).abs()]
        if self.bilinear is None:
            return torch.cat(apart, dim=2)
        projected = facts @ self.bilinear
        matches = [(projected * other).sum(2, keepdim=True) for other in (q, m)]
        return torch.cat([facts, m, q, *apart, *matches], dim=2)

    def forward(self, facts: Tensor, real: Tensor, memory: Tensor, question: Tensor) -> tuple[Tensor, Tensor]:
        """Gates and scores of facts, [batch, fact] each; a fact of padding gets a gate of exactly 0."""
        hidden = torch.tanh(self.first(self.features(facts, memory, question)))
        scores = self.second(hidden).squeeze(2)
        return normalised(scores, real, self.normalise), scores


def normalised(scores: Tensor, real: Tensor, how: Normalise) -> Tensor:
    """Gates of scores, [batch, fact] each; see `FactGates`. Where `real` is false, in padding, they are exactly 0."""
    if how == "scores":
        return torch.softmax(scores.masked_fill(~real, -torch.inf), dim=1)
    if how == "gates":
        return torch.softmax(torch.sigmoid(scores).masked_fill(~real, -torch.inf), dim=1)
    return torch.sigmoid(scores) * real


class Episode(nn.Module):
    """What one hop makes of the gated facts. It taps what memviz needs to say exactly what was kept.

    Args:
        dim: width of a fact.
        kind: see the module.
        gru: the weights to use for "gated" and "attention_gru"; its own by default.
    """

    memviz_law = "dmn"

    def __init__(self, dim: int, kind: EpisodeKind = "gated", gru: nn.GRUCell | None = None) -> None:
        super().__init__()
        self.kind = kind
        self.gru = None if kind == "soft" else gru or nn.GRUCell(dim, dim)

    @property
    def memviz_attributes(self) -> Mapping[str, Any]:
        """How the effective gates follow from the gates; see memviz.analysis.rules."""
        return MappingProxyType({"episode": "sum" if self.kind == "soft" else "gated"})

    def forward(self, facts: Tensor, gates: Tensor, given: Tensor | None = None) -> Tensor:
        """The episode, [batch, dim], of facts [batch, fact, dim] and their gates [batch, fact].

        `given` are the facts as `project` returns them, which is the same for all hops.
        """
        given = self.project(facts) if given is None else given
        if given is None:
            candidates = facts
            episode = torch.einsum("bf,bfd->bd", gates, facts)
        else:
            candidates, episode = self._run(given, gates)
        memviz.tap("episodic_attention", gates)
        memviz.tap("episode_candidates", candidates)
        memviz.tap("episode", episode)
        return episode

    def project(self, facts: Tensor) -> Tensor | None:
        """The part of the GRU's gates that comes from the facts alone, [batch, fact, 3 dim]."""
        return None if self.gru is None else functional.linear(facts, self.gru.weight_ih, self.gru.bias_ih)

    def _run(self, given: Tensor, gates: Tensor) -> tuple[Tensor, Tensor]:
        """Candidates [batch, fact, dim] and the last state [batch, dim]."""
        assert self.gru is not None
        dim = self.gru.hidden_size
        state = given.new_zeros(len(given), dim)
        weight, bias = self.gru.weight_hh.T, self.gru.bias_hh
        candidates = []
        for fact, gate in zip(given.unbind(1), gates.unsqueeze(2).unbind(1), strict=True):
            from_state = torch.addmm(bias, state, weight)
            if self.kind == "gated":
                reset, update = torch.sigmoid(fact[:, : 2 * dim] + from_state[:, : 2 * dim]).chunk(2, dim=1)
                new = torch.tanh(torch.addcmul(fact[:, 2 * dim :], reset, from_state[:, 2 * dim :]))
                candidate = torch.lerp(new, state, update)
            else:
                reset = torch.sigmoid(fact[:, :dim] + from_state[:, :dim])
                candidate = torch.tanh(torch.addcmul(fact[:, 2 * dim :], reset, from_state[:, 2 * dim :]))
            state = torch.lerp(state, candidate, gate)
            candidates.append(candidate)
        return torch.stack(candidates, dim=1), state
