"""Dynamic memory networks in torch, with their episodes open to memviz.

Kumar et al. 2016, "Ask Me Anything: Dynamic Memory Networks for Natural Language Processing", and its variants. The
memory starts as the question; each hop sums up the facts that matter to question and memory in an episode and updates
the memory by it; the last memory answers. Every variant takes padded minibatches of any size, and a story's answer does
not depend on what it is batched with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

import memviz
from memviz.demos.models.dmn_episode import Attention, Episode, EpisodeKind, FactGates, Normalise
from memviz.demos.models.dmn_input import Encoded, Mask, PositionalInput, RecurrentInput
from memviz.demos.models.options import at_least_one, flag, one_of, probability

Encoder = Literal["recurrent", "positional"]
MemoryKind = Literal["tied", "untied", "relu"]
AnswerKind = Literal["feedforward", "recurrent"]


@dataclass(frozen=True, slots=True)
class DMNOptions:
    """What a network is made of. Defaults are those of the variant "smooth".

    Attributes:
        attention: features of the gates; see `FactGates`.
        normalise: how gates are normalised over facts; see `FactGates`.
        encoder: "recurrent" or "positional" (DMN+); see memviz.demos.models.dmn_input.
        mask: for the recurrent encoder, a fact is a "sentence" or each "word".
        episode: "gated", "attention_gru" or "soft"; see memviz.demos.models.dmn_episode.
        memory: how an episode e updates the memory m: "tied", GRU(e, m) with the weights of the episode's GRU
            (YerevaNN); "untied", with weights of its own (Kumar et al.); "relu", ReLU(W_hop [m, e, q] + b) (DMN+).
        answer: "feedforward", softmax(W m); "recurrent", a GRU over [previous answer, question] started at m.
        answer_steps: times of the recurrent answer.
        sees_question: the feedforward answer also sees the question (DMN+).
        hops: passes over the facts.
        dim: width of facts, memory and question.
        word_size: width of word vectors.
        dropout: on the last memory, and on facts and question with the positional encoder.
        batch_norm: normalise the last memory over the batch.
    """

    attention: Attention = "smooth"
    normalise: Normalise = "none"
    encoder: Encoder = "recurrent"
    mask: Mask = "sentence"
    episode: EpisodeKind = "gated"
    memory: MemoryKind = "tied"
    answer: AnswerKind = "feedforward"
    answer_steps: int = 1
    sees_question: bool = False
    hops: int = 5
    dim: int = 40
    word_size: int = 50
    dropout: float = 0.0
    batch_norm: bool = False

    def check(self) -> None:
        """Refuse what no network can be made of.

        Raises:
            OptionError: the first option with a value that it cannot have.
        """
        for name, kind in _CHOICES.items():
            one_of(name, getattr(self, name), get_args(kind))
        at_least_one(answer_steps=self.answer_steps, hops=self.hops, dim=self.dim, word_size=self.word_size)
        probability(dropout=self.dropout)
        flag(sees_question=self.sees_question, batch_norm=self.batch_norm)


_CHOICES: Mapping[str, Any] = MappingProxyType(
    {
        "attention": Attention,
        "normalise": Normalise,
        "encoder": Encoder,
        "mask": Mask,
        "episode": EpisodeKind,
        "memory": MemoryKind,
        "answer": AnswerKind,
    }
)
_NAMES = frozenset(entry.name for entry in fields(DMNOptions))

VARIANTS: Mapping[str, DMNOptions] = MappingProxyType(
    {
        "basic": DMNOptions(attention="basic"),
        "smooth": DMNOptions(),
        "batch": DMNOptions(batch_norm=True),
        "plus": DMNOptions(
            attention="plus",
            normalise="scores",
            encoder="positional",
            episode="attention_gru",
            memory="relu",
            sees_question=True,
            hops=3,
            dim=64,
            word_size=64,
        ),
    }
)
"""Networks by name: those of YerevaNN (dmn_basic, dmn_smooth, dmn_batch) and DMN+ (Xiong et al. 2016)."""


class DMNOutput(NamedTuple):
    """What a network answers.

    Attributes:
        answer: [batch, answer], scores before the softmax.
        gates: [hop, batch, fact], in [0, 1].
        scores: [hop, batch, fact], what the gates are made of, before sigmoid or softmax.
        real: [batch, fact], false where a fact is padding.
    """

    answer: Tensor
    gates: Tensor
    scores: Tensor
    real: Tensor

    def detach(self) -> DMNOutput:
        """The same without gradients."""
        return DMNOutput(*(value.detach() for value in self))


class DMN(nn.Module):
    """A dynamic memory network.

    What is not given is that of the variant. See `DMNOptions` for what each option means.

    Args:
        words: number of words, or their vectors [word, word_size], which then stay as they are (GloVe).
        answers: number of answers.
        variant: one of `VARIANTS`.
        attention: "basic", "smooth" or "plus".
        normalise: "none", "gates" or "scores".
        encoder: "recurrent" or "positional".
        mask: "sentence" or "word".
        episode: "gated", "attention_gru" or "soft".
        memory: "tied", "untied" or "relu".
        answer: "feedforward" or "recurrent".
        answer_steps: times of a recurrent answer.
        sees_question: whether the answer sees the question too.
        hops: passes over the facts.
        dim: width of facts, question and memory.
        word_size: width of a word vector; that of `words` where they are given.
        dropout: share of values that is dropped in training.
        batch_norm: whether the last memory is normalised over the batch.

    Raises:
        OptionError: an option has a value that it cannot have.
    """

    def __init__(
        self,
        words: int | Tensor,
        answers: int,
        variant: str = "smooth",
        *,
        attention: Attention | None = None,
        normalise: Normalise | None = None,
        encoder: Encoder | None = None,
        mask: Mask | None = None,
        episode: EpisodeKind | None = None,
        memory: MemoryKind | None = None,
        answer: AnswerKind | None = None,
        answer_steps: int | None = None,
        sees_question: bool | None = None,
        hops: int | None = None,
        dim: int | None = None,
        word_size: int | None = None,
        dropout: float | None = None,
        batch_norm: bool | None = None,
    ) -> None:
        super().__init__()
        given = {name: value for name, value in locals().items() if name in _NAMES and value is not None}
        one_of("variant", variant, VARIANTS)
        options = self.options = replace(VARIANTS[variant], **given)
        options.check()
        if isinstance(words, Tensor):
            self.words = nn.Embedding(len(words), words.shape[1], padding_idx=0, _weight=words)
            self.words.requires_grad_(False)
        else:
            self.words = nn.Embedding(words, options.word_size, padding_idx=0)
        size, width = self.words.embedding_dim, options.dim
        self.input: nn.Module
        if options.encoder == "recurrent":
            self.input = RecurrentInput(size, width, options.mask)
        else:
            self.input = PositionalInput(size, width, options.dropout)
        self.gates = FactGates(width, options.attention, options.normalise)
        self.gru = None if options.memory == "relu" else nn.GRUCell(width, width)
        self.memory = Episode(width, options.episode, self.gru if options.memory == "tied" else None)
        relu = options.memory == "relu"
        self.update = nn.ModuleList(nn.Linear(3 * width, width) for _ in range(options.hops)) if relu else None
        self.finish = Finish(width, answers, options)
        self._initialise()

    def _initialise(self) -> None:
        """Weights from N(0, 0.1), biases at zero, as YerevaNN's; DMN+ has torch's own, with Xavier's for matrices."""
        plus = self.options.encoder == "positional"
        for name, parameter in self.named_parameters():
            if not parameter.requires_grad or name.startswith("finish.norm"):
                continue
            if name == "words.weight":
                nn.init.uniform_(parameter, -(3**0.5), 3**0.5) if plus else nn.init.normal_(parameter, std=0.5)
                with torch.no_grad():
                    parameter[0].zero_()
            elif parameter.ndim < 2:
                nn.init.zeros_(parameter)
            elif plus:
                nn.init.xavier_normal_(parameter)
            else:
                nn.init.normal_(parameter, std=0.1)

    @property
    def reads_words(self) -> bool:
        """Whether each word is a fact, instead of each sentence."""
        return self.options.encoder == "recurrent" and self.options.mask == "word"

    def encode(self, facts: Tensor, question: Tensor) -> Encoded:
        """Vectors of facts and question."""
        encoded: Encoded = self.input(self.words, facts, question)
        return encoded

    def forward(self, facts: Tensor, question: Tensor) -> DMNOutput:
        """Answer questions.

        Args:
            facts: [batch, fact, word], numbers of words; 0 is padding, at the end of a fact and of a story.
            question: [batch, word].
        """
        seen = self.encode(facts, question)
        memories, gates, scores = self.remember(seen)
        # What each hop would have answered: it says where an answer was found, and where it was lost again.
        hops = torch.stack([self.finish.plain(memory, seen.question) for memory in memories])
        memviz.tap("answer_probabilities", torch.softmax(hops, dim=2), axes=("time", "batch", "answer"))
        return DMNOutput(self.finish(memories[-1], seen.question), gates, scores, seen.real)

    def remember(self, seen: Encoded) -> tuple[list[Tensor], Tensor, Tensor]:
        """The memory after each hop, [batch, dim], and gates and scores, [hop, batch, fact], of encoded stories."""
        memory, memories, gates, scores = seen.question, [], [], []
        given = self.memory.project(seen.facts)
        for hop in range(self.options.hops):
            gate, score = self.gates(seen.facts, seen.real, memory, seen.question)
            memory = self.updated(hop, memory, self.memory(seen.facts, gate, given), seen.question)
            memories.append(memory)
            gates.append(gate)
            scores.append(score)
        return memories, torch.stack(gates), torch.stack(scores)

    def updated(self, hop: int, memory: Tensor, episode: Tensor, question: Tensor) -> Tensor:
        """The memory after an episode; all [batch, dim]."""
        if self.gru is not None:
            after: Tensor = self.gru(episode, memory)
            return after
        assert self.update is not None
        return torch.relu(self.update[hop](torch.cat([memory, episode, question], dim=1)))

    def penalty(self) -> Tensor:
        """Σ p² over all learned weights: the L2 penalty to be scaled and added to the loss."""
        return torch.stack([(p**2).sum() for p in self.parameters() if p.requires_grad]).sum()


class Finish(nn.Module):
    """From the last memory to the answer."""

    def __init__(self, dim: int, answers: int, options: DMNOptions) -> None:
        super().__init__()
        self.steps = options.answer_steps
        self.sees_question = options.sees_question
        self.norm = nn.BatchNorm1d(dim) if options.batch_norm else None
        self.dropout = nn.Dropout(options.dropout)
        self.gru = nn.GRUCell(answers + dim, dim) if options.answer == "recurrent" else None
        self.linear = nn.Linear(dim * (1 + options.sees_question), answers, bias=options.sees_question)

    def forward(self, memory: Tensor, question: Tensor) -> Tensor:
        """Scores of answers [batch, answer] from memory and question [batch, dim]."""
        if self.norm is not None:
            # One story has no variance: it is normalised as in evaluation, by what was seen so far.
            self.norm.train(self.training and len(memory) > 1)
            memory = self.norm(memory)
        return self._answer(self.dropout(memory), question)

    def plain(self, memory: Tensor, question: Tensor) -> Tensor:
        """The same as in evaluation, without a gradient; nothing is dropped and no statistics change."""
        with torch.no_grad():
            if self.norm is not None:
                norm = self.norm
                memory = functional.batch_norm(
                    memory, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
                )
            return self._answer(memory, question)

    def _answer(self, memory: Tensor, question: Tensor) -> Tensor:
        if self.gru is None:
            return self._scores(memory, question)
        state, given = memory, memory.new_zeros(len(memory), self.linear.out_features)
        for _ in range(self.steps):
            state = self.gru(torch.cat([given, question], dim=1), state)
            scores = self._scores(state, question)
            given = torch.softmax(scores, dim=1)
        return scores

    def _scores(self, memory: Tensor, question: Tensor) -> Tensor:
        seen = torch.cat([memory, question], dim=1) if self.sees_question else memory
        scores: Tensor = self.linear(seen)
        return scores
