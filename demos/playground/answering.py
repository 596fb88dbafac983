"""What a trained network says: about itself, and to a story and a question. Runs in the process of the worker."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from memviz.analysis.episodes import effective_gates
from memviz.demos.building import make_model, make_task
from memviz.demos.checkpointing import Checkpoint, load_checkpoint, load_weights
from memviz.demos.models.dmn import DMN
from memviz.demos.models.options import one_of
from memviz.demos.playground import limits
from memviz.demos.playground.text import facts_of, without_mark
from memviz.demos.tasks.babi.stories import Story
from memviz.demos.tasks.babi.task import BabiTask
from memviz.demos.tasks.babi.vocabulary import Vocabulary, words_of
from memviz.errors import CheckpointError, MemvizError

KEPT = 8
"""Networks held in memory at once."""

ALTERNATIVES = 10
"""Answers that are listed, the most probable first."""

LARGEST: Mapping[str, int] = {"hops": 64, "answer_steps": 64, "dim": 4096, "word_size": 4096}
"""What a checkpoint may claim; checked before anything is made of that size."""


class Refusal(Exception):
    """A question that no answer can be given to, as the routes say it.

    Args:
        status: of HTTP.
        what: what was wrong.
        expected: what would have been right.
        remedy: what to do.
        more: further members of the error.
    """

    def __init__(self, status: int, what: str, expected: str, remedy: str, **more: Any) -> None:
        super().__init__(what)
        self.status = status
        self.error = {"what": what, "expected": expected, "remedy": remedy, **more}


@dataclass(frozen=True, slots=True)
class Network:
    """A trained network that answers.

    Attributes:
        model: with its weights, in evaluation.
        vocabulary: of its words and answers.
        facts: so many facts it was trained on at most.
    """

    model: DMN
    vocabulary: Vocabulary
    facts: int

    @classmethod
    def load(cls, path: Path) -> Network:
        """The network of a checkpoint.

        Raises:
            MemvizError: it cannot be read or made, in one line.
        """
        checkpoint = load_checkpoint(path)
        one_of("model", checkpoint.plan.model, ("dmn",))
        one_of("task", checkpoint.plan.task, ("babi",))
        for name, most in LARGEST.items():
            claimed = checkpoint.plan.model_options.get(name, 1)
            if not isinstance(claimed, int) or claimed > most:
                raise CheckpointError(f"{path.name} claims {name} = {claimed!r:.40}; at most {most} can be shown here")
        checkpoint = _without_glove(checkpoint)
        task = make_task(checkpoint.plan)
        assert isinstance(task, BabiTask)
        model = make_model(checkpoint.plan, task)
        assert isinstance(model, DMN)
        load_weights(model, checkpoint)
        return cls(model.eval(), task.vocabulary, task.facts)

    def describe(self) -> dict[str, Any]:
        """What it is made of and which words it knows."""
        return {
            "hyperparameters": asdict(self.model.options),
            "parameters": sum(parameter.numel() for parameter in self.model.parameters()),
            "episode": self._episode,
            "facts": self.facts,
            "vocab": sorted(self.vocabulary.words[2:]),
            "answers": list(self.vocabulary.answers),
        }

    @property
    def _episode(self) -> str:
        return str(self.model.memory.memviz_attributes["episode"])

    @torch.inference_mode()
    def predict(self, story: str, question: str) -> dict[str, Any]:
        """The answer to a question about a story.

        Returns:
            answer, confidence: the most probable answer and its probability.
            alternatives: pairs of answer and probability, the most probable first.
            facts: the sentences of the story, or its words where the network gates words.
            episodes: g, [hop][fact]. effective: E, [hop][fact], what each episode kept. left: [hop], the rest to 1.
            hops: answer and confidence after each hop.

        Raises:
            Refusal: there is no story or question, it is too long, or has words that the network does not know.
        """
        facts, asked = self._understood(story, question)
        encoded = self.vocabulary.encode_all([Story(0, tuple(facts), asked, "")])
        seen = self.model.encode(encoded.facts, encoded.question)
        memories, gates, _ = self.model.remember(seen)
        answers = torch.softmax(self.model.finish(memories[-1], seen.question).double(), dim=1)[0]
        raw = gates[:, 0].double().numpy()
        effective, left = effective_gates(raw, self._episode)
        top = torch.topk(answers, min(ALTERNATIVES, len(answers)))
        alternatives = [
            [self.vocabulary.answers[number], value]
            for number, value in zip(top.indices.tolist(), top.values.tolist(), strict=True)
        ]
        if self.model.options.encoder == "recurrent" and self.model.options.mask == "word":
            # Each word is a fact, and so is the end of a sentence.
            facts = [word for fact in facts for word in (*words_of(fact), ".")]
        return {
            "answer": alternatives[0][0],
            "confidence": alternatives[0][1],
            "alternatives": alternatives,
            "facts": facts,
            "episodes": raw.tolist(),
            "effective": effective.tolist(),
            "left": left.tolist(),
            "hops": [self._after(memory, seen.question) for memory in memories],
        }

    def _after(self, memory: torch.Tensor, question: torch.Tensor) -> list[Any]:
        """What would be answered after a hop, and how probable it is."""
        best = torch.softmax(self.model.finish.plain(memory, question).double(), dim=1)[0].max(dim=0)
        return [self.vocabulary.answers[int(best.indices)], float(best.values)]

    def _understood(self, story: str, question: str) -> tuple[list[str], str]:
        facts, asked = [fact for fact in facts_of(story) if words_of(fact)], without_mark(question)
        if not facts or not words_of(asked):
            missing = "story" if not facts else "question"
            raise Refusal(422, f"there is no {missing}", f"a {missing} in words", f"write the {missing}")
        longest = max(len(words_of(text)) for text in (*facts, asked))
        if len(facts) > limits.FACTS or longest > limits.WORDS:
            raise Refusal(
                413,
                f"the story has {len(facts)} sentences, the longest with {longest} words",
                f"at most {limits.FACTS} sentences of at most {limits.WORDS} words",
                "shorten it; a sentence ends with its line or with a full stop",
            )
        unknown = {"story": self.vocabulary.unknown(" ".join(facts)), "question": self.vocabulary.unknown(asked)}
        if any(unknown.values()):
            named = {where: ", ".join(words) for where, words in unknown.items() if words}
            raise Refusal(
                422,
                "words that the network does not know, "
                + "; ".join(f"in the {where}: {words:.200}" for where, words in named.items()),
                "words of its vocabulary",
                "use other words",
                unknown=unknown,
            )
        return facts, asked


class Shelf:
    """Networks by the file and the version of it, loaded when they are asked for; the last few stay."""

    def __init__(self) -> None:
        self._networks: OrderedDict[tuple[str, str], Network] = OrderedDict()

    def network(self, path: str, stamp: str) -> Network:
        """The network of a checkpoint.

        Raises:
            Refusal: it cannot be loaded.
        """
        key = path, stamp
        if key not in self._networks:
            try:
                self._networks[key] = Network.load(Path(path))
            except MemvizError as error:
                raise Refusal(
                    500, f"the network cannot be loaded: {error}", "a checkpoint of a dynamic memory network", ""
                ) from error
        self._networks.move_to_end(key)
        while len(self._networks) > KEPT:
            self._networks.popitem(last=False)
        return self._networks[key]

    def answer(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a message of `memviz.demos.playground.process`.

        Raises:
            Refusal: there is none.
        """
        network = self.network(message["path"], message["stamp"])
        if message["do"] == "describe":
            return network.describe()
        return network.predict(message["story"], message["question"])


def _without_glove(checkpoint: Checkpoint) -> Checkpoint:
    """The same with learned word vectors of the right width: they are among the weights, and the file is not needed."""
    if not checkpoint.plan.task_options.get("glove"):
        return checkpoint
    words = checkpoint.model.get("words.weight")
    if words is None or words.ndim != 2:
        raise CheckpointError("the checkpoint has no word vectors, words.weight")
    plan = checkpoint.plan.but(task_options={"glove": ""}, model_options={"word_size": words.shape[1]})
    return Checkpoint(plan, checkpoint.step, checkpoint.model)
