"""A dynamic memory network for multiple choice, as YerevaNN's draft for MCTest (dmn_qa).

Each choice has a memory of its own. It starts as the question; a hop gates the facts by how they match memory, question
and choice, sums them up in an episode, and updates the memory by it, with the same weights for every choice. The last
memories of all choices together answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

import memviz
from memviz.demos.models.dmn_episode import Episode, EpisodeKind, Normalise, normalised
from memviz.demos.models.dmn_input import Mask, PositionalInput, RecurrentInput
from memviz.demos.models.options import at_least_one, one_of, probability
from memviz.errors import OptionError

Encoder = Literal["recurrent", "positional"]
ChoiceAnswer = Literal["joint", "each", "match"]
LETTERS = "ABCDEFGHIJ"


@dataclass(frozen=True, slots=True)
class DMNChoiceOptions:
    """What a network for multiple choice is made of.

    Attributes:
        choices: how many there are.
        encoder: "recurrent" or "positional" (DMN+); see memviz.demos.models.dmn_input.
        mask: for the recurrent encoder, a fact is a "sentence" or each "word".
        normalise: how gates are normalised over facts; see `memviz.demos.models.dmn_episode.FactGates`.
        episode: "gated", "attention_gru" or "soft"; see memviz.demos.models.dmn_episode.
        answer: "joint", W [m_A, m_B, ...] (YerevaNN); "each", w m of each choice alone, and "match", mᵀ W c of memory
            and choice, with which it does not matter in which order choices are listed.
        hops: passes over the facts.
        dim: width of facts, question, choices and memory.
        word_size: width of word vectors.
        dropout: on the last memories.
    """

    choices: int = 4
    encoder: Encoder = "recurrent"
    mask: Mask = "sentence"
    normalise: Normalise = "none"
    episode: EpisodeKind = "gated"
    answer: ChoiceAnswer = "joint"
    hops: int = 5
    dim: int = 40
    word_size: int = 50
    dropout: float = 0.0

    def check(self) -> None:
        """Refuse what no network can be made of.

        Raises:
            OptionError: the first option with a value that it cannot have.
        """
        for name, kind in _KINDS.items():
            one_of(name, getattr(self, name), get_args(kind))
        at_least_one(choices=self.choices, hops=self.hops, dim=self.dim, word_size=self.word_size)
        if not 2 <= self.choices <= len(LETTERS):
            raise OptionError(f"choices must be 2 to {len(LETTERS)}, not {self.choices!r}")
        probability(dropout=self.dropout)


_KINDS: Mapping[str, Any] = MappingProxyType(
    {"encoder": Encoder, "mask": Mask, "normalise": Normalise, "episode": EpisodeKind, "answer": ChoiceAnswer}
)


class ChoiceOutput(NamedTuple):
    """What a network answers.

    Attributes:
        answer: [batch, choice], scores before the softmax.
        gates: [choice, hop, batch, fact], in [0, 1].
        scores: [choice, hop, batch, fact], what the gates are made of, before sigmoid or softmax.
        real: [batch, fact], false where a fact is padding.
    """

    answer: Tensor
    gates: Tensor
    scores: Tensor
    real: Tensor

    def detach(self) -> ChoiceOutput:
        """The same without gradients."""
        return ChoiceOutput(*(value.detach() for value in self))


class ChoiceGates(nn.Module):
    """How much each fact matters to a question and a choice, given what is remembered.

    Scores are W2 tanh(W1 z + b1) + b2 of z = [f, m, q, c, f∘q, f∘m, f∘c, f - q, f - m, f - c, fᵀW q, fᵀW m, fᵀW c] of
    fact f, memory m, question q and choice c.

    Args:
        dim: width of a fact.
        normalise: as of `memviz.demos.models.dmn_episode.FactGates`.
    """

    def __init__(self, dim: int, normalise: Normalise = "none") -> None:
        super().__init__()
        self.normalise: Normalise = normalise
        self.bilinear = nn.Parameter(torch.empty(dim, dim))
        self.first = nn.Linear(10 * dim + 3, dim)
        self.second = nn.Linear(dim, 1)

    def forward(
        self, facts: Tensor, real: Tensor, memory: Tensor, question: Tensor, choice: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Gates and scores [batch, fact] of facts [batch, fact, dim] for one choice; the others are [batch, dim]."""
        others = [other.unsqueeze(1).expand_as(facts) for other in (question, memory, choice)]
        projected = facts @ self.bilinear
        z = torch.cat(
            [
                *(facts, others[1], others[0], others[2]),
                *(facts * other for other in others),
                *(facts - other for other in others),
                *((projected * other).sum(2, keepdim=True) for other in others),
            ],
            dim=2,
        )
        scores = self.second(torch.tanh(self.first(z))).squeeze(2)
        return normalised(scores, real, self.normalise), scores


class DMNChoice(nn.Module):
    """A dynamic memory network that answers by one of several choices.

    Args:
        words: number of words, or their vectors [word, word_size], which then stay as they are (GloVe).
        choices: how many there are.
        encoder: "recurrent" or "positional".
        mask: "sentence" or "word".
        normalise: "none", "gates" or "scores".
        episode: "gated", "attention_gru" or "soft".
        answer: "joint", "each" or "match"; see `DMNChoiceOptions` for all of these.
        hops: passes over the facts.
        dim: width of facts, question, choices and memory.
        word_size: width of a word vector; that of `words` where they are given.
        dropout: share of values of the last memories that is dropped in training.

    Raises:
        OptionError: an option has a value that it cannot have.
    """

    def __init__(
        self,
        words: int | Tensor,
        choices: int = 4,
        *,
        encoder: Encoder = "recurrent",
        mask: Mask = "sentence",
        normalise: Normalise = "none",
        episode: EpisodeKind = "gated",
        answer: ChoiceAnswer = "joint",
        hops: int = 5,
        dim: int = 40,
        word_size: int = 50,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.options = DMNChoiceOptions(
            choices, encoder, mask, normalise, episode, answer, hops, dim, word_size, dropout
        )
        self.options.check()
        if isinstance(words, Tensor):
            self.words = nn.Embedding(len(words), words.shape[1], padding_idx=0, _weight=words)
            self.words.requires_grad_(False)
        else:
            self.words = nn.Embedding(words, word_size, padding_idx=0)
        size = self.words.embedding_dim
        self.input = RecurrentInput(size, dim, mask) if encoder == "recurrent" else PositionalInput(size, dim)
        self.gates = ChoiceGates(dim, normalise)
        self.gru = nn.GRUCell(dim, dim)
        # A memory each, so that what every choice looks at is recorded; all have the weights of `gru`.
        self.choices = nn.ModuleDict({LETTERS[number]: Episode(dim, episode, self.gru) for number in range(choices)})
        self.dropout = nn.Dropout(dropout)
        wide, out = {"joint": (choices * dim, choices), "each": (dim, 1), "match": (dim, dim)}[answer]
        self.linear = nn.Linear(wide, out, bias=False)
        self._initialise()

    def _initialise(self) -> None:
        """Weights from N(0, 0.1), biases at zero, as YerevaNN's."""
        for name, parameter in self.named_parameters():
            if not parameter.requires_grad:
                continue
            if name == "words.weight":
                nn.init.normal_(parameter, std=0.5)
                with torch.no_grad():
                    parameter[0].zero_()
            elif parameter.ndim < 2:
                nn.init.zeros_(parameter)
            else:
                nn.init.normal_(parameter, std=0.1)

    def forward(self, facts: Tensor, question: Tensor, choices: Tensor) -> ChoiceOutput:
        """Choose answers.

        Args:
            facts: [batch, fact, word], numbers of words; 0 is padding, at the end of a fact and of a story.
            question: [batch, word].
            choices: [batch, choice, word].
        """
        seen = self.input(self.words, facts, question)
        offered = self.input.read(self.words, choices.flatten(0, 1)).unflatten(0, choices.shape[:2])
        given = next(iter(self.choices.values())).project(seen.facts)  # type: ignore[operator]
        memories = [seen.question] * self.options.choices
        gates, scores, probabilities = [], [], []
        for _ in range(self.options.hops):
            for number, episode in enumerate(self.choices.values()):
                gate, score = self.gates(seen.facts, seen.real, memories[number], seen.question, offered[:, number])
                memories[number] = self.gru(episode(seen.facts, gate, given), memories[number])
                gates.append(gate)
                scores.append(score)
            with torch.no_grad():
                probabilities.append(torch.softmax(self._scores(torch.stack(memories, dim=1), offered), dim=1))
        memviz.tap("answer_probabilities", torch.stack(probabilities), axes=("time", "batch", "answer"))
        answer = self._scores(self.dropout(torch.stack(memories, dim=1)), offered)
        sizes = (self.options.hops, self.options.choices)
        of_gates, of_scores = (torch.stack(each).unflatten(0, sizes).transpose(0, 1) for each in (gates, scores))
        return ChoiceOutput(answer, of_gates, of_scores, seen.real)

    def _scores(self, memories: Tensor, choices: Tensor) -> Tensor:
        """Scores [batch, choice] of memories and choices, [batch, choice, dim] each."""
        seen = memories.flatten(1) if self.options.answer == "joint" else memories
        scores: Tensor = self.linear(seen)
        if self.options.answer == "match":
            return (scores * choices).sum(2)
        return scores.squeeze(2) if self.options.answer == "each" else scores

    @property
    def reads_words(self) -> bool:
        """Whether each word is a fact, instead of each sentence."""
        return self.options.encoder == "recurrent" and self.options.mask == "word"

    def penalty(self) -> Tensor:
        """Σ p² over all learned weights: the L2 penalty to be scaled and added to the loss."""
        return torch.stack([(p**2).sum() for p in self.parameters() if p.requires_grad]).sum()
