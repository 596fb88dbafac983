"""Words and answers as numbers, and stories as the tensors that a network takes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from memviz.demos.tasks.babi.stories import Story
from memviz.errors import MemvizError

PAD, END = "", "."
"""Words 0 and 1 of every vocabulary: nothing, and the end of a sentence."""


class UnknownWordsError(MemvizError):
    """Words that a network has never seen. `words` lists them in the order of the text."""

    def __init__(self, words: Sequence[str]) -> None:
        super().__init__(f"the network does not know {', '.join(map(repr, words))}")
        self.words = tuple(words)


def words_of(text: str) -> list[str]:
    """The words of a sentence in lower case, without punctuation."""
    return re.findall(r"[^\s!?,.;:\"]+", text.lower())


@dataclass(frozen=True)
class Vocabulary:
    """What a network knows.

    Attributes:
        words: all words by number; 0 is padding and 1 the end of a sentence.
        answers: all answers by number; a list of things is one answer.
    """

    words: tuple[str, ...]
    answers: tuple[str, ...]

    @classmethod
    def of(cls, stories: Iterable[Story]) -> Vocabulary:
        """The vocabulary of some stories, in alphabetical order."""
        words: set[str] = set()
        sentences: set[str] = set()
        answers: set[str] = set()
        for story in stories:
            sentences.update(story.facts, (story.question,))
            answers.add(story.answer)
        for sentence in sentences:
            words.update(words_of(sentence))
        return cls((PAD, END, *sorted(words)), tuple(sorted(answers)))

    @cached_property
    def _word_numbers(self) -> Mapping[str, int]:
        return {word: number for number, word in enumerate(self.words)}

    @cached_property
    def _answer_numbers(self) -> Mapping[str, int]:
        return {answer: number for number, answer in enumerate(self.answers)}

    @cached_property
    def _encoded(self) -> dict[str, list[int]]:
        return {}

    def unknown(self, text: str) -> list[str]:
        """The words of a text that are not in the vocabulary, each once, in the order of the text."""
        return [word for word in dict.fromkeys(words_of(text)) if word not in self._word_numbers]

    def encode(self, sentence: str) -> list[int]:
        """The words of a sentence by number, and its end.

        Raises:
            UnknownWordsError: some are not in the vocabulary.
        """
        found = self._encoded.get(sentence)
        if found is None:
            unknown = self.unknown(sentence)
            if unknown:
                raise UnknownWordsError(unknown)
            found = self._encoded[sentence] = [*(self._word_numbers[word] for word in words_of(sentence)), 1]
        return found

    def answer(self, text: str) -> int:
        """The number of an answer; -1 for one that was never seen, which no network can give."""
        return self._answer_numbers.get(text, -1)

    def encode_all(self, stories: Sequence[Story]) -> EncodedStories:
        """Stories as padded tensors.

        Raises:
            UnknownWordsError: a word is not in the vocabulary.
        """
        encoded = [[self.encode(fact) for fact in story.facts] for story in stories]
        questions = [self.encode(story.question)[:-1] for story in stories]
        most = max(map(len, encoded))
        longest = max(len(fact) for facts in encoded for fact in facts)
        rows = [
            [*fact, *[0] * (longest - len(fact))] for facts in encoded for fact in (*facts, *[[]] * (most - len(facts)))
        ]
        width = max(map(len, questions))
        support = max([len(story.supporting) for story in stories])
        return EncodedStories(
            facts=torch.tensor(rows).view(len(stories), most, longest),
            question=torch.tensor([[*words, *[0] * (width - len(words))] for words in questions]),
            answer=torch.tensor([self.answer(story.answer) for story in stories]),
            supporting=torch.tensor(
                [[*story.supporting, *[-1] * (support - len(story.supporting))] for story in stories]
            ).view(len(stories), support),
        )


@dataclass(frozen=True, slots=True)
class EncodedStories:
    """Stories with their questions as numbers; word 0 is padding.

    Attributes:
        facts: [batch, fact, word], numbers of words; a fact of padding alone is no fact.
        question: [batch, word].
        answer: [batch], numbers of answers; -1 for one that is not in the vocabulary.
        supporting: [batch, support], positions of facts in the order in which they are listed; -1 is padding.
    """

    facts: Tensor
    question: Tensor
    answer: Tensor
    supporting: Tensor

    def __len__(self) -> int:
        return len(self.answer)

    def to(self, device: torch.device | str) -> EncodedStories:
        """The same batch on a device."""
        return EncodedStories(
            self.facts.to(device), self.question.to(device), self.answer.to(device), self.supporting.to(device)
        )
