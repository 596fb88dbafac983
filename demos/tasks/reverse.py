"""Reverse: see a few random items, then, after a delimiter, say them again from the last to the first."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from memviz.demos.tasks.copy_task import CopyTask


@dataclass(frozen=True, slots=True)
class ReverseTask(CopyTask):
    """As copy, but what came last is asked for first: links are followed backward."""

    def recalled(self, items: Tensor) -> Tensor:
        """The items from the last to the first."""
        return items.flip(1)

    def recalled_names(self, names: list[str]) -> list[str]:
        """The names from the last to the first."""
        return names[::-1]
