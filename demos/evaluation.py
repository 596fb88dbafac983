"""Evaluate a trained model on fresh items, also on longer ones than it was trained on, and draw how that goes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from memviz.demos.plan import Plan
from memviz.demos.tasks.task import Task

EVALUATION_SEED = 1_000_000_007
"""Added to the seed of a run, so that what it is evaluated on is not what it was trained on."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How well a model does on fresh items.

    Attributes:
        plan: of its training.
        measure: what mistakes are.
        size_name: what a length counts.
        limit: mean mistakes per item below which the task counts as solved.
        items: items behind each figure.
        mistakes: mean per item over the lengths of the training.
        by_length: mean per item at each length.
    """

    plan: Plan
    measure: str
    size_name: str
    limit: float
    items: int
    mistakes: float
    by_length: dict[int, float]

    @property
    def solved(self) -> bool:
        """Whether the task counts as solved on the lengths of the training."""
        return self.mistakes < self.limit

    def sentence(self) -> str:
        """In words."""
        parts = [f"{self.mistakes:.3g} {self.measure} per item on {self.items} fresh ones"]
        if self.by_length:
            parts.append(
                f"by number of {self.size_name}: "
                + ", ".join(f"{length}: {mistakes:.3g}" for length, mistakes in self.by_length.items())
            )
        return "; ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """As an object of JSON."""
        return {
            "plan": self.plan.to_json(),
            "measure": self.measure,
            "size_name": self.size_name,
            "limit": self.limit,
            "items": self.items,
            "mistakes": self.mistakes,
            "by_length": {str(length): mistakes for length, mistakes in self.by_length.items()},
        }


@torch.no_grad()
def evaluate(
    plan: Plan,
    model: nn.Module,
    task: Task,
    *,
    lengths: Iterable[int] | None = None,
    batches: int = 10,
    seed: int | None = None,
    device: str = "cpu",
) -> Evaluation:
    """Mean mistakes per item on the task as trained, and at each of some lengths.

    Args:
        plan: of the training.
        model: on the device.
        task: that it was trained on.
        lengths: sizes to look at; the task's own by default.
        batches: of the plan's size, behind each figure.
        seed: of the items; by default one that no training with this plan draws from.
        device: torch device.
    """
    generator = torch.Generator().manual_seed(plan.seed + EVALUATION_SEED if seed is None else seed)
    was_training = model.training
    model.eval()

    def mean(of: Task) -> float:
        total = 0.0
        for _ in range(batches):
            batch = of.fresh(plan.batch_size, generator).to(device)
            total += of.mistakes(of.answer(model, batch), batch)
        return total / batches

    found = mean(task)
    by_length = {length: mean(task.of_length(length)) for length in (task.lengths if lengths is None else lengths)}
    model.train(was_training)
    return Evaluation(plan, task.measure, task.size_name, task.solved, batches * plan.batch_size, found, by_length)


def write_evaluation(evaluation: Evaluation, beside: Path) -> Path | None:
    """Write figures and a plot beside a trace or a checkpoint.

    Args:
        evaluation: what to write.
        beside: `runs/copy` gives `runs/copy.generalisation.json` and `runs/copy.generalisation.html`; the plot needs
            the plotly.min.js that is put beside it and nothing from the network.

    Returns:
        The plot; None where the task has no lengths.
    """
    beside.parent.mkdir(parents=True, exist_ok=True)
    stem = beside.with_suffix("") if beside.suffix == ".safetensors" else beside
    figures = stem.with_name(f"{stem.name}.generalisation.json")
    figures.write_text(json.dumps(evaluation.to_json(), indent=2) + "\n")
    if not evaluation.by_length:
        return None
    page = stem.with_name(f"{stem.name}.generalisation.html")
    figure(evaluation).write_html(page, include_plotlyjs="directory", config={"displaylogo": False})
    return page


def figure(evaluation: Evaluation) -> Any:
    """Mean mistakes per item over length, with the lengths of the training shaded; a Plotly figure."""
    from plotly import graph_objects

    plan, lengths = evaluation.plan, list(evaluation.by_length)
    drawn = graph_objects.Figure(
        graph_objects.Scatter(
            x=lengths,
            y=list(evaluation.by_length.values()),
            mode="lines+markers",
            line={"color": "#3456c8", "width": 2},
            marker={"size": 8},
            hovertemplate=f"%{{x}} {evaluation.size_name}: %{{y:.3g}} {evaluation.measure}<extra></extra>",
        )
    )
    drawn.add_hline(
        evaluation.limit,
        line_dash="dot",
        line_color="#777",
        annotation_text="solved below",
        annotation_position="top left",
    )
    drawn.update_layout(
        title=f"{plan.package or plan.model} on {plan.task}: beyond the lengths of the training",
        xaxis_title=evaluation.size_name,
        yaxis_title=f"{evaluation.measure} per item, mean of {evaluation.items}",
        template="plotly_white",
        width=860,
        height=480,
        showlegend=False,
    )
    drawn.update_xaxes(tickvals=lengths)
    drawn.update_yaxes(rangemode="tozero")
    return drawn
