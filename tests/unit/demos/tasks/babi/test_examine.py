"""`python -m memviz.demos.evaluate` on networks for bAbI: tables, confusion, stories of others, records of them."""

from __future__ import annotations

import json

import pytest
import torch
from click.testing import CliRunner

import memviz
from memviz.demos.building import make_model, make_task
from memviz.demos.checkpointing import Checkpoint, save_checkpoint
from memviz.demos.commands import evaluate_command
from memviz.demos.plan import Plan

SMALL = {"variant": "plus", "hops": 2, "dim": 4, "word_size": 4}
FILE = (
    "1 Mary went to the garden.\n2 John went to the office.\n3 Where is Mary?\tgarden\t1\n4 Where is John?\toffice\t2\n"
)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """An untrained network for tasks 1 and 6."""
    plan = Plan("babi", {"tasks": "1,6"}, model="dmn", model_options=SMALL)
    torch.manual_seed(0)
    model = make_model(plan, make_task(plan))
    return save_checkpoint(Checkpoint(plan, 0, model.state_dict()), tmp_path_factory.mktemp("runs") / "six")


def run(*arguments):
    return CliRunner().invoke(evaluate_command, [str(argument) for argument in arguments])


def test_a_table_and_all_figures(checkpoint):
    result = run(checkpoint, "--questions", 30, "--confusion", "6")
    assert result.exit_code == 0, result.output
    assert "Single Supporting Fact" in result.output
    assert "97.7" in result.output, "a published figure"
    assert "task 6, Yes/No Questions" in result.output
    assert "task 1," not in result.output
    figures = json.loads(checkpoint.with_name("six.babi.json").read_text())["families"]
    assert list(figures) == ["1", "6"]
    for family in figures.values():
        counts = family["confusion"]["counts"]
        assert family["asked"] == sum(map(sum, counts)) == 30
        right = sum(row[place] for place, row in enumerate(counts))
        assert family["accuracy"] == pytest.approx(100 * right / 30)


def test_the_same_questions_with_the_same_seed_and_others_with_another(checkpoint, tmp_path):
    texts = []
    for number, seed in enumerate((5, 5, 6)):
        result = run(checkpoint, "--questions", 20, "--seed", seed, "--out", tmp_path / str(number))
        assert result.exit_code == 0, result.output
        texts.append((tmp_path / f"{number}.babi.json").read_text())
    assert texts[0] == texts[1] != texts[2]


def test_files_of_ones_own_are_asked_with_the_words_of_the_network(checkpoint, tmp_path):
    path = tmp_path / "qa1_mine_test.txt"
    path.write_text(FILE)
    result = run(checkpoint, "--babi", tmp_path, "--out", tmp_path / "mine")
    assert result.exit_code == 0, result.output
    figures = json.loads((tmp_path / "mine.babi.json").read_text())
    assert figures["families"]["1"]["asked"] == 2
    path.write_text(FILE.replace("Mary", "Zoe"))
    result = run(checkpoint, "--babi", tmp_path)
    assert result.exit_code == 1
    assert "Error: the network does not know 'zoe'" in result.output


def test_a_record_of_every_story(checkpoint, tmp_path):
    result = run(checkpoint, "--questions", 3, "--record", tmp_path / "stories", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "6 stories recorded in" in result.output
    trace = memviz.open(tmp_path / "stories")
    assert [record.labels["task"] for record in trace] == [1, 1, 1, 6, 6, 6]
    assert trace.header.attributes["trained"] is True
    figures = json.loads((tmp_path / "out.babi.json").read_text())["families"]
    right = sum(record.labels["right"] for record in trace if record.labels["task"] == 6)
    assert figures["6"]["accuracy"] == pytest.approx(100 * right / 3)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["--confusion", "2"],
            "--confusion takes families that are asked about (1, 6) with commas between them, or all",
        ),
        (["--confusion", "x"], "not 'x'"),
        (["--babi", "nowhere"], "nowhere holds no bAbI stories"),
        (["--lengths", "1", "--confusion", "1"], "without --lengths"),
    ],
)
def test_what_cannot_be_asked_is_one_line(checkpoint, arguments, line):
    result = run(checkpoint, "--questions", 2, *arguments)
    assert result.exit_code == 1
    assert line in result.output
    assert "Traceback" not in result.output


def test_options_about_stories_are_for_networks_about_stories(tmp_path):
    plan = Plan("copy", {"shortest": 1, "longest": 2}, model="lstm", model_options={"hidden_size": 4})
    path = save_checkpoint(Checkpoint(plan, 0, make_model(plan, make_task(plan)).state_dict()), tmp_path / "copy")
    result = run(path, "--record", tmp_path / "stories")
    assert result.exit_code == 1
    assert "this is a lstm for copy" in result.output
