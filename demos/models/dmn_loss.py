"""What a dynamic memory network learns from: the answer, and, if one likes, which facts each hop should look at."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from memviz.demos.models.dmn import DMNOutput
from memviz.demos.models.dmn_choice import ChoiceOutput
from memviz.demos.models.dmn_input import as_stream


def hop_targets(supporting: Tensor, hops: int, facts: int) -> Tensor:
    """How a hop should spread its attention over the facts: [hop, batch, fact], each a distribution.

    Hop h looks at the h-th supporting fact in the order in which they are listed, and hops beyond their number at the
    last of them. Where there are more supporting facts than hops every hop looks at all of them. All zero for a story
    without supporting facts.

    Args:
        supporting: [batch, support], positions; -1 is padding.
        hops: number of hops.
        facts: number of facts.
    """
    known = supporting >= 0
    count = known.sum(1)
    marks = torch.zeros(len(supporting), supporting.shape[1], facts, device=supporting.device)
    marks.scatter_(2, supporting.clamp(min=0).unsqueeze(2), known.float().unsqueeze(2))
    everything = marks.amax(1) if supporting.shape[1] else marks.sum(1)
    targets = []
    for hop in range(hops):
        chosen = everything
        if supporting.shape[1]:
            turn = torch.clamp(count - 1, min=0, max=hop)
            one = marks[torch.arange(len(marks), device=marks.device), turn]
            chosen = torch.where((count > hops).unsqueeze(1), everything, one)
        targets.append(chosen / chosen.sum(1, keepdim=True).clamp(min=1))
    return torch.stack(targets)


def at_ends(supporting: Tensor, facts: Tensor) -> Tensor:
    """The words at which supporting sentences end, for a network for which each word is a fact.

    Args:
        supporting: [batch, support], positions of sentences; -1 is padding.
        facts: [batch, fact, word], numbers of words; 0 is padding.

    Returns:
        [batch, support], positions in the row of all words of a story; -1 is padding.
    """
    ends = as_stream(facts).ends.gather(1, supporting.clamp(min=0))
    return ends.masked_fill(supporting < 0, -1)


def gate_loss(output: DMNOutput, supporting: Tensor, normalised: bool) -> Tensor:
    """How far the gates are from the supporting facts: cross-entropy per story and hop.

    Gates that sum to 1 are a distribution over facts and are compared as one; others are each a decision, and the
    cross-entropies of the facts of a story are added up (Kumar et al. 2016, section 2.5: E_gate).

    Args:
        output: of the network.
        supporting: [batch, support], positions; -1 is padding. Stories without any count for nothing.
        normalised: whether gates are a softmax of the scores.
    """
    targets = hop_targets(supporting, *output.gates.shape[::2]).to(output.scores)
    known = (supporting >= 0).any(1).to(output.scores)
    if normalised:
        logs = torch.log_softmax(output.scores.masked_fill(~output.real, -torch.inf), dim=2)
        errors = -(targets * logs.masked_fill(~output.real, 0.0)).sum(2)
    else:
        decisions = (targets > 0).to(output.scores)
        each = functional.binary_cross_entropy_with_logits(output.scores, decisions, reduction="none")
        errors = (each * output.real).sum(2)
    return (errors * known).sum() / (known.sum().clamp(min=1) * len(targets))


def choice_gate_loss(output: ChoiceOutput, supporting: Tensor, right: Tensor, normalised: bool) -> Tensor:
    """How far the gates of choices are from the supporting facts: cross-entropy per story and hop.

    The facts support the right choice. Gates that are each a decision learn to stay shut for the others; those that
    sum to 1 cannot, and learn nothing from them.

    Args:
        output: of the network.
        supporting: [batch, support], positions; -1 is padding. Stories without any count for nothing.
        right: [batch], which choice is right.
        normalised: whether gates are a softmax of the scores.
    """
    story = torch.arange(len(right), device=right.device)
    chosen = DMNOutput(
        output.answer,
        output.gates[right, :, story].transpose(0, 1),
        output.scores[right, :, story].transpose(0, 1),
        output.real,
    )
    loss = gate_loss(chosen, supporting, normalised)
    if normalised:
        return loss
    known = (supporting >= 0).any(1).to(output.scores)
    shut = (functional.softplus(output.scores) * output.real).sum(3) * known
    wrong = shut.sum(0) - shut[right, :, story].transpose(0, 1)
    return loss + wrong.sum() / (known.sum().clamp(min=1) * len(wrong))
