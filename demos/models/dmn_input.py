"""Input modules of a dynamic memory network: words to one vector per fact, and one for the question.

`RecurrentInput` is that of Kumar et al. 2016, section 2.1: one GRU reads the story word by word, and what it holds at
the end of each sentence is the fact. `PositionalInput` is the input fusion layer of Xiong et al. 2016 (DMN+), section
3.1: a fact is the weighted sum of its words, and a bidirectional GRU lets facts see each other.

Word 0 is padding. Shapes name their axes; `batch` always comes first.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

Mask = Literal["sentence", "word"]


class Encoded(NamedTuple):
    """A story and a question as vectors.

    Attributes:
        facts: [batch, fact, dim].
        real: [batch, fact], false where a fact is padding.
        question: [batch, dim].
    """

    facts: Tensor
    real: Tensor
    question: Tensor


class Stream(NamedTuple):
    """The facts of a story as one sequence of words.

    Attributes:
        words: [batch, word], padded at the end.
        real: [batch, word], false where a word is padding.
        ends: [batch, fact], where in `words` each fact ends; 0 for a fact of padding.
    """

    words: Tensor
    real: Tensor
    ends: Tensor


def as_stream(facts: Tensor) -> Stream:
    """Join the facts of each story: [batch, fact, word] to one row of words, without the padding between facts."""
    real = facts != 0
    flat = real.flatten(1)
    place = flat.cumsum(1) - 1
    length = int(flat.sum(1).max())
    # What is padding goes to one place after the end, which is cut off.
    words = facts.new_zeros(len(facts), length + 1).scatter(
        1, place.masked_fill(~flat, length), facts.flatten(1).masked_fill(~flat, 0)
    )[:, :length]
    ends = (real.sum(2).cumsum(1) - 1).masked_fill(~real.any(2), 0)
    return Stream(words, words != 0, ends)


def last_of(hidden: Tensor, words: Tensor) -> Tensor:
    """The hidden value at the last real word: [batch, word, dim] and [batch, word] to [batch, dim]."""
    last = (words != 0).sum(1).clamp(min=1) - 1
    return hidden[torch.arange(len(hidden), device=hidden.device), last]


class RecurrentInput(nn.Module):
    """One GRU over all words of the story; the same GRU reads the question.

    Args:
        word_size: width of a word vector.
        dim: width of a fact.
        mask: a fact is what the GRU holds at the end of each "sentence", or at each "word".
    """

    def __init__(self, word_size: int, dim: int, mask: Mask = "sentence") -> None:
        super().__init__()
        self.mask = mask
        self.gru = nn.GRU(word_size, dim, batch_first=True)

    def forward(self, words: nn.Module, facts: Tensor, question: Tensor) -> Encoded:
        """Encode stories.

        Args:
            words: the word vectors.
            facts: [batch, fact, word], numbers of words.
            question: [batch, word].
        """
        stream = as_stream(facts)
        hidden = self.gru(words(stream.words))[0]
        asked = self.read(words, question)
        if self.mask == "word":
            return Encoded(hidden, stream.real, asked)
        at_ends = hidden.gather(1, stream.ends.unsqueeze(2).expand(-1, -1, hidden.shape[2]))
        return Encoded(at_ends, (facts != 0).any(2), asked)

    def read(self, words: nn.Module, sentence: Tensor) -> Tensor:
        """The vector [batch, dim] of a question, or of anything else that is read alone, [batch, word]."""
        return last_of(self.gru(words(sentence))[0], sentence)


class PositionalInput(nn.Module):
    """The input fusion layer of DMN+: words weighted by their position, then a GRU over the facts in both directions.

    Args:
        word_size: width of a word vector.
        dim: width of a fact; what the two directions hold is added.
        dropout: share of the values of fact vectors that is dropped in training.
    """

    def __init__(self, word_size: int, dim: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.fusion = nn.GRU(word_size, dim, batch_first=True, bidirectional=True)
        self.question = nn.GRU(word_size, dim, batch_first=True)
        self.dropout = nn.Dropout(dropout)

    def forward(self, words: nn.Module, facts: Tensor, question: Tensor) -> Encoded:
        """As `RecurrentInput.forward`."""
        vectors = words(facts)
        sentences = (vectors * position_weights(facts, vectors.shape[3], vectors.dtype)).sum(2)
        real = (facts != 0).any(2)
        # Packed, so that the backward direction starts at the last real fact of each story.
        packed = nn.utils.rnn.pack_padded_sequence(
            self.dropout(sentences), real.sum(1).cpu(), batch_first=True, enforce_sorted=False
        )
        both = nn.utils.rnn.pad_packed_sequence(self.fusion(packed)[0], batch_first=True, total_length=facts.shape[1])[
            0
        ]
        forward, backward = both.chunk(2, dim=2)
        return Encoded(self.dropout(forward + backward), real, self.dropout(self.read(words, question)))

    def read(self, words: nn.Module, sentence: Tensor) -> Tensor:
        """As `RecurrentInput.read`."""
        return last_of(self.question(words(sentence))[0], sentence)


def position_weights(facts: Tensor, word_size: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """l_jd = (1 - j/M) - (d/D)(1 - 2j/M) for word j of the M words of a fact, and 0 for padding.

    Sukhbaatar et al. 2015, section 4.1; j and d count from 1.

    Args:
        facts: [batch, fact, word].
        word_size: D.
        dtype: of the result.

    Returns:
        [batch, fact, word, D].
    """
    real = facts != 0
    j = torch.arange(1, facts.shape[2] + 1, device=facts.device, dtype=dtype) / real.sum(2, keepdim=True).clamp(min=1)
    d = torch.arange(1, word_size + 1, device=facts.device, dtype=dtype) / word_size
    weights = (1 - j).unsqueeze(3) - d * (1 - 2 * j).unsqueeze(3)
    return weights * real.unsqueeze(3)
