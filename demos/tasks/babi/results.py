"""How well a network does on each family, beside what was published, and what it confuses with what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import torch
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from memviz.demos.models.dmn import DMN
from memviz.demos.tasks.babi.families import FAMILIES
from memviz.demos.tasks.babi.stories import Story
from memviz.demos.tasks.babi.vocabulary import Vocabulary

PASSED = 95.0
"""Percent of right answers from which on a family counts as solved (Weston et al. 2015, section 4)."""

BATCH = 128

PUBLISHED: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "MemNN": (100, 100, 100, 100, 98, 100, 85, 91, 100, 98, 100, 100, 100, 99, 100, 100, 65, 95, 36, 100),
        "DMN": (
            *(100, 98.2, 95.2, 100, 99.3, 100, 96.9, 96.5, 100, 97.5),
            *(99.9, 100, 99.8, 100, 100, 99.4, 59.6, 95.3, 34.5, 100),
        ),
        "MemN2N": (
            *(100, 91.7, 59.7, 97.2, 86.9, 92.4, 82.7, 90, 86.8, 84.9),
            *(99.1, 99.8, 99.6, 98.3, 100, 98.7, 49, 88.9, 17.2, 100),
        ),
        "YerevaNN basic": (
            *(100, 32.7, 26.3, 89.8, 97.5, 96.3, 80.3, 76.6, 94.1, 95),
            *(100, 100, 94.4, 77.6, 67, 48.1, 65.9, 93.7, 10.7, 98.1),
        ),
        "YerevaNN smooth": (
            *(100, 39.7, 41.5, 75.5, 50.1, 97.7, 91.4, 95.2, 99, 87.3),
            *(100, 87, 96.4, 73.1, 53.9, 49.5, 59.3, 98.3, 9, 97.1),
        ),
    }
)
"""Percent of right answers per family on the published English data with 1000 questions each.

MemNN (Weston et al. 2015) and DMN (Kumar et al. 2016) learned from the supporting facts too, the others from answers
alone; YerevaNN smooth is one network for all twenty families, the others have one each. As YerevaNN quotes them;
"basic" is their network with 40 units.
"""


@dataclass
class Results:
    """Right and wrong answers on some stories.

    Attributes:
        asked: questions by family.
        right: of these, answered rightly.
        answers: by family, how often each answer (second) was given where another or the same (first) was right.
    """

    asked: Counter[int] = field(default_factory=Counter)
    right: Counter[int] = field(default_factory=Counter)
    answers: dict[int, Counter[tuple[str, str]]] = field(default_factory=dict)

    def accuracy(self, task: int) -> float:
        """Percent of right answers in a family."""
        return 100 * self.right[task] / self.asked[task]

    @property
    def mean(self) -> float:
        """Mean percent of right answers over families."""
        return sum(map(self.accuracy, self.asked)) / len(self.asked)

    @property
    def passed(self) -> int:
        """Families with at least 95 percent of right answers."""
        return sum(self.accuracy(task) >= PASSED for task in self.asked)

    def confusion(self, task: int) -> tuple[list[str], list[list[int]]]:
        """The confusion matrix of a family: answers, and [right answer][given answer] counts."""
        words = sorted({word for pair in self.answers[task] for word in pair})
        return words, [[self.answers[task][gold, given] for given in words] for gold in words]

    def table(self) -> Table:
        """Accuracy per family beside the published figures."""
        table = Table(
            title="right answers in %",
            caption=f"{self.passed} of {len(self.asked)} families at {PASSED:g} % or more; the others as published",
            box=SIMPLE_HEAD,
            pad_edge=False,
            padding=(0, 1, 0, 0),
        )
        table.add_column("task", no_wrap=True)
        table.add_column("ours", justify="right", style="bold")
        for name in PUBLISHED:
            table.add_column(name.replace(" ", "\n"), justify="right")
        for task in sorted(self.asked):
            others = (f"{column[task - 1]:g}" for column in PUBLISHED.values())
            table.add_row(f"{task:2d} {FAMILIES[task - 1].name}", f"{self.accuracy(task):.1f}", *others)
        means = (f"{sum(c[task - 1] for task in self.asked) / len(self.asked):.2f}" for c in PUBLISHED.values())
        table.add_section()
        table.add_row("mean", f"{self.mean:.2f}", *means)
        return table

    def confusion_table(self, task: int) -> Table:
        """The confusion matrix of a family for people: a row per right answer, a column per given one."""
        words, counts = self.confusion(task)
        title = f"task {task}, {FAMILIES[task - 1].name}: right answers down, given ones across"
        table = Table(title=title, box=SIMPLE_HEAD, pad_edge=False, min_width=len(title))
        table.add_column("")
        for word in words:
            table.add_column(Text(word.replace(",", ",\n")), justify="right")
        for word, row in zip(words, counts, strict=True):
            cells = (Text(str(n or ""), "bold" if w == word else "") for w, n in zip(words, row, strict=True))
            table.add_row(Text(word), *cells)
        return table

    def to_json(self) -> dict[str, Any]:
        """All figures as an object of JSON: `families` by number with `asked`, `accuracy` and `confusion`."""
        families = {}
        for task in sorted(self.asked):
            answers, counts = self.confusion(task)
            families[str(task)] = {
                "name": FAMILIES[task - 1].name,
                "asked": self.asked[task],
                "accuracy": self.accuracy(task),
                "confusion": {"answers": answers, "counts": counts},
            }
        return {"mean": self.mean, "passed": self.passed, "families": families}


@torch.no_grad()
def measure(
    model: DMN, vocabulary: Vocabulary, stories: Sequence[Story], device: str | torch.device = "cpu"
) -> Results:
    """Ask a network about stories; an answer that it never learned counts as wrong."""
    training = model.training
    model.eval()
    results = Results()
    ordered = sorted(stories, key=lambda story: len(story.facts))
    for start in range(0, len(ordered), BATCH):
        part = ordered[start : start + BATCH]
        encoded = vocabulary.encode_all(part).to(device)
        for story, given in zip(part, model(encoded.facts, encoded.question).answer.argmax(1).tolist(), strict=True):
            answer = vocabulary.answers[given]
            results.asked[story.task] += 1
            results.right[story.task] += answer == story.answer
            results.answers.setdefault(story.task, Counter())[story.answer, answer] += 1
    model.train(training)
    return results
