"""The commands of training and evaluation: what they write, and that bad options give one line and no traceback."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

import memviz
from memviz.cli import main
from memviz.demos import registry
from memviz.demos.commands import evaluate_command, pairs, train_command
from memviz.errors import OptionError

TINY = [
    *("--model-option", "nr_cells=4", "--model-option", "cell_size=3", "--model-option", "hidden_size=6"),
    *("--task-option", "longest=3", "--task-option", "width=2", "--batch-size", "4", "--every", "4"),
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a short run, and what the command said."""
    folder = tmp_path_factory.mktemp("commands")
    result = CliRunner().invoke(train_command, ["copy", *TINY, "--steps", "8", "--out", str(folder / "run")])
    assert result.exit_code == 0, result.output
    return folder, result.output


def test_training_leaves_a_trace_a_checkpoint_and_an_evaluation(trained):
    folder, output = trained
    assert {path.name for path in folder.iterdir()} == {
        *("run", "run.json", "run.safetensors"),
        *("run.generalisation.html", "run.generalisation.json", "plotly.min.js"),
    }
    trace = memviz.open(folder / "run")
    assert trace.steps.tolist() == [0, 4, 8]
    assert trace[0]["write_weights"].shape == (11, 1, 1, 4)
    assert trace[0].labels["tokens"] == ["a", "b", "c", "d", "e", "|", "a?", "b?", "c?", "d?", "e?"]
    assert json.loads((folder / "run.json").read_text())["step"] == 8
    assert "not solved in 8 steps" in output
    assert "wrong bits per item" in output


def test_a_second_run_of_a_name_keeps_the_checkpoint_of_the_first(trained):
    folder, _ = trained
    before = (folder / "run.safetensors").read_bytes()
    result = CliRunner().invoke(train_command, ["copy", *TINY, "--steps", "2", "--out", str(folder / "run")])
    assert result.exit_code == 0, result.output
    assert (folder / "run.safetensors").read_bytes() == before
    assert (folder / "run-2.safetensors").is_file()
    for path in folder.glob("run-2*.*"):
        path.unlink()


def test_resuming_goes_on_in_the_same_trace(trained, tmp_path):
    folder, _ = trained
    checkpoint = str(tmp_path / "again")
    result = CliRunner().invoke(
        train_command, ["--resume", str(folder / "run"), "--steps", "12", "--checkpoint", checkpoint]
    )
    assert result.exit_code == 0, result.output
    trace = memviz.open(folder / "run")
    assert trace.steps.tolist()[-2:] == [8, 12]
    assert trace.scalars["loss"].steps.tolist() == list(range(12))
    assert (tmp_path / "again.safetensors").is_file()


def test_the_evaluation_prints_a_table_and_writes_beside_what_it_is_told(trained, tmp_path):
    folder, _ = trained
    arguments = [str(folder / "run.safetensors"), "--lengths", "2,5", "--batches", "2", "--out", str(tmp_path / "plot")]
    result = CliRunner().invoke(evaluate_command, arguments)
    assert result.exit_code == 0, result.output
    assert "as trained" in result.output
    assert list(json.loads((tmp_path / "plot.generalisation.json").read_text())["by_length"]) == ["2", "5"]


def test_a_model_can_be_evaluated_with_more_slots_than_it_was_trained_with(trained, tmp_path):
    run, out = str(trained[0] / "run"), tmp_path / "plot"
    more = ["--lengths", "2", "--batches", "1", "--out", str(out), "--model-option"]
    result = CliRunner().invoke(evaluate_command, [run, *more, "nr_cells=9"])
    assert result.exit_code == 0, result.output
    options = json.loads((tmp_path / "plot.generalisation.json").read_text())["plan"]["model_options"]
    assert (options["nr_cells"], options["cell_size"]) == (9, 3)
    other = CliRunner().invoke(evaluate_command, [run, *more, "cell_size=4"])
    assert other.exit_code == 1
    assert "does not fit the model asked for" in other.output


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["copy", "--model-option", "nr_cells=0"], "nr_cells must be a whole number >= 1, not 0"),
        (["copy", "--model-option", "rnn_type=ltsm"], "did you mean 'lstm'?"),
        (["copy", "--model-option", "nr_cells"], "--model-option takes NAME=VALUE"),
        (["copy", "--task-option", "longest=0"], "longest must be a whole number >= 1, not 0"),
        (["copy", "--model", "dnk"], "there is no model named 'dnk'. Did you mean 'dnc'?"),
        (["copi"], "there is no demo or task named 'copi'. Did you mean 'copy'?"),
        (["reverse", "--config", "m4d1"], "there is no configuration of reverse named 'm4d1'"),
        (["copy", "--batch-size", "0"], "batch_size must be a whole number >= 1, not 0"),
        (["copy", "--seed", "-1"], "seed must be a whole number >= 0, not -1"),
        (["copy", "--device", "warp"], "device must be one that this machine has, such as cpu, not 'warp'"),
        (["--resume", "nowhere"], "there is no checkpoint at nowhere.safetensors"),
        (["copy", "--resume", "nowhere"], "--resume goes on with the plan of the checkpoint"),
        ([], "give the name of a demo or a task: copy, reverse"),
    ],
)
def test_bad_options_give_one_line(arguments, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(train_command, arguments)
    assert result.exit_code == 1
    assert line in result.output
    assert result.output.startswith("Error: ")
    assert len(result.output.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_of_another_shape_gives_one_line(trained, tmp_path):
    facts = json.loads((trained[0] / "run.json").read_text())
    facts["plan"]["model_options"]["hidden_size"] = 7
    save_file(load_file(trained[0] / "run.safetensors"), tmp_path / "other.safetensors", {"memviz": json.dumps(facts)})
    for command, arguments in ((evaluate_command, []), (train_command, ["--resume"])):
        result = CliRunner().invoke(command, [*arguments, str(tmp_path / "other")])
        assert result.exit_code == 1
        assert "does not fit the model asked for" in result.output
        assert len([line for line in result.output.splitlines() if line.startswith("Error: ")]) == 1
        assert "Traceback" not in result.output


@pytest.mark.parametrize("text", ["8,x", "0", ""])
def test_lengths_are_numbers(trained, text):
    result = CliRunner().invoke(evaluate_command, [str(trained[0] / "run"), "--lengths", text])
    assert result.exit_code == 1
    assert "--lengths takes whole numbers >= 1" in result.output


def test_values_of_options_are_json_where_they_can_be():
    given = ("n=3", "x=0.5", "yes=True", "none=None", "rnn_type=gru", "list=[1,2]", "text=a=b")
    expected = {"n": 3, "x": 0.5, "yes": True, "none": None, "rnn_type": "gru", "list": [1, 2], "text": "a=b"}
    assert pairs(given, "--o") == expected
    with pytest.raises(OptionError, match="--o takes NAME=VALUE"):
        pairs(("=3",), "--o")


def test_memviz_demo_lists_every_demo_with_its_time():
    result = CliRunner().invoke(main, ["demo"])
    assert result.exit_code == 0
    for name in registry.names():
        line = next(line for line in result.output.splitlines() if line.split()[0] == name)
        assert registry.get(name).expected in line
        assert registry.get(name).summary in line
    assert "python -m memviz.demos.gallery" in result.output


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["copi"], "no demo named 'copi'. Did you mean 'copy'?"),
        (["reverse", "--config", "m1"], "no configuration of reverse named 'm1'"),
        (["copy", "--model", "ntn"], "no model named 'ntn'"),
        (["copy", "--package", "dnq"], "named 'dnq'. Did you mean 'dnc'?"),
    ],
)
def test_memviz_demo_says_what_is_wrong_in_one_line(arguments, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["demo", "--no-serve", *arguments])
    assert result.exit_code == 1
    assert line in result.output
    assert len(result.output.splitlines()) == 1
    assert not list(tmp_path.iterdir())
