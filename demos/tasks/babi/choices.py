"""Multiple choice: the stories of bAbI with several answers to choose from, one of which is right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from random import Random
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from memviz.demos.models.dmn_choice import LETTERS, ChoiceOutput, DMNChoice
from memviz.demos.models.dmn_loss import at_ends, choice_gate_loss
from memviz.demos.models.options import at_least_one, number
from memviz.demos.tasks.babi.generate import generate
from memviz.demos.tasks.babi.glove import read_glove
from memviz.demos.tasks.babi.record import by_word, story_labels
from memviz.demos.tasks.babi.stories import Story
from memviz.demos.tasks.babi.task import VOCABULARY_SEED, VOCABULARY_STORIES, BabiTask
from memviz.demos.tasks.babi.vocabulary import END, PAD, EncodedStories, Vocabulary, words_of
from memviz.demos.tasks.task import Maker
from memviz.errors import OptionError


@dataclass(frozen=True, slots=True)
class ChoiceBatch:
    """Stories for one forward, each with its choices.

    Attributes:
        stories: as text.
        offered: the choices of each story, as text.
        encoded: the stories as numbers.
        choices: [batch, choice, word], the choices as numbers.
        right: [batch], which of them is right.
        vocabulary: of the network.
        model: the network that `labels` asks for its answer.
    """

    stories: Sequence[Story]
    offered: Sequence[Sequence[str]]
    encoded: EncodedStories
    choices: Tensor
    right: Tensor
    vocabulary: Vocabulary
    model: DMNChoice | None = None

    def __len__(self) -> int:
        """Number of stories."""
        return len(self.stories)

    def to(self, device: torch.device | str) -> ChoiceBatch:
        """The same batch on a device."""
        return replace(
            self, encoded=self.encoded.to(device), choices=self.choices.to(device), right=self.right.to(device)
        )

    def labels(self) -> dict[str, Any]:
        """The first story, its choices by letter, and what the network answers; see `story_labels`."""
        offered = list(self.offered[0])
        known = replace(self.vocabulary, answers=tuple(offered))
        probabilities = None if self.model is None else _probabilities(self.model, self)[0]
        told = by_word(self.stories[0]) if self.model is not None and self.model.reads_words else self.stories[0]
        return story_labels(told, known, probabilities) | {"choices": dict(zip(LETTERS, offered, strict=False))}


@torch.no_grad()
def _probabilities(model: DMNChoice, batch: ChoiceBatch) -> Tensor:
    """The probability of each choice, [batch, choice], as in evaluation, and past the hooks of the model."""
    training = model.training
    model.eval()
    try:
        return torch.softmax(
            model.forward(batch.encoded.facts, batch.encoded.question, batch.choices).answer, dim=1
        ).cpu()
    finally:
        model.train(training)


@dataclass(frozen=True)
class ChoiceTask:
    """Questions about stories, with answers to choose from; the wrong ones are answers to other such questions.

    Attributes:
        tasks: which families: "1", "1,2,3" or "joint" for all twenty.
        babi: folder, file or archive of bAbI stories to learn from; empty for stories made on the spot.
        glove: file of GloVe vectors, which then stay as they are; empty for learned word vectors.
        choices: answers to choose from.
        supervision: weight of the supporting facts in the loss of the gates; 0 for answers alone.
        l2: weight of the sum of squares of all weights in the loss.
        facts: at most so many of the last facts of a story are kept.
        solved: share of wrong answers below which the task counts as solved.
    """

    tasks: str | int = "1"
    babi: str = ""
    glove: str = ""
    choices: int = 4
    supervision: float = 0.0
    l2: float = 0.0
    facts: int = 130
    solved: float = 0.01

    measure: ClassVar[str] = "wrong answers"
    size_name: ClassVar[str] = "tasks"
    lengths: ClassVar[Sequence[int]] = ()
    _built: list[DMNChoice] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        at_least_one(choices=self.choices)
        number(0, supervision=self.supervision)
        if not 2 <= self.choices <= len(LETTERS):
            raise OptionError(f"choices must be 2 to {len(LETTERS)}, not {self.choices!r}")
        self.stories  # noqa: B018 - its options are said before anything is read

    @cached_property
    def stories(self) -> BabiTask:
        """The same task with answers of one's own."""
        return BabiTask(self.tasks, self.babi, self.glove, l2=self.l2, facts=self.facts, solved=self.solved)

    @cached_property
    def _answers(self) -> Mapping[int, Sequence[str]]:
        """By family, what is answered in it."""
        told = (
            [*self.stories.part("train"), *self.stories.part("validation"), *self.stories.part("test")]
            if self.babi
            else generate(self.stories.families, VOCABULARY_STORIES, VOCABULARY_SEED)
        )
        found: dict[int, set[str]] = {}
        for story in told:
            found.setdefault(story.task, set()).add(story.answer)
        return {family: sorted(answers) for family, answers in found.items()}

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Words of stories, questions and answers."""
        known = self.stories.vocabulary
        answers = {word for given in self._answers.values() for answer in given for word in words_of(answer)}
        return replace(known, words=(PAD, END, *sorted({*known.words[2:], *answers})))

    def build(self, maker: Maker, options: Mapping[str, Any]) -> nn.Module:
        """A network with this vocabulary: `maker(words, choices, **options)`."""
        words: int | Tensor = len(self.vocabulary.words)
        if self.glove:
            words = read_glove(self.glove, self.vocabulary.words)
        model = maker(words, self.choices, **options)
        self._built[:] = [model] if isinstance(model, DMNChoice) else []
        return model

    def offer(self, story: Story, rng: Random) -> list[str]:
        """Answers to choose from, in any order: the right one and others of its family.

        A family with fewer answers, such as yes and no, borrows words of its stories.
        """
        others = [answer for answer in self._answers[story.task] if answer != story.answer]
        wrong = rng.sample(others, min(self.choices - 1, len(others)))
        if len(wrong) < self.choices - 1:
            left = sorted(set(self.vocabulary.words[2:]) - {story.answer, *wrong})
            wrong += rng.sample(left, self.choices - 1 - len(wrong))
        offered = [story.answer, *wrong]
        rng.shuffle(offered)
        return offered

    def together(self, stories: Sequence[Story], rng: Random) -> ChoiceBatch:
        """A batch of given stories, with choices drawn for each."""
        offered = [self.offer(story, rng) for story in stories]
        read = [self.vocabulary.encode(choice)[:-1] for choices in offered for choice in choices]
        width = max(map(len, read))
        choices = torch.tensor([[*words, *[0] * (width - len(words))] for words in read])
        return ChoiceBatch(
            stories,
            offered,
            self.vocabulary.encode_all(stories),
            choices.view(len(stories), self.choices, width),
            torch.tensor([given.index(story.answer) for given, story in zip(offered, stories, strict=True)]),
            self.vocabulary,
            self._built[0] if self._built else None,
        )

    def batch(self, size: int, generator: torch.Generator, level: float = 1.0) -> ChoiceBatch:
        """Stories to learn from, of about one length."""
        return self.together(self.stories.source.draw(size, generator), _chance(generator))

    def fresh(self, size: int, generator: torch.Generator) -> ChoiceBatch:
        """Stories that were not learned from."""
        return self.together(self.stories.unseen.draw(size, generator), _chance(generator))

    def probe(self) -> ChoiceBatch:
        """One story with several facts, always the same."""
        return self.together(self.stories.probe().stories, Random(0))

    def answer(self, model: nn.Module, batch: ChoiceBatch) -> ChoiceOutput:
        """What the network makes of the stories."""
        output: ChoiceOutput = model(batch.encoded.facts, batch.encoded.question, batch.choices)
        return output

    def loss(self, answer: ChoiceOutput, batch: ChoiceBatch) -> Tensor:
        """Cross-entropy of the choices, and what supervision and L2 add."""
        loss = functional.cross_entropy(answer.answer, batch.right)
        if not self._built:
            return loss
        model = self._built[0]
        if self.supervision:
            supporting = batch.encoded.supporting
            if model.reads_words:
                supporting = at_ends(supporting, batch.encoded.facts)
            normalised = model.options.normalise != "none"
            loss = loss + self.supervision * choice_gate_loss(answer, supporting, batch.right, normalised)
        return loss + self.l2 * model.penalty() if self.l2 else loss

    def mistakes(self, answer: ChoiceOutput, batch: ChoiceBatch) -> float:
        """Share of stories that were answered wrongly."""
        return (answer.answer.argmax(1) != batch.right).double().mean().item()

    def of_length(self, length: int) -> ChoiceTask:
        """The family of this number alone."""
        return replace(self, tasks=str(length))


def _chance(generator: torch.Generator) -> Random:
    return Random(int(torch.randint(2**62, (), generator=generator)))
