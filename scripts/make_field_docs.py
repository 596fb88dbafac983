"""Write docs/fields.md from the catalogue in memviz/fields.py."""

from __future__ import annotations

from pathlib import Path

from memviz.fields import CATALOGUE, GENERATORS, Field

INTRODUCTION = """# Fields

Every quantity that memviz records under a canonical name. A full name puts the memory in front:
`memory/read_weights`, `layer0/usage`. Axes are in fixed order, time first. `initial/<field>` and `final/<field>` are
the state before the first and after the last time and have no time axis; `grad/<field>` is the gradient of the loss.

A tap may use a name outside this list if it names its axes: `memviz.tap("surprise", x, axes=("batch", "word"))`.

This page is written by `scripts/make_field_docs.py` from `memviz/fields.py`.
"""


def render(field: Field) -> str:
    bounds = {
        (None, None): "any number",
        (0.0, 1.0): "0 to 1",
        (0, None): "0 and above",
        (1.0, None): "1 and above",
    }[(field.low, field.high)]
    law = f"; sums to at most 1 over `{field.simplex}`" if field.simplex else ""
    role = "  \nA generator: the state of the memory follows from it." if field.name in GENERATORS else ""
    axes = ", ".join(field.axes)
    return f"## {field.name}\n\n{field.title} ({field.symbol}): {field.meaning}.  \n`[{axes}]`, {bounds}{law}.{role}\n"


def document() -> str:
    return "\n".join([INTRODUCTION, *(render(field) for field in CATALOGUE.values())])


if __name__ == "__main__":
    Path(__file__).parents[1].joinpath("docs", "fields.md").write_text(document())
