"""Make the tables and the plot of docs/demos.md from what scripts/measure_demos.py wrote down.

    python scripts/report_demos.py            # rewrite its part of docs/demos.md, and docs/images/generalisation.svg
    python scripts/report_demos.py --check    # fail where they are not what the figures say

Each demo has a row in the table of success, and those of PLOTTED a table and a panel by length.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "docs" / "measured" / "demos.jsonl"
PAGE = ROOT / "docs" / "demos.md"
PLOT = ROOT / "docs" / "images" / "generalisation.svg"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"

PLOTTED = ("copy", "reverse", "recall", "repeat")

Run = dict[str, Any]


def load(path: Path = FIGURES) -> dict[tuple[str, str, str], list[Run]]:
    """Runs by demo, configuration and model, one per seed: the last of those with the same."""
    found: dict[tuple[str, str, str], dict[int, Run]] = defaultdict(dict)
    for line in path.read_text().splitlines():
        run = json.loads(line)
        found[run["demo"], run["config"] or "", run["model"]][run["seed"]] = run
    return {key: [runs[seed] for seed in sorted(runs)] for key, runs in found.items()}


def seeds(runs: Sequence[Run]) -> str:
    numbers = [run["seed"] for run in runs]
    if len(numbers) > 2 and numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]} to {numbers[-1]}"
    return ", ".join(map(str, numbers))


def success_table(measured: dict[tuple[str, str, str], list[Run]]) -> list[str]:
    """How often and how fast."""
    lines = [
        "| demo | model | seeds | solved | steps: least, median, most | seconds: median, most |",
        "|---|---|---|---|---|---|",
    ]
    for (demo, config, model), runs in measured.items():
        solved = [run for run in runs if run["solved"]]
        steps, seconds = [run["steps"] for run in solved], [run["seconds"] for run in solved]
        how = (
            f"{min(steps)}, {statistics.median(steps):.0f}, {max(steps)} | "
            f"{statistics.median(seconds):.0f}, {max(seconds):.0f}"
            if solved
            else f"not in {runs[0]['steps']} | {statistics.median(run['seconds'] for run in runs):.0f}, not solved"
        )
        name = f"{demo}, {config}" if config else demo
        lines.append(f"| {name} | {model} | {seeds(runs)} | {len(solved)} of {len(runs)} | {how} |")
    return lines


def share(run: Run, figures: dict[str, float], length: str) -> float:
    """Wrong values as a share of those asked for, in percent."""
    return 100 * figures[length] / run["asked"][length]


def length_table(name: str, model: str, runs: Sequence[Run]) -> list[str]:
    """Median share of wrong bits per length, as trained and with more slots."""
    first = runs[0]
    lengths = list(first["by_length"])
    head = [f"**{length}**" if int(length) <= (first["longest"] or 0) else length for length in lengths]
    lines = [f"| {name}: {first['size_name']} | {' | '.join(head)} |", "|---" * (len(lengths) + 1) + "|"]
    kinds = [(f"{model}, {first['slots']} slots" if first["slots"] else model, lambda run: run["by_length"])]
    if first["wider"]:
        kinds.append((f"the same weights, {first['wider']['slots']} slots", lambda run: run["wider"]["by_length"]))
    for said, of in kinds:
        cells = []
        for length in lengths:
            shares = [share(run, of(run), length) for run in runs]
            cells.append(f"{percent(statistics.median(shares))} ({percent(max(shares))})")
        lines.append(f"| {said} | {' | '.join(cells)} |")
    return lines


def percent(value: float) -> str:
    return "0" if value == 0 else f"{value:.2g}" if value < 10 else f"{value:.0f}"


def tables(measured: dict[tuple[str, str, str], list[Run]]) -> str:
    """All that stands between the marks."""
    parts = ["\n".join(success_table(measured))]
    for name in PLOTTED:
        for (demo, config, model), runs in measured.items():
            if demo == name and not config and len(runs) >= 10:
                parts.append("\n".join(length_table(name, model, runs)))
    return "\n\n".join(parts)


# The plot: one panel per demo, drawn as SVG, whose colours follow the theme of the reader.

WIDTH, HEIGHT = 460, 300
LEFT, RIGHT, TOP, BOTTOM = 52, 20, 50, 46

STYLE = """
  svg { --bg: #ffffff; --ink: #16191d; --ink2: #47505b; --ink3: #5f6975; --line: #dfe3e8; --band: #eef1f5;
        --a: #0b62a4; --b: #b84600; --c: #87909c;
        font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
  @media (prefers-color-scheme: dark) { svg { --bg: #171b21; --ink: #e9edf2; --ink2: #b5bec9; --ink3: #8f9aa8;
        --line: #2a313b; --band: #20262e; --a: #63b3f2; --b: #ff9a57; --c: #6b7684; } }
  text { fill: var(--ink2); font-size: 12px; }
  .title { fill: var(--ink); font-size: 15px; font-weight: 600; }
  .tick { fill: var(--ink3); font-size: 11px; font-variant-numeric: tabular-nums; }
  .grid { stroke: var(--line); } .axis { stroke: var(--ink3); } .band { fill: var(--band); }
  .seed { fill: none; stroke-width: 1; opacity: .3; } .median { fill: none; stroke-width: 2.5; }
  .a { stroke: var(--a); } .b { stroke: var(--b); } .c { stroke: var(--c); stroke-dasharray: 5 4; }
  .dot { stroke: var(--bg); stroke-width: 1.5; } .dot.a { fill: var(--a); } .dot.b { fill: var(--b); }
  .dot.c { fill: var(--c); stroke-dasharray: none; }
"""


def plot(measured: dict[tuple[str, str, str], list[Run]]) -> str:
    """Share of wrong bits over length, each seed a thin line and the median a thick one."""
    shown = [
        (name, next((runs for key, runs in measured.items() if key[:2] == (name, "") and key[2] != "lstm"), []))
        for name in PLOTTED
    ]
    shown = [(name, runs) for name, runs in shown if runs]
    rows = -(-len(shown) // 2)
    wide, high = 2 * WIDTH, rows * HEIGHT + 44
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}" '
        f'role="img" aria-labelledby="title"><title id="title">Wrong bits over length, of models trained on the '
        f'lengths in the shaded band</title><style>{STYLE}</style><rect width="{wide}" height="{high}" rx="8" '
        'style="fill: var(--bg)"/>',
    ]
    for number, (name, runs) in enumerate(shown):
        x, y = number % 2 * WIDTH, number // 2 * HEIGHT
        parts.append(f'<g transform="translate({x} {y})">{panel(name, runs, measured.get((name, "", "lstm"), []))}</g>')
    parts.append(legend(shown[0][1], high - 22) + "</svg>\n")
    return "\n".join(parts)


def legend(runs: Sequence[Run], y: float) -> str:
    slots, wider = runs[0]["slots"], runs[0]["wider"]["slots"]
    entries = (
        ("a", f"memory of {slots} slots, as trained"),
        ("b", f"the same weights, {wider} slots"),
        ("c", "an LSTM"),
    )
    x, parts = LEFT, []
    for kind, text in entries:
        parts.append(
            f'<path class="median {kind}" d="M{x} {y} h28"/><circle class="dot {kind}" cx="{x + 14}" cy="{y}" r="4"/>'
            f'<text x="{x + 36}" y="{y + 4}">{text}</text>'
        )
        x += 60 + 6.6 * len(text)
    return "".join(parts) + f'<text x="{x}" y="{y + 4}">thin: each seed</text>'


def panel(name: str, runs: Sequence[Run], plain: Sequence[Run]) -> str:
    lengths = [int(length) for length in runs[0]["by_length"]]
    low, top = min(1, *lengths), 60.0

    def at(length: float, wrong: float) -> tuple[float, float]:
        x = LEFT + (length - low) / (lengths[-1] - low) * (WIDTH - LEFT - RIGHT)
        return x, TOP + (1 - min(wrong, top) / top) * (HEIGHT - TOP - BOTTOM)

    def line(points: Sequence[tuple[float, float]]) -> str:
        return "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in (at(*point) for point in points))

    first = runs[0]
    edge, floor = at(first["longest"], 0)
    said = f"wrong bits; {first['model'].upper()}, {len(runs)} seeds, trained on up to {first['longest']}"
    parts = [
        f'<rect class="band" x="{LEFT}" y="{TOP}" width="{edge - LEFT:.1f}" height="{floor - TOP:.1f}"/>',
        f'<text class="title" x="{LEFT}" y="24">{escape(name)}</text><text x="{LEFT}" y="41">{escape(said)}</text>',
    ]
    for wrong in range(0, 61, 10):
        _, y = at(low, wrong)
        kind = "grid" if wrong else "axis"
        parts.append(
            f'<path class="{kind}" d="M{LEFT} {y:.1f} H{WIDTH - RIGHT}"/>'
            f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{wrong}{" %" if wrong == 60 else ""}'
            "</text>"
        )
    for length in lengths:
        x, y = at(length, 0)
        parts.append(f'<text class="tick" x="{x:.1f}" y="{y + 16:.1f}" text-anchor="middle">{length}</text>')
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">number of '
        f"{first['size_name']}</text>"
    )
    for kind, those, of in (
        ("c", plain, lambda run: run["by_length"]),
        ("a", runs, lambda run: run["by_length"]),
        ("b", [run for run in runs if run["wider"]], lambda run: run["wider"]["by_length"]),
    ):
        if not those:
            continue
        curves = [[(length, share(run, of(run), str(length))) for length in lengths] for run in those]
        middle = [(length, statistics.median(curve[i][1] for curve in curves)) for i, length in enumerate(lengths)]
        parts += [f'<path class="seed {kind}" d="{line(curve)}"/>' for curve in curves if len(curves) > 1]
        parts.append(f'<path class="median {kind}" d="{line(middle)}"/>')
        for point in middle:
            x, y = at(*point)
            parts.append(
                f'<circle class="dot {kind}" cx="{x:.1f}" cy="{y:.1f}" r="4"><title>{point[0]} {first["size_name"]}: '
                f"{percent(point[1])} % wrong</title></circle>"
            )
    return "".join(parts)


def page(measured: dict[tuple[str, str, str], list[Run]], text: str) -> str:
    """docs/demos.md with what stands between its marks made anew."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{PAGE} has no {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{tables(measured)}\n\n{END}{after}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    found = load()
    made = {PAGE: page(found, PAGE.read_text()), PLOT: plot(found)}
    if parser.parse_args().check:
        stale = [path for path, text in made.items() if not path.exists() or path.read_text() != text]
        sys.exit(f"not what the figures say: {', '.join(map(str, stale))}" if stale else 0)
    for path, text in made.items():
        path.write_text(text)
