"""bAbI as a task of the demos: where stories come from, how a network learns from them, and when it was right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from random import Random
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from memviz.demos.models.dmn import DMN, DMNOutput
from memviz.demos.models.dmn_loss import at_ends, gate_loss
from memviz.demos.models.options import at_least_one, not_negative, number
from memviz.demos.tasks.babi.families import FAMILIES
from memviz.demos.tasks.babi.files import read_files
from memviz.demos.tasks.babi.generate import generate
from memviz.demos.tasks.babi.glove import read_glove
from memviz.demos.tasks.babi.record import by_word, story_labels
from memviz.demos.tasks.babi.sources import Drawn, Generated, Source
from memviz.demos.tasks.babi.stories import Story
from memviz.demos.tasks.babi.vocabulary import EncodedStories, Vocabulary
from memviz.demos.tasks.task import Maker
from memviz.errors import OptionError

PROBE_SEED = 2016
VOCABULARY_SEED = 1506
VOCABULARY_STORIES = 1000
"""Generated questions per family whose words and answers make the vocabulary; far more than bring anything new."""


@dataclass(frozen=True, slots=True)
class StoryBatch:
    """Stories for one forward.

    Attributes:
        stories: as text.
        encoded: as numbers, in the same order.
        model: the network that `labels` asks for its answer.
        vocabulary: of the network.
        alone: whether this is the story of a record, which is answered as in evaluation.
    """

    stories: Sequence[Story]
    encoded: EncodedStories
    vocabulary: Vocabulary
    model: DMN | None = None
    alone: bool = False

    def __len__(self) -> int:
        """Number of stories."""
        return len(self.stories)

    def to(self, device: torch.device | str) -> StoryBatch:
        """The same batch on a device."""
        return replace(self, encoded=self.encoded.to(device))

    def labels(self) -> dict[str, Any]:
        """The first story, and what the network answers to it; see `story_labels`."""
        probabilities = None
        if self.model is not None:
            probabilities = probabilities_of(self.model, self.encoded)[0]
        told = by_word(self.stories[0]) if self.model is not None and self.model.reads_words else self.stories[0]
        return story_labels(told, self.vocabulary, probabilities)


@torch.no_grad()
def probabilities_of(model: DMN, encoded: EncodedStories) -> Tensor:
    """The probability of each answer, [batch, answer], as in evaluation.

    It runs the forward past the hooks of the model, so that no recorder takes it for one of its own.
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        return torch.softmax(model.forward(encoded.facts, encoded.question).answer, dim=1)
    finally:
        for module, training in modes:
            module.training = training


@dataclass(frozen=True)
class BabiTask:
    """Questions about stories (Weston et al. 2015).

    Attributes:
        tasks: which families: "1", "1,2,3" or "joint" for all twenty.
        babi: folder, file or archive of bAbI stories to learn from; empty for stories made on the spot.
        glove: file of GloVe vectors, which then stay as they are; empty for learned word vectors.
        supervision: weight of the supporting facts in the loss of the gates; 0 for answers alone.
        l2: weight of the sum of squares of all weights in the loss.
        facts: at most so many of the last facts of a story are kept.
        shuffle: mix the stories; False takes them in the order of the files, again and again.
        validation: share of the stories of the files that is kept apart.
        split: seed of what is kept apart.
        solved: share of wrong answers below which the task counts as solved.
    """

    tasks: str | int = "1"
    babi: str = ""
    glove: str = ""
    supervision: float = 0.0
    l2: float = 0.0
    facts: int = 130
    shuffle: bool = True
    validation: float = 0.1
    split: int = 0
    solved: float = 0.01

    measure: ClassVar[str] = "wrong answers"
    size_name: ClassVar[str] = "tasks"
    lengths: ClassVar[Sequence[int]] = ()
    _built: list[DMN] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        at_least_one(facts=self.facts)
        not_negative(split=self.split)
        number(0, supervision=self.supervision, l2=self.l2, solved=self.solved)
        number(0, 0.5, validation=self.validation)
        self.families  # noqa: B018 - said before anything is read

    @cached_property
    def families(self) -> tuple[int, ...]:
        """Numbers of the families.

        Raises:
            OptionError: `tasks` names none.
        """
        if self.tasks == "joint":
            return tuple(range(1, len(FAMILIES) + 1))
        parts = str(self.tasks).split(",")
        if not all(part.strip().isdigit() and 1 <= int(part) <= len(FAMILIES) for part in parts):
            raise OptionError(
                f"tasks must be numbers from 1 to {len(FAMILIES)} with commas between them, or joint, "
                f"not {self.tasks!r}"
            )
        return tuple(sorted({int(part) for part in parts}))

    @cached_property
    def _files(self) -> tuple[list[Story], list[Story], list[Story]]:
        """Stories of the files to learn from, to choose by, and to test on.

        What is kept apart is whole tellings, so that no question of a story that was learned from is among it.
        """
        told = _tellings(read_files(self.babi, "train", self.families))
        Random(self.split).shuffle(told)
        apart: list[Story] = []
        kept: list[Story] = []
        wanted = {task: self.validation * sum(t[0].task == task for t in told) for task in self.families}
        for telling in told:
            take = wanted[telling[0].task] >= 0.5
            wanted[telling[0].task] -= take
            (apart if take else kept).extend(telling)
        return kept, apart, read_files(self.babi, "test", self.families)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Words and answers: of the training files, or of what the generators can say."""
        if self.babi:
            return Vocabulary.of(self.part("train") + self.part("validation"))
        return Vocabulary.of(generate(self.families, VOCABULARY_STORIES, VOCABULARY_SEED))

    def part(self, name: str) -> list[Story]:
        """The stories of the files that are for "train", "validation" or "test", cut to the last `facts`."""
        return [story.last(self.facts) for story in self._files[("train", "validation", "test").index(name)]]

    @cached_property
    def source(self) -> Source:
        """Where batches come from."""
        if self.babi:
            return Drawn(self.part("train"), self.shuffle)
        return Generated(self.families, self.facts)

    @cached_property
    def unseen(self) -> Source:
        """Where batches come from that nothing was learned from: what was kept apart, or new stories."""
        return Drawn(self.part("validation"), True) if self.babi and self.validation else self.source

    def build(self, maker: Maker, options: Mapping[str, Any]) -> nn.Module:
        """A network with this vocabulary: `maker(words, answers, **options)`."""
        words: int | Tensor = len(self.vocabulary.words)
        if self.glove:
            words = read_glove(self.glove, self.vocabulary.words, self.split)
        model = maker(words, len(self.vocabulary.answers), **options)
        self._built[:] = [model] if isinstance(model, DMN) else []
        return model

    def batch(self, size: int, generator: torch.Generator, level: float = 1.0) -> StoryBatch:
        """Stories to learn from, of about one length."""
        return self.together(self.source.draw(size, generator))

    def fresh(self, size: int, generator: torch.Generator) -> StoryBatch:
        """Stories that were not learned from."""
        return self.together(self.unseen.draw(size, generator))

    def together(self, stories: Sequence[Story]) -> StoryBatch:
        """A batch of given stories."""
        model = self._built[0] if self._built else None
        return StoryBatch(stories, self.vocabulary.encode_all(stories), self.vocabulary, model, len(stories) == 1)

    def probe(self) -> StoryBatch:
        """One story with several facts, always the same."""
        if self.babi:
            stories = self.part("validation") or self.part("train")
        else:
            stories = [story.last(self.facts) for story in generate(self.families[:1], 20, PROBE_SEED)]
        return self.together([max(stories[:20], key=lambda story: len(story.facts))])

    def answer(self, model: nn.Module, batch: StoryBatch) -> DMNOutput:
        """What the network makes of the stories.

        The story of a record is answered without dropout, as it will be in use. The root stays in its mode, by which
        recorders tell training from evaluation.
        """
        modes = [(module, module.training) for module in model.modules()] if batch.alone and model.training else []
        if modes:
            model.eval()
            model.training = True
        output: DMNOutput = model(batch.encoded.facts, batch.encoded.question)
        for module, training in modes:
            module.training = training
        return output

    def loss(self, answer: DMNOutput, batch: StoryBatch) -> Tensor:
        """Cross-entropy of the answers, and what supervision and L2 add."""
        known = batch.encoded.answer.clamp(min=0)
        loss = functional.cross_entropy(answer.answer, known)
        if self.supervision:
            normalised = not self._built or self._built[0].options.normalise != "none"
            supporting = batch.encoded.supporting
            if self._built and self._built[0].reads_words:
                supporting = at_ends(supporting, batch.encoded.facts)
            loss = loss + self.supervision * gate_loss(answer, supporting, normalised)
        if self.l2 and self._built:
            loss = loss + self.l2 * self._built[0].penalty()
        return loss

    def mistakes(self, answer: DMNOutput, batch: StoryBatch) -> float:
        """Share of stories that were answered wrongly."""
        return (answer.answer.argmax(1) != batch.encoded.answer).double().mean().item()

    def of_length(self, length: int) -> BabiTask:
        """The family of this number alone."""
        return replace(self, tasks=str(length))


def _tellings(stories: Sequence[Story]) -> list[list[Story]]:
    """Stories put together that are questions of one telling: the facts of each go on from those of the last."""
    told: list[list[Story]] = []
    for story in stories:
        before = told[-1][-1] if told else None
        same = before and before.task == story.task and story.facts[: len(before.facts)] == before.facts
        if before and same:
            told[-1].append(story)
        else:
            told.append([story])
    return told
