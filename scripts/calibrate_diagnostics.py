#!/usr/bin/env python
"""How well each diagnostic separates planted faults from health, and docs/diagnostics.md with the table of it.

scripts/calibrate_diagnostics.py                    write the gallery, train the demos, measure, write the page
scripts/calibrate_diagnostics.py --trained runs/    take the trained runs in this folder instead of training
scripts/calibrate_diagnostics.py --only NAME ...    measure these on synthetic runs, keep the other rows of the table
scripts/calibrate_diagnostics.py --docs-only        write the page again around the table that is in it
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import memviz
from memviz.analysis.diagnostics import SEVERITIES, Diagnostic, MemoryView, diagnostics, examine
from memviz.analysis.film_numbers import STATISTICS
from memviz.demos.gallery import has_strength, names, write_healthy, write_healthy_other, write_run
from memviz.demos.gallery.faults import FAULTS
from memviz.demos.gallery.others import OTHERS
from memviz.fields import MODEL
from memviz.testing.simulate import Sizes

PAGE = Path(__file__).parents[1] / "docs" / "diagnostics.md"
BEGIN, END = "<!-- calibration -->", "<!-- end of calibration -->"

SEEDS = range(5)
TRAINED = [("copy", None, seed) for seed in range(5)] + [("copy", "dnc", seed) for seed in range(3)]
"""Demos trained for comparison: name, package, seed."""

STRENGTHS = (0.125, 0.25, 0.5, 0.75)
"""Strengths below 1 at which faults are planted."""

SIZES = (Sizes(batch=3), Sizes(times=41, slots=32, words=24, read_heads=3, batch=3), Sizes(times=31, slots=8, batch=3))
"""Shapes of the healthy synthetic runs."""

STANDS_FOR = {
    "starved_allocation": "saturated_usage",
    "flat_precedence": "diffuse_writes",
    "collapsed_heads": "collapsed_heads",
    "stuck_gates": "saturated_usage",
}
"""Diagnostics without a fault of their own, and the fault whose consequence they report."""


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of one diagnostic."""

    name: str
    fault: str
    first: str
    faulty: np.ndarray
    healthy: np.ndarray
    trained: np.ndarray
    seen_from: str

    @property
    def area(self) -> float:
        """Area under the ROC: the share of pairs of a faulty and a healthy item that the value orders rightly.

        Values that agree to three decimals count as equal: no threshold could be put between them.
        """
        faulty, healthy = self.faulty.round(3)[:, None], np.concatenate([self.healthy, self.trained]).round(3)
        return float((faulty > healthy).mean() + 0.5 * (faulty == healthy).mean())


def values(check: Diagnostic, path: Path) -> np.ndarray:
    """The value of a check for each item of the last record of a run, the largest of its subjects; NaN counts as 0."""
    record = memviz.open(path)[-1]
    found: list[np.ndarray] = []
    for memory in record.memories:
        view = MemoryView(record, memory)
        if memory == MODEL or not check.concerns(view) or check.missing(view):
            continue
        with np.errstate(all="ignore"):
            found += [np.nan_to_num(measure.values) for measure in check.measure(view)]
    return np.max(found, axis=0) if found else np.zeros(0)


def trained_runs(folder: Path) -> list[Path]:
    from memviz.demos.running import run_demo

    runs = []
    for name, package, seed in TRAINED:
        out = folder / f"{name}-{package or 'memviz'}-{seed}"
        outcome = run_demo(name, package=package, seed=seed, out=out, serve=False)
        if not outcome.solved:
            raise SystemExit(f"{out} did not solve its task, so it cannot stand for health")
        runs.append(outcome.path)
    return runs


def seen_from(check: Diagnostic, fault: str, folder: Path) -> str:
    """The smallest strength from which on a fault reaches the mildest threshold with every seed; a dash without one."""
    if not has_strength(fault):
        return "-"
    threshold, smallest = min(check.levels.values()), "1"
    for strength in sorted(STRENGTHS, reverse=True):
        runs = [
            write_run(fault, folder / f"{check.name}-{fault}-{strength}-{seed}", seed=seed, strength=strength)
            for seed in SEEDS
        ]
        if not all(values(check, run.path)[run.item] >= threshold for run in runs):
            break
        smallest = f"{strength:g}"
    return smallest


def measure(folder: Path, trained: list[Path], only: Collection[str] = ()) -> Iterator[Row]:
    checks = {name: check for name, check in diagnostics().items() if not only or name in only}
    wanted = [name for name in names() if not only or _named_by(name) in only]
    faults = {name: [write_run(name, folder / f"{name}-{seed}", seed=seed) for seed in SEEDS] for name in wanted}
    healthy = [
        write_healthy(folder / f"healthy-{index}-{seed}", seed=seed, sizes=sizes).path
        for index, sizes in enumerate(SIZES)
        for seed in SEEDS
    ]
    others = {
        name: [write_healthy_other(name, folder / f"healthy-{name}-{seed}", seed=seed).path for seed in SEEDS]
        for name in OTHERS
        if name in faults
    }
    by_check = {runs[0].diagnostic: name for name, runs in reversed(list(faults.items()))} | STANDS_FOR
    leads = {
        name: sum(examine(memviz.open(run.path)).findings[0].diagnostic == run.diagnostic for run in runs)
        for name, runs in faults.items()
    }
    for name, check in checks.items():
        fault = by_check.get(name)
        if fault is None:
            continue
        runs = faults[fault]
        other = fault in OTHERS
        sound = [values(check, path) for path in (others[fault] if other else healthy)]
        yield Row(
            name,
            fault,
            f"{leads[fault]}/{len(runs)}" if name not in STANDS_FOR else "-",
            np.array([values(check, run.path)[run.item] for run in runs]),
            np.concatenate(sound),
            np.concatenate([np.zeros(0)] if other else [values(check, path) for path in trained]),
            seen_from(check, fault, folder),
        )


def _named_by(fault: str) -> str:
    """The diagnostic that should name a fault first."""
    return (OTHERS[fault] if fault in OTHERS else FAULTS[fault]).diagnostic


def merged(old: str, new: str) -> str:
    """An earlier table with the rows of the diagnostics measured anew, all in the order of the checks."""

    def rows(text: str) -> dict[str, str]:
        return {line.split("`")[1]: line for line in text.splitlines() if line.startswith("| `")}

    both = rows(old) | rows(new)
    head, tail = new.splitlines()[:2], old.splitlines()[-1]
    return "\n".join([*head, *(both[name] for name in diagnostics() if name in both), "", tail])


def table(rows: list[Row], alarms: dict[str, int], runs: int) -> str:
    """The measurements as markdown."""
    checks = diagnostics()
    lines = [
        "| diagnostic | fault | named first | fault: lowest | healthy: highest | trained: highest | threshold "
        "| found | seen from | false alarms | ROC area |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        threshold = min(checks[row.name].levels.values())
        sound = np.concatenate([row.healthy, row.trained])
        lines.append(
            f"| `{row.name}` | {row.fault} | {row.first} | {_short(row.faulty.min())} | {_short(row.healthy.max())} | "
            f"{_short(row.trained.max()) if row.trained.size else '-'} | {threshold:g} | "
            f"{(row.faulty >= threshold).sum()}/{row.faulty.size} | {row.seen_from} | "
            f"{(sound >= threshold).sum()}/{sound.size} | {row.area:.3f} |"
        )
    total = ", ".join(f"{alarms[severity]} of severity {severity}" for severity in SEVERITIES)
    lines += ["", f"Findings of `memviz doctor` in the {runs} trained demos: {total}."]
    return "\n".join(lines)


def _short(value: float) -> str:
    return f"{value:.3g}"


def document(calibration: str) -> str:
    """The page docs/diagnostics.md around a table."""
    checks = diagnostics()
    sections = [line for check in checks.values() for line in _section(check)]
    return "\n".join([INTRODUCTION, *_families(), BEGIN, calibration, END, "", *_film(), *sections])


INTRODUCTION = """\
# Diagnostics

`memviz doctor runs/copy`, or in Python `memviz.diagnose(memviz.open("runs/copy"))`, checks the memory of a run and
says what is wrong with it: one sentence, the number and its threshold, how many items of the batch it concerns,
since which step, and the field, time, slot and head to look at. This page is written by
`scripts/calibrate_diagnostics.py`.

**Severity.** An *error*: the memory cannot do its work, or breaks its own law. A *warning*: it works worse than it
could. A *note*: worth knowing, and common in healthy runs.

**Which records decide.** What breaks a law counts for good, and the first record that has it is reported. All else
is judged by the last five records and reported when it holds in more than half of them, because an untrained memory
may be diffuse without being at fault. Of a long run 200 evenly spaced records are looked at, and the last five.

**Which times count.** A read at a time when nothing is asked can be anything. Where the record has a `target`,
reads count at times where it is not NaN. Without one (`recorder.label(target=...)`) all times count, and what a
check of reads finds is a note that says so.

**Batch.** Every check gives one number per item; the finding shows the worst item and the distribution. An item
with a NaN is left out of all checks but `not_finite`: what else is odd about it follows from that.

**Order.** Findings come by severity, then causes before what follows from them: a closed write gate before the
reads that find nothing.

**What was not recorded is not guessed.** A check that lacks a field is listed as not checked, with the field.

**What has to be asked for.** `bypassed_memory` needs the field `memory_influence` (`fields=["default",
"memory_influence"]`), checks of gradients need `grads=True`. What no record can say, because the model must be run
again, `memviz.connectivity` (which inputs an output depends on) and `memviz.ablate` (what it loses without a write, a
gate, a slot) say of a record and its checkpoint ([analysis.md](analysis.md#the-causal-check)).

**Other memories than a DNC.** The checks of gradients, influence, episodes, attention, shifts, sparse positions and
fast weights were calibrated on synthetic data only.

## Your own

A diagnostic is a `memviz.analysis.diagnostics.Diagnostic` under the entry point group `memviz.diagnostics`;
memviz's own come through the same door.

    [project.entry-points."memviz.diagnostics"]
    my_check = "my_package.checks:MY_CHECK"

Its `measure` takes a `MemoryView`, which reads fields by bare name, and yields a `Measure`: one value per item of
the batch, a `Place` each, and the sentence for an item. An exception in it is reported as a check that failed.

## Families
"""


CALIBRATION = """\
Each fault is planted into one item of three, from the sixth of ten records on, with five seeds (`demos/gallery`).
Healthy items are those of synthetic copies of three shapes and five seeds, or for other memories those that the
fault was planted into, and of trained demos: copy with our DNC on five seeds and with the `dnc` package on three.
*Named first*: in how many of the runs the worst finding is this one. *Found* and *false alarms* are at the mildest
threshold. Values are those of the last record. A dash: a diagnostic without a fault of its own, measured on one
that it is a consequence of. All columns but *seen from* are at full strength, so an area of 1 says that the
threshold lies between health and a plain fault. *Seen from*: the smallest strength (1/8, 1/4, 1/2, 3/4 or 1) at
which the threshold is reached with every seed, when what the controller emits is that much of the fault and
otherwise of health; a dash for a fault that is either there or not. `collapsed_heads` and `stuck_gates` do not
separate anything: tasks that one head can do collapse heads in health too. They are notes for that reason.
"""


FILM = """\
## The training film

`memviz doctor --film`, or `memviz.analysis.film.film(trace).changes()`, says at which steps a number took a new
level: a series is cut where two constant levels explain it best, and both parts again, as long as the levels differ
by the least change below and by four standard errors of the noise between neighbours; a level lasts three records at
least. Each record is read once; its numbers are kept beside the trace, in `.memviz/<run>/film.json`.

| statistic | of | needs | least change |
|---|---|---|---|\
"""


FAMILIES = (
    "laws",
    "entropy and effective slots",
    "read mass",
    "overlap of heads",
    "dead, unread and unwritten slots",
    "usage and allocation",
    "allocation against content",
    "write interference",
    "key masking and value leakage",
    "de-allocation residue",
    "sharpness of links",
    "origin of NaN and Inf",
    "memory against controller",
    "gradient flow and reach",
    "saturation of gates",
    "growth of norms",
    "flatness of precedence",
    "crowding of slots",
    "episodes of a DMN",
    "attention and NTM addressing",
    "sparse memories",
    "Titans: surprise and forgetting",
)
"""Families of checks; the position in here, from 1, is `Diagnostic.family`."""


def _families() -> list[str]:
    """The table of families, without those of plugins."""
    lines = ["| family | diagnostics |", "|---|---|"]
    for number, title in enumerate(FAMILIES, 1):
        found = [f"[`{name}`](#{name})" for name, check in diagnostics().items() if check.family == number]
        lines.append(f"| {title} | {', '.join(found)} |")
    return [*lines, "| the batch: worst item and distribution | all |", "", "## Calibration", "", CALIBRATION]


def _film() -> list[str]:
    lines = FILM.splitlines()
    for entry in STATISTICS:
        change = f"factor {entry.smallest:g}" if entry.scale == "log" else f"{entry.smallest:g}"
        per = ", per head" if entry.per_head else ""
        lines.append(f"| `{entry.name}` | {entry.title}{per} | {', '.join(entry.needs)} | {change} |")
    return [*lines, ""]


def _section(check: Diagnostic) -> list[str]:
    levels = ", ".join(
        f"{severity} from {check.levels[severity]:g}" for severity in SEVERITIES if severity in check.levels
    )
    judged = "the first violation counts" if check.lasting else "the last records decide"
    needs = ", ".join(f"`{name}`" for name in check.needs) or "whatever is stored"
    return [
        f"## {check.name}",
        "",
        f"{check.title}.",
        "",
        f"- measured: {check.formula}",
        f"- levels: {levels}; {judged}",
        f"- needs: {needs}",
        f"- source: {check.source}",
        f"- try: {check.suggestion}",
        "",
    ]


def calibration_in(page: str) -> str:
    """The table that a page holds."""
    return page.split(BEGIN)[1].split(END)[0].strip("\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trained", type=Path, help="folder of trained runs to take as healthy")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="measure these, keep the rest of the table"
    )
    parser.add_argument("--docs-only", action="store_true", help="keep the table, write the rest of the page")
    options = parser.parse_args()
    if options.docs_only:
        found = calibration_in(PAGE.read_text()) if PAGE.exists() else "not measured yet"
    else:
        with tempfile.TemporaryDirectory() as folder:
            trained = (
                []
                if options.only
                else sorted(path for path in options.trained.iterdir() if (path / "trace.json").exists())
                if options.trained
                else trained_runs(Path(folder))
            )
            rows = list(measure(Path(folder), trained, options.only))
            reports = [examine(memviz.open(path)) for path in trained]
            alarms = {s: sum(f.severity == s for r in reports for f in r.findings) for s in SEVERITIES}
            found = table(rows, alarms, len(trained))
            if options.only:
                found = merged(calibration_in(PAGE.read_text()), found)
    PAGE.write_text(document(found))


if __name__ == "__main__":
    main()
