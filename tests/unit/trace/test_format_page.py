"""The examples of docs/trace-format.md run as they stand, on a real trace and without memviz."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from memviz.trace import caps
from memviz.trace.reader import open_trace

PAGE = (Path(__file__).parents[3] / "docs" / "trace-format.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def runs(tmp_path, make):
    memory = make.memory("memory", make.field("read_weights", "time batch read_head slot"))
    writer = make.writer(tmp_path / "runs" / "copy", memory)
    for i in range(6):
        values = np.full((2 + i, 1, 2, 4), i, np.float32)
        writer.append(make.record(i * 10, labels={"number": i}, read_weights=values))
        if i == 3:
            writer.seal()
    writer._close_files()
    return tmp_path


@pytest.mark.parametrize(
    ("example", "check"),
    [
        (0, "assert (step, labels, weights.shape, weights[0, 0, 0, 0]) == (50, {'number': 5}, (7, 1, 2, 4), 5)"),
        (
            1,
            "assert (step, head_0.shape, float(head_0.max()), labels['2']) == (30, (5, 4), 3.0, {'number': 2})\n"
            "assert mean.values[:, 0, 0, 0].tolist() == [0, 1, 2, 3]",
        ),
    ],
)
def test_the_example_runs_without_memviz(runs, example, check):
    assert len(EXAMPLES) == 2
    code = f"{EXAMPLES[example]}\n{check}\nimport sys\nassert 'memviz' not in sys.modules\nprint('done')"
    done = subprocess.run([sys.executable, "-c", code], cwd=runs, capture_output=True, text=True, check=False)
    assert done.stdout == "done\n", done.stderr


def test_the_header_of_the_page_is_a_header(runs):
    (text,) = re.findall(r"## trace\.json\n\n((?: {4}.*\n)+)", PAGE)
    (runs / "runs" / "copy" / "trace.json").write_text(json.dumps(json.loads(text)))
    trace = open_trace(runs / "runs" / "copy")
    assert trace.memories["memory"].fields["read_weights"].axes == ("time", "batch", "read_head", "slot")


def test_the_lines_of_the_page_are_lines(runs):
    for line in re.findall(r"^ {4}(\{\"(?:step|kind)\".*\})$", PAGE, re.MULTILINE):
        name = "events.jsonl" if "kind" in line else "scalars.jsonl"
        with (runs / "runs" / "copy" / name).open("a") as file:
            file.write(f"{line}\n")
    trace = open_trace(runs / "runs" / "copy")
    assert trace.scalars["gradient_norm"].values.tolist() == [np.inf]
    assert trace.dropped == 3


def test_the_limits_of_the_page_are_those_of_the_code():
    assert caps.MAX_FIELD_BYTES == 4 * 2**30
    assert caps.MAX_CHUNK_BYTES == 64 * 2**20
    words = " ".join(PAGE.split())
    assert "4 GiB per field" in words
    assert "64 MiB decompressed" in words
