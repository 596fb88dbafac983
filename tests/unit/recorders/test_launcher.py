"""`memviz run`: a script is recorded, and does not notice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import pytest
from click.testing import CliRunner

import memviz
from memviz.cli import main
from memviz.cli.run import TRIGGERS
from memviz.recorders import launcher

SCRIPT = """
    import os, pickle, signal, sys
    print(sys.argv, __name__, os.path.basename(__file__), sys.path[0] == os.getcwd(), sys.flags.isolated)
    print(__spec__ and __spec__.name, os.environ.get("PYTHONPATH"), "MEMVIZ_RUN" in os.environ, "torch" in sys.modules)

    import torch
    import memviz
    torch.set_num_threads(1)

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(4, 4)

        def forward(self, x, scale=1.0):
            return memviz.tap("usage", torch.sigmoid(self.linear(x * scale)))

    encoder, model = torch.nn.Linear(4, 4), Model()
    parameters = [*encoder.parameters(), *model.parameters()]
    optimizer = torch.optim.SGD(parameters, 0.1)
    for _ in range(5):
        optimizer.zero_grad()
        model(encoder(torch.rand(2, 4)), scale=2.0).sum().backward()
        optimizer.step()
    print(type(pickle.loads(pickle.dumps(model))).__qualname__, len(torch.nn.modules.module._global_forward_hooks))
    sys.stdout.flush()
    if "raise" in sys.argv:
        raise ValueError("the script fails")
    if "kill" in sys.argv:
        os.kill(os.getpid(), signal.SIGTERM)
    sys.exit(7)
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pack").mkdir()
    for path in (tmp_path / "train.py", tmp_path / "pack" / "train.py"):
        path.write_text(textwrap.dedent(SCRIPT))
    return tmp_path


def run(folder, *arguments, **environment):
    line = [sys.executable, "-m", "memviz", "run", *arguments] if arguments[0] != "plain" else arguments[1:]
    return subprocess.run(
        line, cwd=folder, capture_output=True, text=True, timeout=120, env={**os.environ, **environment}
    )


def ours(text):
    """What memviz said, and what the script's own process did."""
    lines = text.splitlines()
    said = [line for line in lines if line.startswith("memviz: ")]
    return said, [line for line in lines if not line.startswith("memviz: ")]


def test_a_script_that_fails_fails_as_with_plain_python(folder):
    plain = run(folder, "plain", sys.executable, "train.py", "raise", "--out", "x")
    recorded = run(folder, "--every", "2", "train.py", "raise", "--out", "x")
    assert recorded.stdout == plain.stdout
    assert "['train.py', 'raise', '--out', 'x'] __main__ train.py True 0" in recorded.stdout
    said, theirs = ours(recorded.stderr)
    assert theirs == plain.stderr.splitlines()
    assert theirs[-1] == "ValueError: the script fails"
    assert recorded.returncode == plain.returncode == 1
    where = folder / "runs" / "train"
    assert said == [
        f"memviz: recording Model into {where}",
        f"memviz: 3 records of Model in {where}; to see them: memviz serve {where}",
    ]
    trace = memviz.open(where)
    assert trace.steps.tolist() == [0, 2, 4], "the first forward was not missed"
    assert trace.state == "closed"
    assert trace[0]["usage"].shape == (1, 1, 4)


def test_a_module_runs_and_its_exit_code_comes_through(folder):
    done = run(folder, "--out", "mine", "-m", "pack.train", "--every", "3", PYTHONPATH="elsewhere")
    assert done.returncode == 7, done.stderr
    assert "'--every', '3'] __main__ train.py True 0" in done.stdout
    assert "pack.train elsewhere False False" in done.stdout
    assert memviz.open(folder / "mine").steps.tolist() == [0]


def test_sigterm_ends_the_script_as_ever_and_the_held_steps_are_written(folder):
    done = run(folder, "--last", "2", "train.py", "kill")
    assert done.returncode == -signal.SIGTERM
    trace = memviz.open(folder / "runs" / "train")
    assert trace.steps.tolist() == [0, 3, 4]
    assert trace.state == "closed"
    assert [event.data["trigger"] for event in trace.events if event.kind == "trigger"] == ["SIGTERM"]


@pytest.fixture
def line(monkeypatch):
    """`line(*arguments)`: what memviz run would hand to Python."""

    def parsed(*arguments):
        found = []
        monkeypatch.setattr(launcher, "replace_process", lambda *given: found.append(given))
        result = CliRunner().invoke(main, ["run", *arguments])
        return found[0] if found else result.output

    return parsed


def test_options_end_where_pythons_do(line):
    assert line("--every", "5", "train.py", "--every", "7", "-m", "x")[0] == ["train.py", "--every", "7", "-m", "x"]
    assert line("--grads", "-m", "a.b", "--out", "x", "--help")[0] == ["-m", "a.b", "--out", "x", "--help"]
    assert line("--last=4", "-m", "a.b")[1]["last"] == 4


def test_options_become_keywords_of_attach(line):
    _, options = line("--fields", "default,usage", "--batch", "0,3", "--on", "nan", "--budget", "0.02", "a/train.py")
    assert options["fields"] == ["default", "usage"]
    assert options["batch"] == [0, 3]
    assert (options["on"], options["budget"], options["out"]) == (("nan",), 0.02, "runs/train")
    _, options = line("--batch", "all", "--fields", "all", "-m", "pack.train")
    assert (options["fields"], options["batch"], options["out"]) == ("all", "all", "runs/train")


def test_what_cannot_be_run_is_said(line):
    assert "expected a script to run" in line()
    assert "expected a position" in line("--batch", "first", "train.py")
    assert "Example: memviz run train.py" in line("--help")


def test_the_command_and_the_launcher_know_the_same_triggers():
    assert launcher.TRIGGERS == TRIGGERS


def test_isolating_flags_would_hide_memviz(monkeypatch):
    monkeypatch.setattr(subprocess, "_args_from_interpreter_flags", lambda: ["-I", "-X", "dev", "-Werror"])
    command, environment = launcher.command(["train.py"], {"out": "x"})
    assert command == [sys.executable, "-X", "dev", "-Werror", "train.py"]
    assert environment["PYTHONPATH"].split(os.pathsep)[0].endswith("startup")
