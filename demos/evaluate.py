"""`python -m memviz.demos.evaluate`: how well a checkpoint does, also beyond the lengths of its training."""

from __future__ import annotations

if __name__ == "__main__":
    from memviz.demos.commands import evaluate_command

    evaluate_command(prog_name="python -m memviz.demos.evaluate")
